// One command on what was made before: external data, two runs side by side, doubtful labels, corrected labels, more films, an audit.

import { begin, preview } from "./begin.js";
import { paired } from "./names.js";
import { OptionsForm } from "./options.js";
import { make } from "./parts.js";
import { aside, Commands, folded, link, name, place, problem, select, small, strong, swap, title } from "./pieces.js";
import { facts } from "./project.js";
import { ask, at } from "./server.js";
import { percent, t } from "./words.js";

const OWN = ["out", "overwrite", "quiet", "json", "store", "bundle", "source", "sources", "mapping", "apply", "add", "dry_run", "by", "recipes", "seeds"];
const READING = ["relabel", "audit", "compare", "apply", "export"]; // of verbs whose store has been read
const PAUSE_MS = 300;

/** What counts of a name where labels and classes are matched. */
const spelling = (words) => words.toLowerCase().replaceAll(/[\s_-]/g, "");

export function show(asked, app) {
  return new Step(asked, app);
}

class Step {
  constructor({ parts: [verb, project], query }, app) {
    Object.assign(this, { app, verb, project, inputs: query.getAll("in"), options: {}, timer: 0 });
    this.says = make("div");
    this.commands = new Commands(app);
    this.starts = strong(t(`step.${verb}_start`), () => begin(this, "api/job"));
    const back = make("p", { class: "small" }, link(name(project), place(["project", project])));
    const head = make("div", { class: "head" }, back, title(t(`step.${verb}`)), make("p", {}, t(`step.${verb}_what`)));
    this.own = make("div", { class: "step-own" });
    const actions = make("p", { class: "actions" }, this.starts, aside(t("train.stays")));
    this.element = make("div", { class: "narrow-view" }, head, this.own, verb === "apply" ? null : this.more(), this.says, actions, this.commands.element);
    this.fill();
  }

  leave() {
    clearTimeout(this.timer);
    this.stopper?.abort();
  }

  more() {
    const groups = READING.includes(this.verb) ? ["", "Parameters", "Processors", "Several machines"] : null;
    const form = new OptionsForm(this.verb === "add" ? "ingest" : this.verb, { leaveOut: OWN, groups, changed: (options) => this.set(options, form.names) });
    return folded(t("train.more"), small(t("train.more_what")), form.element);
  }

  fill() {
    if (this.verb === "compare") this.showRuns();
    else swap(this.own, make("ul", { class: "sources" }, ...this.inputs.map((path) => make("li", {}, make("code", {}, name(path))))));
    if (this.verb === "evaluate") this.showMapping();
    if (this.verb === "apply") this.showReader();
    this.preview();
  }

  set(options, names) {
    for (const each of names) delete this.options[each];
    Object.assign(this.options, options);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.preview(), PAUSE_MS);
  }

  // Two runs side by side

  showRuns() {
    const runs = this.app.project(this.project)?.runs.filter(({ kind }) => kind === "train" || kind === "evaluate") ?? [];
    const rows = runs.map((made) => {
      const box = make("input", { type: "checkbox", id: `run-${made.name}`, ...(this.inputs.includes(made.path) ? { checked: "" } : {}) });
      box.addEventListener("change", () => {
        this.inputs = box.checked ? [...this.inputs, made.path] : this.inputs.filter((path) => path !== made.path);
        this.preview();
      });
      const told = [made.accuracy && percent(made.accuracy.value), facts(made)].filter(Boolean).join(" · ");
      return make("div", { class: "check" }, box, make("label", { for: `run-${made.name}` }, make("bdi", {}, made.name), " ", aside(told)));
    });
    swap(this.own, make("fieldset", {}, make("legend", {}, t("step.compare_runs")), ...rows));
  }

  // External data: which of its labels stands for which class

  async showMapping() {
    const made = this.app.project(this.project)?.runs.find(({ path, bundle }) => `${path}/${bundle}` === this.inputs[0]);
    const classes = made?.classes ?? [];
    const source = this.inputs.at(-1);
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    const counting = make("p", { class: "small muted", role: "status" }, t("look.counting"));
    this.own.append(counting);
    try {
      const { look } = await ask("api/look", { body: { sources: [source], options: {} }, signal });
      let now = { state: "running", number: null };
      while (now.state === "running") now = await ask(at(`api/look/${look}`, { since: now.number }), { signal });
      if (now.state === "failed") throw new Error(now.line);
      counting.remove();
      this.mapping(now.listing.classes, classes);
    } catch (error) {
      if (!signal.aborted) counting.replaceWith(problem(error));
    }
  }

  mapping(labels, classes) {
    const own = new Map(labels.map((label) => [label, classes.find((each) => spelling(each) === spelling(label)) ?? ""]));
    const chosen = new Map(own);
    const choose = (label) => (value) => {
      chosen.set(label, value);
      const pairs = [...chosen].filter(([from, to]) => to && own.get(from) !== to).map((pair) => paired(...pair));
      this.set(pairs.length ? { mapping: pairs } : {}, ["mapping"]);
    };
    const choices = classes.map((each) => [each, each]);
    const none = ["", t("step.map_none")]; // a label that is a class stays one
    const rows = labels.map((label) => select(name(label), own.get(label) ? choices : [none, ...choices], own.get(label), choose(label), label));
    if (classes.length) this.own.append(make("fieldset", { class: "picks" }, make("legend", {}, t("step.map")), small(t("step.map_what")), ...rows));
  }

  // Corrected labels: by whom

  showReader() {
    const field = make("input", { type: "text", id: "reader", autocomplete: "name", value: this.app.reader ?? "" });
    field.addEventListener("input", () => {
      this.app.reader = field.value.trim();
      this.set(this.app.reader ? { by: this.app.reader } : {}, ["by"]);
    });
    this.own.append(make("p", { class: "field-row" }, make("label", { for: "reader" }, t("step.apply_by")), field), small(t("step.apply_by_what")));
    if (this.app.reader) this.options.by = this.app.reader;
  }

  get asked() {
    return { project: this.project, verb: this.verb, options: this.options, inputs: this.inputs };
  }

  async preview() {
    const isEnough = this.verb !== "compare" || this.inputs.length > 1;
    this.starts.disabled = !isEnough;
    if (!isEnough) {
      this.commands.show([]);
      swap(this.says, small(t("step.compare_two")));
      return;
    }
    await preview(this);
  }
}
