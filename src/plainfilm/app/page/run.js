// What was made: the report itself in a frame, what can be taken along, and what can be done with it.

import { make } from "./parts.js";
import { button, Commands, folded, kept, link, name, place, problem, small, swap, title } from "./pieces.js";
import { facts } from "./project.js";
import { ask } from "./server.js";
import { bytes, t } from "./words.js";

const KNOWN = ["model.plainfilm", "recalibrated.plainfilm", "card.md", "predictions.csv", "metrics.json", "checklists.html", "recipe.toml", "comparison.csv", "differences.csv"];

export const fileOf = (project, made, file) => `files/${[project, made, ...file.split("/")].map(encodeURIComponent).join("/")}`;

export function show({ parts: [project, called] }, app) {
  const element = make("div", { class: "run" });
  let seen = "";
  const state = () => {
    const made = app.made(project, called);
    const now = JSON.stringify(made ?? null);
    if (now === seen) return;
    seen = now;
    element.replaceChildren(...(made ? content(project, made, app) : gone(called)));
  };
  state();
  return { element, state };
}

const gone = (called) => [make("div", { class: "head" }, title(called)), make("p", {}, t("gone.run")), make("p", {}, link(t("home.title"), "#/"))];

function content(project, made, app) {
  const says = make("div");
  const commands = new Commands(app);
  commands.show(made.command);
  const page = made.page && fileOf(project, made.name, made.page);
  const head = make("div", { class: "head" }, make("p", { class: "small" }, link(name(project), place(["project", project]))), title(made.title), small(facts(made)));
  const frame = page ? make("iframe", { class: "report", src: page, title: t("run.report") }) : make("p", {}, t("run.no_report"));
  return [head, make("div", { class: "actions" }, ...acts(project, made, page, says)), says, frame, take(project, made), commands.element];
}

function acts(project, made, page, says) {
  const acts = [];
  if (page) acts.push(link(t("run.tab"), page, { class: "button", target: "_blank", rel: "noopener" }));
  acts[0]?.append(make("span", { class: "unseen" }, ` ${t("page.new_tab")}`));
  if (made.bundle) {
    const bundle = `${made.path}/${made.bundle}`;
    acts.unshift(button(t("run.try"), (event) => tryIt(bundle, says, event.target), { class: "button strong" }));
    acts.push(link(t("run.export"), place(["step", "export", project], { in: bundle }), { class: "button" }));
    acts.push(link(t("run.evaluate"), place("choose", { then: `step/evaluate/${project}`, in: bundle }), { class: "button" }));
  }
  if (made.kind === "train" || made.kind === "evaluate") acts.push(link(t("run.compare"), place(["step", "compare", project], { in: made.path }), { class: "button" }));
  if (made.store && made.kind === "train") acts.push(link(t("project.relabel"), place(["step", "relabel", project], { in: made.store }), { class: "button" }));
  return acts;
}

/** Open the page that answers for a classifier, in a tab of its own; the link stays for a browser that opens none. */
async function tryIt(bundle, says, pressed) {
  const tab = window.open("about:blank");
  pressed.disabled = true;
  swap(says, make("p", { class: "notice", role: "status" }, t("run.try_starts")));
  try {
    const { address } = await ask("api/try", { body: { bundle } });
    if (tab) tab.location.href = address;
    const again = link(t("run.try_open"), address, { target: "_blank", rel: "noopener" });
    swap(says, make("p", { class: "notice", role: "status" }, t("run.try_runs"), " ", again));
  } catch (error) {
    tab?.close();
    swap(says, problem(error));
  }
  pressed.disabled = false;
}

/** Everything that a run has made, the useful first, each as a file to keep. */
function take(project, made) {
  const files = new Map(made.files.map((file) => [file.name, file]));
  const row = (file, words, what) =>
    kept(words, fileOf(project, made.name, file.name), file.name.split("/").at(-1), [what, bytes(file.bytes)].filter(Boolean).join(" · "));
  const list = (rows) => make("ul", { class: "take" }, ...rows);
  const own = [made.page, ...KNOWN].filter((each) => files.has(each));
  const key = (each) => (each === made.page ? "report" : each.replace(/\W/g, "_"));
  const first = own.map((each) => row(files.get(each), t(`take.${key(each)}`), t(`take.${key(each)}_what`)));
  const rest = made.files.filter((file) => !own.includes(file.name));
  const further = rest.length ? folded(t("take.rest", { n: rest.length }), list(rest.map((file) => row(file, file.name, "")))) : null;
  return make("section", {}, make("h2", {}, t("take.title")), list(first), further);
}
