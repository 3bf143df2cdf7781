// What a folder holds, before a pixel is read; corrections by click, each a flag of `plainfilm ingest`; and the training.

import { Corrections } from "./corrections.js";
import { make } from "./parts.js";
import { aside, button, Commands, english, link, name, place, problem, small, swap, title } from "./pieces.js";
import { ask, at } from "./server.js";
import { Training } from "./train.js";
import { number, t } from "./words.js";

const FEW = 12;
const SETS = { train: "set.train", validation: "set.validation", test: "set.test", "not given": "set.not_given" };

/** Options of reading that the address carries; none where it is mangled. */
function given(text) {
  try {
    return { ...JSON.parse(text) };
  } catch {
    return {};
  }
}

export function show(asked, app) {
  return asked.query.has("store") ? new Stored(asked, app) : new Look(asked, app);
}

/** A training on a store that was read before: nothing is looked at. */
class Stored {
  constructor({ query }, app) {
    const path = query.get("store");
    const store = app.project(query.get("project"))?.stores.find((each) => each.path === path);
    this.commands = new Commands(app);
    this.training = new Training(app, this.commands, { project: query.get("project"), store: path });
    this.training.know({ classes: store?.classes ?? [], task: store?.task ?? "classes", positive: "" }); // by its name, which the training looks at
    const project = query.get("project");
    const head = make("div", { class: "head" }, small(link(name(project), place(["project", project]))), title(t("train.title")), small(path));
    this.element = make("div", {}, head, this.training.element, this.commands.element);
  }
}

class Look {
  constructor(asked, app) {
    this.app = app;
    this.asked = null;
    this.stopper = null;
    this.summary = make("section", { class: "facts", "aria-label": t("look.facts") });
    this.running = make("section", { class: "running", "aria-label": t("look.counting") });
    this.passed = make("section", { class: "passed" });
    this.commands = new Commands(app);
    this.corrections = new Corrections(app, (read, left) => this.correct(read, left));
    this.training = new Training(app, this.commands, {});
    this.sources = make("ul", { class: "sources" });
    const head = make("div", { class: "head" }, title(t("look.title")), this.sources);
    const found = make("div", {}, this.summary, this.corrections.classes, this.corrections.element, this.passed);
    this.found = make("div", { class: "found", "aria-busy": "true" }, found);
    this.element = make("div", {}, head, this.running, this.found, this.training.element, this.commands.element);
    this.found.hidden = true;
    this.training.element.hidden = true;
    this.changed(asked);
  }

  leave() {
    this.stopper?.abort();
  }

  /** What the address asks for: sources, options of reading, classes left out. Back takes a correction back. */
  changed({ query }) {
    const sources = query.getAll("in");
    const read = given(query.get("read"));
    const now = JSON.stringify([sources, read]);
    this.project = query.get("project");
    this.left = query.getAll("left");
    if (now === this.asked) return;
    this.asked = now;
    if (!sources.length) {
      this.app.replace(place("choose"));
      return;
    }
    Object.assign(this, { given: sources, read });
    this.corrections.asked(read, this.left);
    this.showSources();
    this.training.with({ project: this.project, sources, read });
    this.look();
  }

  correct(read, left = this.left) {
    this.app.go(place("look", { in: this.given, project: this.project, read: Object.keys(read).length ? JSON.stringify(read) : null, left }));
  }

  showSources() {
    const items = this.given.map((path) => make("li", {}, make("code", {}, name(path))));
    const other = link(t("look.another"), place("choose", { path: this.given[0].replace(/\/[^/]*$/, "") || "/" }));
    const more = link(t("look.add_source"), place("choose", { in: this.given }));
    this.sources.replaceChildren(...items, make("li", {}, other), make("li", {}, more));
  }

  async look() {
    this.stopper?.abort();
    const { signal } = (this.stopper = new AbortController());
    this.found.setAttribute("aria-busy", "true");
    this.training.wait();
    try {
      const { look, command } = await ask("api/look", { body: { sources: this.given, options: this.read }, signal });
      for (let seen = null; ; ) {
        const now = await ask(at(`api/look/${look}`, { since: seen }), { signal });
        seen = now.number;
        this.count(now);
        if (now.state === "running") continue;
        if (now.state === "failed") this.failed(now.line, command);
        else this.show(now.listing);
        return;
      }
    } catch (error) {
      if (!signal.aborted) this.failed(error, "");
    }
  }

  count({ found, by_folder: folders, state }) {
    this.running.hidden = state !== "running";
    if (this.running.hidden) return;
    const rows = Object.entries(folders).filter(([folder, n]) => folder && n).sort(([, a], [, b]) => b - a).slice(0, FEW);
    const items = rows.map(([folder, n]) => make("li", {}, name(folder), " ", make("span", { class: "muted" }, number(n))));
    this.running.replaceChildren(make("p", { class: "statement" }, t("look.so_far", { n: found })), make("ul", { class: "by-folder" }, ...items));
  }

  failed(said, command) {
    const error = said instanceof Error ? said : new Error(said);
    this.running.hidden = false;
    const again = said instanceof Error ? make("p", { class: "actions" }, button(t("page.again"), () => this.look())) : "";
    this.running.replaceChildren(problem(error), make("p", { class: "small" }, t("look.failed")), again);
    this.found.hidden = false;
    this.found.setAttribute("aria-busy", "false");
    for (const part of [this.summary, this.corrections.classes, this.passed]) part.hidden = true;
    this.corrections.know({ given: this.given, listing: null });
    this.training.element.hidden = true;
    this.commands.show(command ? [command] : []);
  }

  show(listing) {
    this.running.hidden = true;
    this.found.hidden = false;
    this.found.setAttribute("aria-busy", "false");
    for (const part of [this.summary, this.corrections.classes]) part.hidden = false;
    this.showFacts(listing);
    this.showPassed(listing.passed_over ?? []);
    this.corrections.know({ given: this.given, listing });
    this.training.element.hidden = false;
    this.training.know(listing);
    this.app.say(t("look.found", { n: listing.images, classes: listing.classes.length }));
  }

  showFacts({ images, classes, patients, sources, counts, unlabelled, task }) {
    const sets = new Map();
    for (const given of Object.values(counts)) for (const [set, n] of Object.entries(given)) sets.set(set, (sets.get(set) ?? 0) + n);
    const isGiven = [...sets.keys()].some((set) => set !== "not given");
    const apart = !patients ? "look.patients_none" : isGiven ? "look.patients_given" : "look.patients_apart";
    const split = isGiven
      ? [...sets].map(([set, n]) => `${t(SETS[set] ?? set)} ${number(n)}`).join(", ")
      : t("look.split_none");
    const facts = [
      [t("look.images"), number(images), unlabelled ? t("look.unlabelled", { n: unlabelled }) : ""],
      [t(task === "findings" ? "look.findings" : "look.classes"), number(classes.length), classes.join(", ")],
      [t("look.patients"), patients ? number(patients) : "–", t(apart)],
      [t("look.sources"), number(sources.length), sources.slice(0, FEW).join(", ") || t("look.sources_none")],
      [t("look.split"), "", split],
    ];
    const cells = facts.map(([head, value, more]) =>
      make("div", {}, make("dt", {}, head), make("dd", {}, value ? make("span", { class: "statement" }, value) : null, aside(name(more)))));
    swap(this.summary, make("dl", {}, ...cells));
  }

  showPassed(passed) {
    const parts = [["look.passed", passed.filter((each) => each.left_out)], ["look.noted", passed.filter((each) => !each.left_out)]];
    this.passed.hidden = passed.length === 0;
    swap(this.passed, ...parts.flatMap(([heading, rows]) => (rows.length ? [make("h2", {}, t(heading)), make("div", { class: "scroll" }, reasons(rows))] : [])));
  }
}

/** Why files are passed over, or what is to be known of them, in the words of the command. */
function reasons(found) {
  const rows = found.map(({ code, meaning, number: n, examples }) =>
    make("tr", {}, make("td", {}, number(n)), make("td", {}, english(meaning || code)), make("td", {}, ...examples.slice(0, 3).map((each) => make("code", { class: "file" }, name(each))))));
  const heads = ["look.passed_number", "look.passed_why", "look.passed_files"].map((key) => make("th", { scope: "col" }, t(key)));
  return make("table", {}, make("thead", {}, make("tr", {}, ...heads)), make("tbody", {}, ...rows));
}
