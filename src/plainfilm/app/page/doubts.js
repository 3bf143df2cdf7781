// Doubtful labels, one film after the other beside what speaks against its label; decided by key or click, and undone the same way.

import { make } from "./parts.js";
import { aside, button, link, name, place, problem, small, swap, title } from "./pieces.js";
import { ask, at } from "./server.js";
import { percent, t } from "./words.js";

const MANY = 20;
const KEYS = 9;

/** A film, and what it is; the words are those of `relabel`. */
const figure = ({ caption, src }) =>
  make("figure", {}, make("img", { src, alt: caption, width: "256", height: "256" }), make("figcaption", { lang: "en" }, caption));

export function show({ parts: [project, called] }, app) {
  return new Doubts(project, called, app);
}

class Doubts {
  constructor(project, called, app) {
    Object.assign(this, { app, project, called, rows: [], number: 0, decided: 0, at: 0, done: [], turn: Promise.resolve() });
    this.made = app.made(project, called);
    this.film = make("section", { class: "film", role: "group", "aria-labelledby": "film-title" });
    this.says = make("div");
    this.place = make("p", { class: "muted", id: "doubt-place" });
    this.foot = make("div", { class: "doubt-foot" });
    const back = make("p", { class: "small" }, link(name(project), place(["project", project])));
    const head = make("div", { class: "head" }, back, title(t("doubts.title")), make("p", { class: "small" }, t("doubts.what")));
    this.element = make("div", { class: "doubts" }, head, this.says, this.film, this.foot);
    this.keys = (event) => this.key(event);
    document.addEventListener("keydown", this.keys);
    this.begin();
  }

  leave() {
    document.removeEventListener("keydown", this.keys);
  }

  async begin() {
    if (!this.made) {
      swap(this.says, make("p", {}, t("gone.run")));
      this.film.hidden = true;
      return;
    }
    if (!(await this.read(0))) {
      this.film.hidden = true;
      return;
    }
    const open = this.rows.findIndex((row) => row && !row.correction);
    this.at = Math.max(0, open);
    this.draw();
  }

  /** Read rows from a place on, unless they are there; false where they cannot be read. */
  async read(from) {
    if (this.rows[from]) return true;
    try {
      const { number, rows, decided } = await ask(at("api/doubts", { made: this.made.path, from, many: MANY }));
      Object.assign(this, { number, decided });
      for (const [index, row] of rows.entries()) this.rows[from + index] = row;
      return true;
    } catch (error) {
      swap(this.says, problem(error));
      return false;
    }
  }

  draw() {
    const row = this.rows[this.at];
    if (!row) {
      swap(this.film, make("p", { id: "film-title" }, t("doubts.none")));
      this.drawFoot();
      return;
    }
    const like = row.suggested ? [" · ", t("doubts.like"), " ", make("strong", {}, name(row.suggested))] : [];
    const label = make("p", { class: "doubt-label" }, t("doubts.label"), " ", make("strong", {}, name(row.label)), ...like);
    const heading = make("h2", { id: "film-title" }, name(row.file));
    const figures = make("div", { class: "side-by-side" }, ...row.pictures.map(figure));
    const known = Object.entries(row.chances).filter(([, chance]) => typeof chance === "number");
    const chances = known.map(([each, chance]) => `${each} ${percent(chance, 0)}`).join(" · ");
    const question = make("p", { id: "question" }, row.finding ? t("doubts.question_finding", { finding: row.finding }) : t("doubts.question"));
    const choices = row.choices.map((each, index) => this.choice(each, index, row));
    const group = make("div", { class: "choices", role: "group", "aria-labelledby": "question" }, ...choices);
    const told = small(t("doubts.chances"), " ", name(chances));
    swap(this.film, make("div", { class: "doubt-head" }, heading, this.place), label, figures, told, question, group, this.steps());
    this.place.textContent = t("doubts.place", { n: this.at + 1, every: this.number, decided: this.decided });
    this.drawFoot();
  }

  choice(each, index, row) {
    const isChosen = row.correction === each;
    const made = button("", () => this.then(() => this.decide(isChosen ? null : each)), { class: "button choice", "aria-pressed": String(isChosen), "data-key": `class ${index}` });
    if (index < KEYS) {
      made.append(make("kbd", { "aria-hidden": "true" }, String(index + 1)));
      made.setAttribute("aria-keyshortcuts", String(index + 1));
    }
    made.append(make("bdi", {}, each), row.label === each ? make("span", { class: "small" }, t("doubts.as_it_is")) : "");
    return made;
  }

  steps() {
    const back = button(t("doubts.previous"), () => this.then(() => this.go(-1)), { "data-key": "back", "aria-keyshortcuts": "ArrowLeft" });
    const next = button(t("doubts.next"), () => this.then(() => this.go(1)), { "data-key": "next", "aria-keyshortcuts": "ArrowRight" });
    const undo = button(t("doubts.undo"), () => this.then(() => this.undo()), { "data-key": "undo", "aria-keyshortcuts": "z" });
    back.disabled = this.at === 0;
    next.disabled = this.at >= this.number - 1;
    undo.disabled = this.done.length === 0;
    return make("p", { class: "actions" }, back, next, undo, aside(t("doubts.keys")));
  }

  drawFoot() {
    const page = this.made?.page && link(t("doubts.page"), place(["run", this.project, this.called]), { class: "button" });
    const applied = link(t("doubts.apply"), place(["step", "apply", this.project], { in: [this.made.path, this.made.store] }), { class: "button strong", "data-key": "apply" });
    const told = make("p", {}, t("doubts.decided", { n: this.decided }));
    swap(this.foot, told, make("p", { class: "actions" }, this.decided ? applied : null, page || ""));
  }

  /** One thing after the other, however fast the keys come. */
  then(work) {
    this.turn = this.turn.then(work);
  }

  async go(by) {
    const to = this.at + by;
    if (to < 0 || to >= this.number) return;
    if (!(await this.read(to))) return;
    this.at = to;
    this.draw();
    this.app.say(`${this.rows[to].file}: ${this.rows[to].label}. ${this.place.textContent}`);
  }

  /** Take a decision and go to the next film; what is decided is kept by the server at once. */
  async decide(correction) {
    const at = this.at;
    const row = this.rows[at];
    if (!(await this.send(row, correction))) return;
    this.done.push({ at, before: row.correction });
    row.correction = correction ?? "";
    if (correction !== null && at < this.number - 1) await this.go(1);
    else this.draw();
  }

  async undo() {
    const last = this.done.at(-1);
    if (!last) return;
    const row = this.rows[last.at];
    if (!(await this.send(row, last.before || null))) return;
    this.done.pop();
    row.correction = last.before;
    this.at = last.at;
    this.draw();
    this.app.say(t("doubts.undone", { file: row.file }));
  }

  async send(row, correction) {
    try {
      const { decided } = await ask("api/doubts", { body: { made: this.made.path, sha256: row.sha256, finding: row.finding, correction } });
      this.decided = decided;
      swap(this.says);
      return true;
    } catch (error) {
      swap(this.says, problem(error));
      return false;
    }
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea") || document.querySelector("dialog[open]")) return;
    const row = this.rows[this.at];
    const picked = Number(event.key);
    if (row && picked >= 1 && picked <= Math.min(KEYS, row.choices.length)) this.then(() => this.decide(row.choices[picked - 1]));
    else if (event.key === "ArrowRight") this.then(() => this.go(1));
    else if (event.key === "ArrowLeft") this.then(() => this.go(-1));
    else if (event.key === "z" || event.key === "u") this.then(() => this.undo());
    else return;
    event.preventDefault();
  }
}
