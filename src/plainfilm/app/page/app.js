// Joins the views: the address names one (#/look?in=…), the server's state is shown as it comes, and the focus goes where the eye goes.

import { $, make } from "./parts.js";
import { onDrop } from "./given.js";
import { english, link, place, sure } from "./pieces.js";
import { ask, watch } from "./server.js";
import { LANGUAGES, choose, duration, number, percent, readWords, spoken, t } from "./words.js";
import * as chooses from "./choose.js";
import * as doubts from "./doubts.js";
import * as drops from "./drop.js";
import * as home from "./home.js";
import * as job from "./job.js";
import * as looks from "./look.js";
import * as project from "./project.js";
import * as run from "./run.js";
import * as step from "./step.js";

const VIEWS = { "": home, choose: chooses, look: looks, train: looks, drop: drops, project, job, run, step, doubts };
const STEPS = ["choose", "look", "job", "run"]; // the way that the head of the page shows
const SAY_MS = 400; // after the focus has moved, or a screen reader drops it

const app = {
  state: null,
  files: [], // dropped, on their way to the server
  go: (address) => (window.location.hash = address),
  replace: (address) => window.location.replace(address),
  /** Show a job that has just been put into the line, also before the next state tells of it. */
  begin: (begun) => {
    if (!app.state.jobs.some(({ id }) => id === begun.id)) app.state.jobs.unshift(begun);
    app.go(place(["job", begun.id]));
  },
  say: (words) => setTimeout(() => ($("live").textContent = words), SAY_MS),
  project: (called) => app.state.projects.find((each) => each.name === called),
  made: (project, called) => app.project(project)?.runs.find((each) => each.name === called),
};

let view = null; // { element, changed?, state?, leave? } of the view that is shown
let shown = "";
let isOver = false; // ended by a click

/** A part of the address; one that is no UTF-8 stays as it is. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function wanted() {
  const [path, search] = window.location.hash.replace(/^#\/?/, "").split("?");
  const [view, ...parts] = path.split("/").map(decoded);
  return { view: view in VIEWS ? view : "", parts, query: new URLSearchParams(search), path };
}

/** Show the view that the address names; the same one with another query is only told. */
function route() {
  if (!app.state) return;
  const asked = wanted();
  if (view && shown === asked.path && view.changed) {
    view.changed(asked);
    return;
  }
  const isFirst = view === null;
  view?.leave?.();
  shown = asked.path;
  view = VIEWS[asked.view].show(asked, app);
  $("main").replaceChildren(view.element);
  $("main").dataset.view = asked.path;
  $("main").setAttribute("aria-busy", "false");
  showSteps(asked.view);
  head();
  if (!isFirst) {
    window.scrollTo(0, 0);
    view.element.querySelector("h1")?.focus({ preventScroll: true });
  }
}

/** The title of the window is the heading of the view. */
function head() {
  const words = view.element.querySelector("h1")?.textContent;
  document.title = words ? `${words} · plainfilm` : "plainfilm";
}

app.titled = head;

function showSteps(now) {
  const at = STEPS.indexOf({ drop: "choose", train: "look" }[now] ?? now);
  $("steps").hidden = at < 0;
  $("steps").setAttribute("aria-label", t("steps.label"));
  const items = STEPS.map((each, index) => make("li", { class: index < at ? "past" : null, "aria-current": index === at ? "step" : null }, t(`steps.${each}`)));
  $("steps").firstElementChild.replaceChildren(...items);
}

/** One line under the head, but where the job itself or the list of all is shown: what runs, how far it is, and how many wait. */
function showWork({ jobs }) {
  const runs = jobs.find(({ state }) => state === "running");
  const waiting = jobs.filter(({ state }) => state === "waiting").length;
  const { view: here, parts: which } = wanted();
  const isHere = here === "" || (here === "job" && which[0] === runs?.id);
  $("work").hidden = !runs || isHere;
  $("work").setAttribute("aria-label", t("work.label"));
  if ($("work").hidden) return;
  const stage = runs.progress.at(-1);
  const told = [stage && english(stage.stage), stage?.every > 1 && percent(stage.done / stage.every, 0), stage?.left_s && t("job.left", { time: duration(stage.left_s) })];
  const parts = told.filter(Boolean).flatMap((each) => [" · ", each]);
  const waits = waiting ? [" · ", t("work.waiting", { n: waiting })] : [];
  if ($("work").dataset.job !== runs.id) {
    $("work").replaceChildren(link(make("bdi", {}, job.titled(runs)), place(["job", runs.id])), make("span"));
    $("work").dataset.job = runs.id;
  }
  $("work").lastElementChild.replaceChildren(...parts, ...waits);
}

function changed(state) {
  const before = app.state;
  app.state = state;
  $("lost").hidden = true;
  $("about").textContent = t("page.about", { version: state.version, free: state.space.free === null ? "–" : number(state.space.free / 1e9, 1) });
  tellEnds(before, state);
  if (before) view.state?.(state);
  else route();
  showWork(state);
}

/** Say what has ended, in the live region and, for who looks elsewhere, in the window's title. */
function tellEnds(before, { jobs }) {
  for (const now of jobs) {
    const was = before?.jobs.find(({ id }) => id === now.id)?.state;
    if ((was !== "running" && was !== "waiting") || !["done", "failed", "stopped", "interrupted"].includes(now.state)) continue;
    const words = t("work.ended", { title: job.titled(now), state: t(`job.state.${now.state}`) });
    app.say(words);
    if (document.hidden) document.title = words;
  }
}

function lost(refusal) {
  if (isOver) return;
  const isShut = refusal.status === 401 || refusal.status === 403;
  const words = refusal.status === 0 ? t("server.lost") : isShut ? t("server.shut") : refusal.message;
  $("lost").hidden = false;
  if ($("lost").textContent !== words) $("lost").textContent = words;
  $("main").setAttribute("aria-busy", "false");
}

function listen() {
  window.addEventListener("hashchange", () => {
    route();
    if (app.state) showWork(app.state);
  });
  document.addEventListener("visibilitychange", () => !document.hidden && view && head());
  $("skip").addEventListener("click", (event) => {
    event.preventDefault(); // the fragment names the view
    $("main").focus();
  });
  $("language").replaceChildren(...Object.entries(LANGUAGES).map(([code, own]) => make("option", { value: code, lang: code }, own)));
  $("language").value = spoken();
  $("language").addEventListener("change", () => choose($("language").value));
  $("end").addEventListener("click", end);
  onDrop($("veil"), (files) => drops.take(files, app));
}

async function end() {
  const isBusy = app.state?.jobs.some(({ state }) => state === "running" || state === "waiting");
  if (!(await sure(t(isBusy ? "page.end_busy" : "page.end_sure"), t("page.end")))) return;
  isOver = true;
  view.leave?.();
  await ask("api/end", { body: {} }).catch(() => null);
  $("lost").hidden = false;
  $("lost").textContent = t("page.ended");
}

async function start() {
  await readWords();
  for (const each of document.querySelectorAll("[data-words]")) each.textContent = t(each.dataset.words);
  listen();
  await watch({ changed, lost, isOver: () => isOver });
}

start();
