// Work in hand: one job in full, with stages, rate, time left and the learning curve; and the line of all jobs.

import { Curve } from "./curve.js";
import { make } from "./parts.js";
import { button, Commands, english, link, name, place, problem, small, strong, sure, swap, title } from "./pieces.js";
import { openOf } from "./project.js";
import { ask } from "./server.js";
import { duration, moment, number, percent, t } from "./words.js";

const ENDED = ["done", "failed", "stopped", "interrupted"];
const SAY_EVERY_MS = 15000; // to a screen reader

const ORDER = ["running", "waiting", "interrupted", "failed", "stopped", "done"];

/** What a job is, in the language of the page. */
export const titled = ({ verb, project }) => `${t(`kind.${verb}`)}: ${project}`;

/** Where what a job has made is shown. */
export function madeBy(job, app) {
  if (!job.made) return null;
  const project = app.project(job.project);
  const made = project?.runs.find(({ path }) => path === job.made);
  if (made) return openOf(project, made);
  return project ? place(["project", project.name]) : null;
}

/** Where a training that has failed is chosen anew: the store that it was for has been read. */
function failedOn({ state, verb, project }, app) {
  const store = state === "failed" && verb === "train" && app.project(project)?.stores[0];
  return store ? link(t("job.change"), place("train", { store: store.path, project }), { class: "button", "data-key": "change" }) : null;
}

/** What can be done with a job in its state. */
function actions(job, app, told) {
  const post = (verb) => async () => {
    try {
      await ask(`api/job/${job.id}/${verb}`, { body: {} });
      if (verb === "forget" && window.location.hash === place(["job", job.id])) app.go("#/");
    } catch (error) {
      told(error);
    }
  };
  const stop = async () => (await sure(t("job.stop_sure"), t("job.stop"))) && post("stop")();
  const result = madeBy(job, app);
  return [
    job.state === "done" && result ? link(t("job.open"), result, { class: "button strong", "data-key": "open" }) : null,
    job.state === "running" ? button(t("job.stop"), stop, { "data-key": "stop" }) : null,
    job.state === "waiting" && job.place > 1 ? button(t("job.first"), post("first"), { "data-key": "first" }) : null,
    job.state === "waiting" ? button(t("job.take_out"), post("stop"), { "data-key": "stop" }) : null,
    ENDED.includes(job.state) && job.state !== "done" ? strong(t(job.state === "failed" ? "job.again" : "job.go_on"), post("again"), { "data-key": "again" }) : null,
    failedOn(job, app),
    ENDED.includes(job.state) ? button(t("job.forget"), post("forget"), { "data-key": "forget" }) : null,
  ].filter(Boolean);
}

/** One stage: its name, a bar where it has steps, how far, how fast, how long. */
class Stage {
  constructor(stage) {
    this.bar = make("progress", { max: "1", "aria-label": stage.stage });
    this.says = make("span", { class: "small muted" });
    this.element = make("li", {}, english(stage.stage), this.says, this.bar);
  }

  update({ done, every, note, rate, left_s: left, seconds }, isLast, state) {
    const isOpen = isLast && state === "running";
    const isCounted = every > 1;
    if (isCounted && isLast && state !== "done") this.bar.value = done / every;
    else if (!isOpen) this.bar.value = 1;
    else this.bar.removeAttribute("value"); // nobody knows how far it is
    this.element.classList.toggle("open", isOpen);
    const parts = [
      isCounted ? t("job.of", { done, every }) : "",
      isOpen && rate ? t("job.rate", { rate: number(rate, rate < 10 ? 1 : 0) }) : "",
      isOpen && left ? t("job.left", { time: duration(left) }) : "",
      !isOpen && seconds ? duration(seconds) : "",
    ].filter(Boolean);
    this.says.replaceChildren(parts.join(" · "), note ? english(parts.length ? ` · ${note}` : note) : "");
  }
}

/** All jobs that are not done, in their order: what runs, what waits, what has failed. */
export class Line {
  constructor(app) {
    this.app = app;
    this.rows = make("ul", { class: "plain" });
    this.problem = make("div");
    this.element = make("section", { class: "card line", "aria-labelledby": "line" }, make("h2", { id: "line" }, t("line.title")), this.problem, this.rows);
    this.seen = "";
  }

  update({ jobs }) {
    const open = jobs.filter(({ state }) => state !== "done");
    open.sort((a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || (a.place ?? 0) - (b.place ?? 0));
    this.element.hidden = open.length === 0;
    const now = JSON.stringify(open.map(({ id, state, place: at }) => [id, state, at]));
    if (now !== this.seen) swap(this.rows, ...open.map((job) => this.row(job)));
    this.seen = now;
  }

  row(job) {
    const state = make("span", { class: `state ${job.state}` }, t(`job.state.${job.state}`));
    const line = job.line ? make("p", { class: "small wrong", lang: "en" }, job.line) : null;
    const acts = actions(job, this.app, (error) => swap(this.problem, problem(error)));
    for (const act of acts) act.dataset.key += job.id;
    return make("li", { class: "made" }, make("div", {}, link(name(titled(job)), place(["job", job.id]), { class: "made-name" }), " ", state, line), make("p", { class: "actions" }, ...acts));
  }
}

export function show({ parts: [id] }, app) {
  return new Job(id, app);
}

class Job {
  constructor(id, app) {
    Object.assign(this, { id, app, stages: new Map(), was: "", saidAt: Date.now(), saidStage: "", mended: "" });
    this.heading = title("");
    this.back = make("p", { class: "small" });
    this.about = make("p", { class: "small muted" });
    this.head = make("div", { class: "head" }, this.back, this.heading, this.about);
    this.alert = make("div");
    this.list = make("ol", { class: "stages" });
    this.between = make("p", { class: "between small muted" }, t("job.between"), make("progress", { "aria-label": t("job.between") }));
    this.curve = new Curve();
    this.acts = make("p", { class: "actions" });
    this.hint = small(t("job.may_close"));
    this.commands = new Commands(app);
    this.line = new Line(app);
    this.element = make("div", {}, this.head, this.alert, this.list, this.between, this.curve.element, this.acts, this.hint, this.commands.element, this.line.element);
    this.parts = [this.back, this.about, this.alert, this.list, this.between, this.hint];
    this.state(app.state);
  }

  state(now) {
    const job = now.jobs.find(({ id }) => id === this.id);
    this.line.update({ jobs: now.jobs.filter(({ id, state }) => id !== this.id && state !== "failed" && state !== "stopped") });
    if (!job) {
      this.heading.textContent = t("gone.job");
      swap(this.acts, link(t("home.title"), "#/"));
      for (const part of this.parts) part.hidden = true;
      this.mended = "";
      return;
    }
    for (const part of this.parts) part.hidden = false;
    this.write(job);
    if (job.state === "done" && this.was && this.was !== "done") this.openResult(job);
    else this.was = job.state;
  }

  /** Who has watched it gets the report as soon as it is there. */
  openResult(job) {
    const result = madeBy(job, this.app);
    if (!result) return; // the list of what was made comes with the next state
    this.was = job.state;
    if (!document.querySelector("dialog[open]")) this.app.replace(result);
  }

  write(job) {
    if (this.heading.textContent !== titled(job)) {
      this.heading.replaceChildren(name(titled(job)));
      swap(this.back, link(name(job.project), place(["project", job.project])));
      this.app.titled();
    }
    const steps = job.commands.length > 1 && job.state === "running" ? t("job.step", { n: job.step + 1, every: job.commands.length }) : "";
    const waits = job.state === "waiting" && job.place > 0 ? t("job.place", { n: job.place }) : "";
    const began = job.started ? t("job.began", { when: moment(job.started) }) : "";
    this.about.textContent = [t(`job.state.${job.state}`), waits, steps, began].filter(Boolean).join(" · ");
    this.showStages(job);
    this.curve.show(job.curve);
    this.commands.show(job.commands);
    this.hint.hidden = job.state !== "running" && job.state !== "waiting";
    const key = JSON.stringify([job.state, job.place, job.made, job.line, madeBy(job, this.app)]);
    if (key === this.mended) return;
    this.mended = key;
    swap(this.acts, ...actions(job, this.app, (error) => swap(this.alert, problem(error))));
    swap(this.alert, this.ended(job));
  }

  /** Why it has ended without a result, as the terminal would say it, and what can be done. */
  ended(job) {
    if (job.state === "interrupted") return make("p", { class: "notice" }, t("job.interrupted"));
    if (job.state === "stopped") return make("p", { class: "notice" }, t("job.stopped"));
    if (job.state !== "failed") return null;
    return make("div", { class: "problem", role: "alert" }, make("p", {}, job.line ? english(job.line) : t("job.no_line")), make("p", { class: "small" }, t("job.what_to_do")));
  }

  showStages(job) {
    const now = job.progress;
    for (const [index, stage] of now.entries()) {
      const key = `${index} ${stage.stage}`;
      if (!this.stages.has(key)) {
        const made = new Stage(stage);
        this.stages.set(key, made);
        this.list.append(made.element);
      }
      this.stages.get(key).update(stage, index === now.length - 1, job.state);
    }
    const last = now.at(-1);
    this.between.hidden = job.state !== "running" || (last !== undefined && last.done < last.every);
    if (job.state === "running" && last) this.say(last);
  }

  say({ stage, done, every }) {
    const isNew = stage !== this.saidStage;
    if (!isNew && Date.now() - this.saidAt < SAY_EVERY_MS) return;
    Object.assign(this, { saidStage: stage, saidAt: Date.now() });
    this.app.say(every > 1 && !isNew ? `${stage}: ${percent(done / every, 0)}` : stage);
  }
}
