// Three ways to train in plain words, the rest behind "More", and the commands that will run.

import { begin, preview } from "./begin.js";
import { OptionsForm } from "./options.js";
import { make } from "./parts.js";
import { aside, folded, select, small, strong, swap } from "./pieces.js";
import { t } from "./words.js";

const WAYS = ["quick", "paper", "hospitals"];
const OWN = ["store", "out", "positive", "overwrite", "quiet", "json", "resume"]; // chosen elsewhere, or by the app
const READING = "Reading radiographs"; // stands above, where a folder is read
const PAUSE_MS = 300;

export class Training {
  constructor(app, commands, { project = null, store = null }) {
    Object.assign(this, { app, commands, project, store, sources: null, read: {}, way: "quick", positive: "", options: {}, timer: 0 });
    this.ways = make("div", { class: "ways" }, ...WAYS.map((way) => this.choice(way)));
    this.positives = make("div", { class: "picks" });
    this.more = new OptionsForm("train", { leaveOut: OWN, without: READING, changed: (options) => this.set({ options }) });
    this.few = make("div");
    this.says = make("div");
    this.starts = strong(t("train.start"), () => begin(this, "api/train"), { id: "train" });
    const more = folded(t("train.more"), small(t("train.more_what")), this.more.element);
    const fields = make("fieldset", { class: "train-ways" }, make("legend", {}, t("train.how")), this.ways);
    const actions = make("p", { class: "actions" }, this.starts, aside(t("train.stays")));
    this.element = make("section", { class: "train" }, fields, this.positives, more, this.few, this.says, actions);
  }

  choice(way) {
    const field = make("input", { type: "radio", name: "way", value: way, id: `way-${way}`, ...(way === "quick" ? { checked: "" } : {}) });
    field.addEventListener("change", () => this.set({ way }));
    const words = make("label", { for: `way-${way}` }, make("strong", {}, t(`train.${way}`)));
    words.append(make("span", { class: "small" }, t(`train.${way}_what`)), aside(t(`train.${way}_time`)));
    return make("div", { class: "way-card" }, field, words);
  }

  /** What is trained on, as far as it is known: two classes have a positive one. */
  know({ classes, task, positive = null }) {
    const isTwo = classes.length === 2 && task !== "findings";
    if (!isTwo || !classes.includes(this.positive)) this.positive = "";
    Object.assign(this, { isFew: classes.length < (task === "findings" ? 1 : 2), mustName: isTwo && positive === null });
    const byName = positive === null ? t("train.positive_choose") : positive ? t("train.positive_is", { class: positive }) : t("train.positive_auto");
    const choices = [["", byName], ...classes.map((each) => [each, each])];
    swap(this.positives, isTwo ? select(t("train.positive"), choices, this.positive, (chosen) => this.name(chosen), "positive") : null);
    this.allow();
    preview(this);
  }

  name(positive) {
    this.set({ positive });
    this.allow();
  }

  /** Who could not be trained on is told why, before anything is read. */
  allow() {
    const wanting = this.isFew ? t("train.too_few") : this.mustName && !this.positive ? t("train.positive_which") : "";
    this.starts.disabled = wanting !== "";
    swap(this.few, wanting ? make("p", { class: "notice" }, wanting) : null);
  }

  /** Until the look has ended, no one trains on what it has not found. */
  wait() {
    this.starts.disabled = true;
  }

  with({ project, sources, read }) {
    Object.assign(this, { project, sources, read });
  }

  set(changes) {
    Object.assign(this, changes);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => preview(this), PAUSE_MS);
  }

  get asked() {
    const { recipe = this.way, ...more } = this.options;
    const options = { ...more, ...(this.positive ? { positive: this.positive } : {}) };
    return { project: this.project, sources: this.sources, store: this.store, read: this.read, recipe, options };
  }
}
