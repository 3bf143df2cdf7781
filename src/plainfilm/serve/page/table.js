// The table of answers: rows in steps, sorted and filtered. Holds no answers: it shows entries.

import { bar, chip, make, $ } from "./parts.js";
import { LEVELS, likely, moved, noticed, odd, said, shown } from "./answers.js";

const STEP = 200; // rows put in at once
const STATES = { waiting: "Waiting", sending: "Sending", failed: "Not answered" };
const KINDS = { flagged: "caution", unsure: "caution", refused: "caution", unreadable: "warning" };

export class Table {
  /** `opens(entry)` is called for the entry whose detail is asked for. */
  constructor(opens) {
    this.opens = opens;
    this.model = null;
    this.prevalence = null;
    this.entries = [];
    this.order = [];
    this.sort = { key: "number", down: false }; // as they were given
    this.rows = new Map();
    this.shownRows = 0;
    $("rows").addEventListener("click", (event) => this.clicked(event));
    $("rows").addEventListener("keydown", (event) => this.key(event));
    $("find").addEventListener("input", () => this.arrange());
    $("needs-look").addEventListener("change", () => this.arrange());
    $("more").addEventListener("click", () => this.more());
    new IntersectionObserver((seen) => seen.some((each) => each.isIntersecting) && this.more(), { rootMargin: "600px" }).observe($("more"));
  }

  /** Make the head for a model. */
  start(model) {
    this.model = model;
    this.prevalence = model.calibrated_at_prevalence;
    const columns = [
      ["file", "File"],
      ["answer", "Answer"],
      ["chance", model.positive === null ? "Most probable" : `Probability of ${model.positive}`],
      ["notes", "Noticed"],
    ];
    const heads = columns.map(([key, words]) => {
      const button = make("button", { type: "button", class: "sort" }, words, make("span", { "aria-hidden": "true", class: "way" }));
      button.addEventListener("click", () => this.sortBy(key));
      return make("th", { scope: "col", role: "columnheader", class: `c-${key}`, "data-key": key, "aria-sort": "none" }, button);
    });
    $("heads").replaceChildren(...heads);
    this.markSort();
  }

  sortBy(key) {
    this.sort = { key, down: this.sort.key === key ? !this.sort.down : key === "chance" };
    this.markSort();
    this.arrange();
  }

  markSort() {
    for (const head of $("heads").children) {
      const own = head.dataset.key === this.sort.key;
      head.setAttribute("aria-sort", own ? (this.sort.down ? "descending" : "ascending") : "none");
    }
  }

  /** Take further entries; they go to the end until the next sorting. */
  add(entries) {
    this.entries = this.entries.concat(entries);
    this.order = this.order.concat(entries.filter((entry) => this.fits(entry)));
    this.fill(Math.max(STEP, this.shownRows));
  }

  clear() {
    this.entries = [];
    this.arrange();
  }

  /** Sort and filter anew after answers came, if the rows are sorted or filtered by them; as many rows stay as there are. */
  settle() {
    if (this.sort.key !== "number" || $("needs-look").checked || $("find").value.trim()) this.arrange(Math.max(STEP, this.shownRows));
  }

  /** Entries in the order and with the filter that are shown. */
  get visible() {
    return this.order;
  }

  fits(entry) {
    const { prediction } = entry;
    if ($("needs-look").checked && !(prediction ? odd(prediction) : entry.state === "failed")) return false;
    const asked = $("find").value.trim().toLowerCase();
    if (!asked) return true;
    const words = prediction ? [said(prediction), LEVELS[prediction.level] ?? "", ...noticed(prediction)] : [STATES[entry.state], entry.problem];
    return [entry.name, ...words].join("\n").toLowerCase().includes(asked);
  }

  /** Sort and filter anew. */
  arrange(rows = STEP) {
    const focused = document.activeElement?.closest("#rows tr")?.entry;
    const value = {
      number: (entry) => entry.number,
      file: (entry) => entry.name,
      answer: (entry) => (entry.prediction ? `${entry.prediction.class ?? "\uffff"} ${said(entry.prediction)}` : "\uffff\uffff"),
      chance: (entry) => (entry.prediction ? (shown(entry.prediction, this.model) ?? -1) : -2),
      notes: (entry) => (entry.prediction ? noticed(entry.prediction).join("; ") : entry.problem),
    }[this.sort.key];
    const names = new Intl.Collator("en", { numeric: true }).compare;
    const keyed = this.entries.filter((entry) => this.fits(entry)).map((entry) => [value(entry), entry]);
    keyed.sort(([a, one], [b, other]) => (typeof a === "number" ? a - b : names(a, b)) * (this.sort.down ? -1 : 1) || one.number - other.number);
    this.order = keyed.map(([, entry]) => entry);
    $("rows").replaceChildren();
    this.rows.clear();
    this.shownRows = 0;
    this.fill(rows);
    if (focused) this.focus(focused);
  }

  more() {
    this.fill(this.shownRows + STEP);
  }

  fill(to) {
    const most = Math.min(to, this.order.length);
    const added = this.order.slice(this.shownRows, most).map((entry) => this.row(entry));
    $("rows").append(...added);
    this.shownRows = most;
    const left = this.order.length - most;
    $("more").hidden = left === 0;
    $("more").textContent = `Show ${Math.min(left, STEP)} more of ${left.toLocaleString("en")}`;
    $("none").hidden = this.order.length > 0 || this.entries.length === 0;
  }

  /** Write the rows of these entries again, where they stand. */
  update(entries) {
    for (const entry of entries) {
      const row = this.rows.get(entry);
      if (row) this.write(row, entry);
    }
  }

  updateAll() {
    for (const [entry, row] of this.rows) this.write(row, entry);
  }

  row(entry) {
    const name = make("button", { type: "button", class: "name" }, make("bdi", {}, entry.name));
    const row = make("tr", { role: "row" },
      make("th", { scope: "row", role: "rowheader", class: "c-file" }, name),
      make("td", { role: "cell", class: "c-answer" }),
      make("td", { role: "cell", class: "c-chance" }),
      make("td", { role: "cell", class: "c-notes" }));
    row.entry = entry;
    this.rows.set(entry, row);
    this.write(row, entry);
    return row;
  }

  write(row, entry) {
    const { prediction, state, problem } = entry;
    const [head, answer, chance, notes] = row.children;
    row.dataset.state = state;
    head.firstChild.setAttribute("aria-disabled", String(!prediction));
    answer.replaceChildren(...this.answer(entry));
    chance.replaceChildren(...(prediction ? this.chance(prediction) : []));
    notes.textContent = prediction ? noticed(prediction).join("; ") : problem;
    notes.classList.toggle("wrong", state === "failed");
  }

  answer({ prediction, state }) {
    if (!prediction) return [make("span", { class: "muted" }, STATES[state])];
    const word = prediction.class === null ? null : make("bdi", { class: "class" }, prediction.class);
    if (!(prediction.level in LEVELS)) return [word];
    const mark = make("span", { class: "chip small-chip" });
    chip(mark, LEVELS[prediction.level], KINDS[prediction.level]);
    return word ? [word, " ", mark] : [mark];
  }

  chance(prediction) {
    const value = shown(prediction, this.model);
    if (value === null) return [];
    const at = moved(value, this.model.calibrated_at_prevalence, this.prevalence);
    const isMoved = at !== null && this.prevalence !== this.model.calibrated_at_prevalence;
    const isVoid = prediction.level === "refused"; // its probability means nothing: no bar to compare
    const line = make("span", { class: isVoid ? "chance void" : "chance" }, make("span", { class: "figure" }, likely(value)), isVoid ? null : bar(value, this.model.threshold));
    if (!isMoved || prediction.class === null) return [line];
    return [line, make("span", { class: "small muted moved" }, `${likely(at)} at ${Number((100 * this.prevalence).toPrecision(3))}\u202f%`)];
  }

  clicked(event) {
    const entry = event.target.closest("tr")?.entry;
    if (!entry?.prediction || String(window.getSelection()) !== "") return;
    event.target.closest("tr").querySelector("button").focus({ preventScroll: true });
    this.opens(entry);
  }

  key(event) {
    const way = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
    const row = way && event.target.closest("tr")?.[way];
    if (!row) return;
    event.preventDefault();
    row.querySelector("button").focus();
  }

  /** Put the focus on an entry's row; where the filter hides it, on the heading. */
  focus(entry) {
    const at = this.order.indexOf(entry);
    if (at >= this.shownRows) this.fill(at + 1);
    (this.rows.get(entry)?.querySelector("button") ?? $("results-title")).focus();
  }
}
