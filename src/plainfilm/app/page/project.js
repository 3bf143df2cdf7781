// A project: the data that were read, what was made of them, and what can be done next.

import { make, chip } from "./parts.js";
import { kept, link, name, place, small, title } from "./pieces.js";
import { bytes, moment, number, percent, t } from "./words.js";

const KINDS = { none: "clear", caution: "caution", warning: "warning" };

const FEW = 4; // of the newest, in the list of all projects

/** What an accuracy is, and what it is worth: never the one without the other; of an audit the verdict alone. */
export function standing(made) {
  const verdicts = made.verdict ? [chipped(made.verdict, made.severity)] : [];
  if (!made.accuracy) return verdicts.length ? make("p", { class: "standing" }, ...verdicts) : null;
  const { value, low, high } = made.accuracy;
  if (made.level && made.level !== "none" && made.level !== made.severity) verdicts.push(chipped(made.level, made.level));
  const isKnown = typeof low === "number" && typeof high === "number";
  const interval = isKnown ? t("run.interval", { low: number(100 * low, 1), high: percent(high) }) : "";
  return make("p", { class: "standing" }, make("strong", {}, percent(value)), make("span", { class: "muted" }, interval), ...verdicts);
}

/** The verdict as a chip: the words are the report's. */
function chipped(words, level) {
  const element = make("span", { class: "chip", lang: "en" });
  chip(element, words.charAt(0).toUpperCase() + words.slice(1), KINDS[level] ?? "caution");
  return element;
}

/** What tells one result from another: what made it, on which data, when. */
export function facts(made) {
  const isNew = made.bundle === "recalibrated.plainfilm" && t("run.recalibrated");
  return [t(`kind.${made.kind}`), made.recipe, made.kind === "evaluate" && made.data, isNew, moment(made.created)].filter(Boolean).join(" · ");
}

/** Where a result is shown. */
export const openOf = (project, made) => place([made.kind === "relabel" ? "doubts" : "run", project.name, made.name]);

function runRow(project, made) {
  return make(
    "li",
    { class: "made" },
    make("div", {}, link(name(made.name), openOf(project, made), { class: "made-name" }), small(facts(made))),
    standing(made),
  );
}

const counted = ({ images, classes }) => (images === null ? t("project.counting") : `${t("count.images", { n: images })} · ${(classes ?? []).join(", ")}`);

/** A project in the list of all. */
export function projectCard(project) {
  const newest = project.runs.slice(0, FEW);
  const head = make("h2", {}, link(name(project.name), place(["project", project.name])));
  const stores = project.stores.slice(0, 1).map((store) => small(counted(store)));
  const runs = newest.length ? make("ul", { class: "plain" }, ...newest.map((made) => runRow(project, made))) : make("p", { class: "small" }, t("project.no_runs"));
  return make("section", { class: "card" }, head, ...stores, runs);
}

function storeCard(project, store) {
  const to = (view, query = {}) => place(view, query);
  const actions = [
    link(t("project.train"), to("train", { store: store.path, project: project.name }), { class: "button strong" }),
    store.classes?.length > 1 ? link(t("project.relabel"), to(["step", "relabel", project.name], { in: store.path }), { class: "button" }) : null,
    store.corrected ? null : link(t("project.add"), to("choose", { then: `step/add/${project.name}`, in: store.path }), { class: "button" }),
    link(t("project.audit"), to(["step", "audit", project.name], { in: store.path }), { class: "button" }),
  ];
  return make("li", { class: "store" }, make("h3", {}, name(store.name)), small(counted(store)), make("p", { class: "actions" }, ...actions));
}

export function show({ parts: [called] }, app) {
  const element = make("div");
  let seen = "";
  const state = () => {
    const project = app.project(called);
    const now = JSON.stringify(project ?? null);
    if (now === seen) return;
    seen = now;
    element.replaceChildren(...(project ? content(project) : gone(called)));
  };
  state();
  return { element, state };
}

const gone = (called) => [make("div", { class: "head" }, title(called)), make("p", {}, t("gone.project")), make("p", {}, link(t("home.title"), "#/"))];

/** The data of a project; where none were read, what was dropped and can be. */
function data(project) {
  if (project.stores.length || !project.dropped.length) return project.stores.map((store) => storeCard(project, store));
  const looks = link(t("project.look"), place("look", { in: project.dropped.map(({ path }) => path), project: project.name }), { class: "button strong" });
  return [make("li", { class: "store" }, ...project.dropped.map((each) => make("h3", {}, name(each.name))), small(t("project.dropped")), make("p", { class: "actions" }, looks))];
}

function content(project) {
  const runs = project.runs.filter(({ kind }) => kind === "train" || kind === "evaluate");
  const comparing = runs.length > 1 ? link(t("project.compare"), place(["step", "compare", project.name]), { class: "button" }) : null;
  const address = `files/${encodeURIComponent(project.name)}`;
  const files = (project.files ?? []).map((file) => kept(name(file.name), `${address}/${encodeURIComponent(file.name)}`, file.name, bytes(file.bytes)));
  return [
    make("div", { class: "head" }, make("p", { class: "small" }, link(t("home.title"), "#/")), title(project.name), small(project.path)),
    make("section", {}, make("h2", {}, t("project.data")), make("ul", { class: "plain" }, ...data(project))),
    make(
      "section",
      {},
      make("div", { class: "row" }, make("h2", {}, t("project.made")), comparing),
      project.runs.length ? make("ul", { class: "plain" }, ...project.runs.map((made) => runRow(project, made))) : make("p", {}, t("project.no_runs")),
    ),
    ...(files.length ? [make("section", {}, make("h2", {}, t("project.files")), make("ul", { class: "take" }, ...files))] : []),
  ];
}
