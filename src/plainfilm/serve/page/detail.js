// One film in full: the answer with what stands against it, the picture with the heatmap, the way to the next film.

import { LEVELS, calledFrom, likely, meaning, moved, noticed, percent, said, shown } from "./answers.js";
import { ask } from "./api.js";
import { $, bar, chip, make } from "./parts.js";
import { Viewer, drawScale } from "./viewer.js";

const KEPT = 6; // explained films held in memory

export class Detail {
  /** `around()` gives the entries in the order of the table; `learnt(entry)` is called when more is known of one. */
  constructor({ around, learnt, left }) {
    this.around = around;
    this.learnt = learnt;
    this.model = null;
    this.prevalence = null;
    this.entry = null;
    this.kept = new Map();
    this.stopper = null;
    this.viewer = new Viewer($("film"), (viewer) => this.showView(viewer));
    drawScale($("scale"));
    this.listen();
    $("detail").addEventListener("close", () => {
      this.stopper?.abort();
      left(this.entry);
    });
  }

  start(model) {
    this.model = model;
    this.prevalence = model.calibrated_at_prevalence;
  }

  open(entry) {
    $("detail").showModal();
    this.show(entry);
    $("detail-title").focus();
  }

  setPrevalence(prevalence) {
    this.prevalence = prevalence;
    if (this.entry) this.showAnswer();
  }

  get films() {
    return this.around().filter((entry) => entry.prediction);
  }

  step(by) {
    const films = this.films;
    const next = films[films.indexOf(this.entry) + by];
    if (next) this.show(next);
  }

  show(entry) {
    this.entry = entry;
    this.showAnswer();
    this.showPlace();
    this.showFilm(entry);
  }

  showPlace() {
    const films = this.films;
    const at = films.indexOf(this.entry);
    $("detail-title").textContent = this.entry.name;
    $("detail-place").textContent = at < 0 ? "" : `${(at + 1).toLocaleString("en")} of ${films.length.toLocaleString("en")}`;
    // aria-disabled, not disabled: a button that loses the focus at the last film would be a trap
    $("previous").setAttribute("aria-disabled", String(at <= 0));
    $("next").setAttribute("aria-disabled", String(at < 0 || at >= films.length - 1));
  }

  showAnswer() {
    const { prediction } = this.entry;
    const { model } = this;
    const word = said(prediction);
    const value = shown(prediction, model);
    $("answer-word").textContent = word;
    $("answer-level").hidden = true;
    if (prediction.level === "flagged") chip($("answer-level"), LEVELS.flagged, "caution");
    $("detail-short").textContent = [word, prediction.level === "flagged" ? "flagged" : null, prediction.class && likely(value)].filter(Boolean).join(", ");
    $("answer-bars").replaceChildren(...this.bars(prediction, value));
    $("answer-meaning").textContent = prediction.level === "refused"
      ? "Unlike anything the model was trained on: its probability means nothing here."
      : prediction.level === "unsure"
      ? `${prediction.unsure ? `Between its two thresholds: ${prediction.unsure.join(", ")}` : "Between the thresholds of both classes"}. ${model.three_answers ?? ""}`
      : meaning(prediction, model, this.prevalence);
    for (const id of ["answer-worth", "detail-share"]) $(id).hidden = prediction.class === null || (id === "detail-share" && model.positive === null);
    const remarks = noticed(prediction);
    $("against").replaceChildren(...(remarks.length ? remarks : ["Nothing out of the ordinary."]).map((each) => make("li", {}, each.charAt(0).toUpperCase() + each.slice(1))));
    const chances = model.classes.filter((name) => name in prediction.probabilities);
    $("chances").replaceChildren(...chances.map((name) =>
      make("tr", {}, make("th", { scope: "row" }, make("bdi", {}, name)), make("td", {}, likely(prediction.probabilities[name])), make("td", {}, bar(prediction.probabilities[name], model.thresholds?.[name] ?? null)))));
    $("chances").parentElement.hidden = chances.length === 0;
  }

  bars(prediction, value) {
    if (value === null) return [];
    const { model, prevalence } = this;
    const name = model.positive ?? model.classes.find((each) => prediction.probabilities[each] === value);
    const threshold = model.positive === null ? null : model.threshold;
    const figures = [this.figure(`Probability of ${name}`, value, threshold, prediction.level === "refused")];
    if (threshold !== null) figures.push(make("p", { class: "small muted mark-says" }, make("b", { "aria-hidden": "true" }), calledFrom(model)));
    const calibrated = model.calibrated_at_prevalence;
    if (calibrated !== null && prevalence !== calibrated && prediction.class !== null) {
      figures.push(this.figure(`Where ${Number((100 * prevalence).toPrecision(3))}\u202f% have it`, moved(value, calibrated, prevalence), null, false));
    }
    return figures;
  }

  figure(words, value, threshold, isVoid) {
    return make("p", { class: isVoid ? "large void" : "large" }, make("span", { class: "muted" }, words), make("strong", {}, likely(value)), bar(value, threshold));
  }

  async showFilm(entry) {
    this.stopper?.abort();
    this.stopper = new AbortController();
    const { signal } = this.stopper;
    this.viewer.clear();
    this.allow(false);
    $("heat-says").textContent = "";
    if (entry.prediction.level === "unreadable") {
      this.says("No picture: the file cannot be read.");
      return;
    }
    this.says("Reading the radiograph …");
    try {
      const answer = this.kept.get(entry) ?? (await this.explain(entry, signal));
      const put = await this.viewer.read(answer.picture, answer.heatmap);
      if (signal.aborted) return;
      this.keep(entry, answer);
      put();
      this.says(answer.picture ? "" : "No picture: the file cannot be read.");
      this.allow(answer.picture !== null, answer.heatmap !== null);
      this.sayHeat(answer);
    } catch (error) {
      if (!signal.aborted) this.says(`No picture: ${error.message ?? "it could not be shown."}`);
    }
  }

  async explain(entry, signal) {
    const body = () => {
      const form = new FormData();
      form.append("files", entry.file, entry.name);
      return form;
    };
    const answer = await ask("explain", { body, signal, onWait: () => this.says("The server is busy; waiting …") });
    entry.prediction.attribution_in_lungs = answer.prediction.attribution_in_lungs;
    if (!signal.aborted) this.showAnswer();
    this.learnt(entry);
    return answer;
  }

  keep(entry, answer) {
    this.kept.delete(entry);
    this.kept.set(entry, answer);
    if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
  }

  forget() {
    this.kept.clear();
    this.entry = null;
  }

  sayHeat({ heatmap, explained, method }) {
    const how = { gradcam: "Grad-CAM", occlusion: "occlusion" }[method] ?? method;
    $("heat-says").textContent = heatmap
      ? `What spoke for ${explained} (${how}). The map says what moved the answer; not why, nor that the answer is right. The line goes round its upper half.`
      : "No heatmap: there is no answer to explain.";
    $("film").setAttribute("aria-label", `Radiograph ${this.entry.name}${heatmap ? `, with a heatmap of what spoke for ${explained}` : ""}`);
  }

  says(words) {
    $("stage-says").textContent = words;
  }

  allow(film, heat = false) {
    for (const control of $("controls").querySelectorAll("button, input")) control.disabled = !film;
    $("strength").disabled = !heat;
  }

  showView(viewer) {
    $("zoom-says").textContent = `${Math.round(100 * viewer.view.zoom)} %`;
    $("invert").setAttribute("aria-pressed", String(viewer.inverted));
    this.slide("window", viewer.tones.window, `${viewer.tones.window}`);
    this.slide("level", viewer.tones.level, `${viewer.tones.level}`);
    const strength = Math.round(100 * viewer.strength);
    this.slide("strength", strength, strength === 0 ? "plain film" : `${strength} %`);
  }

  slide(id, value, words) {
    $(id).value = value;
    $(id).setAttribute("aria-valuetext", words);
    $(`${id}-says`).textContent = words;
  }

  listen() {
    const { viewer } = this;
    $("previous").addEventListener("click", () => this.step(-1));
    $("next").addEventListener("click", () => this.step(1));
    $("zoom-in").addEventListener("click", () => viewer.zoomBy(1.25));
    $("zoom-out").addEventListener("click", () => viewer.zoomBy(0.8));
    $("fit").addEventListener("click", () => viewer.fit());
    $("reset").addEventListener("click", () => viewer.reset());
    $("invert").addEventListener("click", () => viewer.set({ inverted: !viewer.inverted }));
    $("strength").addEventListener("input", () => viewer.set({ strength: $("strength").valueAsNumber / 100 }));
    for (const id of ["window", "level"]) $(id).addEventListener("input", () => viewer.setTones({ [id]: $(id).valueAsNumber }));
    $("detail").addEventListener("keydown", (event) => {
      const by = { PageUp: -1, PageDown: 1 }[event.key];
      if (!by || event.target instanceof HTMLInputElement) return;
      event.preventDefault();
      this.step(by);
    });
  }
}
