// Corrections of what a look found. Each is one option of `plainfilm ingest`; nothing is worked out here.

import { ARCHIVE } from "./drop.js";
import { paired, pairOf } from "./names.js";
import { OptionsForm } from "./options.js";
import { make } from "./parts.js";
import { button, folded, name, pick, select, small, swap } from "./pieces.js";
import { ask, at } from "./server.js";
import { t } from "./words.js";

const ROLES = [["class", "role.class"], ["split", "role.split"], ["source", "role.source"], ["patient", "role.patient"], ["-", "role.none"]];
const COLUMNS = ["label_column", "file_column", "patient_column", "source_column"];
const OWN = ["sources", "out", "classes", "mapping", "layout", "labels", "preset", ...COLUMNS]; // shown by themselves
const PICTURE_PX = 256;

export class Corrections {
  /** `corrected(read, left)` is called with the options of reading that are wanted, and the classes left out. */
  constructor(app, corrected) {
    this.app = app;
    this.corrected = corrected;
    this.classes = make("section", { class: "classes", "aria-labelledby": "classes-title" });
    this.joins = make("div", { class: "joins" });
    this.levels = make("div", { class: "levels" });
    this.table = make("div", { class: "picks" });
    this.preset = make("div", { class: "picks" });
    this.more = new OptionsForm("ingest", { leaveOut: OWN, groups: ["Reading radiographs"], changed: (values) => this.further(values) });
    const body = make("div", { class: "folded" }, this.joins, this.levels, this.table, this.preset, this.more.element);
    this.element = folded(make("h2", {}, t("correct.title")), small(t("correct.what")), body);
  }

  /** What is asked for from now on, also before it was looked at: the next correction adds to it. */
  asked(read, left) {
    Object.assign(this, { read, left });
    if (!this.more.element.contains(document.activeElement)) this.more.set(read);
  }

  /** Show what was found, so that it can be corrected; without a listing the look has failed. */
  async know({ given, listing }) {
    const isFirst = String(this.given) !== String(given);
    const { read } = this;
    this.given = given;
    if (listing) this.showClasses(listing);
    this.showLevels(listing?.levels ?? []);
    if (isFirst || !listing) this.element.open = !listing || Object.keys(read).some((key) => key !== "classes");
    if (isFirst) {
      await this.more.ready;
      this.more.set(read);
      this.findTables();
    }
    this.showJoins(listing?.classes ?? []);
    this.showTable();
    this.showPreset();
  }

  set(changes, left = this.left) {
    const read = { ...this.read, ...changes };
    for (const [key, value] of Object.entries(read)) if (value === "" || value === null || value?.length === 0) delete read[key];
    this.corrected(read, left);
  }

  further(values) {
    const cleared = Object.fromEntries(this.more.names.map((key) => [key, null]));
    this.set({ ...cleared, ...values });
  }

  // Classes

  showClasses({ classes, counts, examples, task }) {
    const all = [...classes, ...this.left.filter((each) => !classes.includes(each))];
    const isFew = classes.length <= 2; // fewer cannot be trained on
    const isFixed = isFew && !this.left.length;
    const cards = all.map((each) => this.card(each, { counts: counts[each], examples: examples?.[each] ?? [], isFew, isFixed, isKept: classes.includes(each), all }));
    const heading = make("h2", { id: "classes-title" }, t(task === "findings" ? "look.findings" : "look.classes"));
    swap(this.classes, heading, isFixed ? null : small(t("correct.classes_what")), make("ul", { class: "class-cards" }, ...cards));
  }

  card(each, { counts, examples, isFew, isFixed, isKept, all }) {
    const box = make("input", { type: "checkbox", "data-key": `class ${each}`, ...(isKept ? { checked: "" } : {}) });
    box.disabled = isKept && isFew;
    box.addEventListener("change", () => this.keep(each, box.checked, all));
    const count = Object.values(counts ?? {}).reduce((sum, n) => sum + n, 0);
    const label = isFixed ? make("strong", { class: "class-name" }, name(each)) : make("label", { class: "class-name" }, box, name(each));
    const told = make("span", { class: "muted" }, isKept ? t("count.images", { n: count }) : t("correct.left_out"));
    const pictures = examples.map((reference, index) => picture(reference, t("look.example", { class: each, n: index + 1 })));
    return make("li", { class: isKept ? "class" : "class left" }, make("div", { class: "class-head" }, label, told), isKept ? make("div", { class: "strip" }, ...pictures) : null);
  }

  keep(each, isKept, all) {
    const left = isKept ? this.left.filter((other) => other !== each) : [...this.left, each];
    this.set({ classes: left.length ? all.filter((other) => !left.includes(other)) : null }, left);
  }

  // Labels that are one class

  /** Pairs of a label of the data and the class that it is, as the option takes them. */
  get pairs() {
    return [this.read.mapping ?? []].flat().map(pairOf).filter(Boolean);
  }

  showJoins(classes) {
    const joined = [...new Set(this.pairs.map(([, called]) => called))];
    this.joins.hidden = !this.more.option("mapping") || (classes.length < 3 && !joined.length);
    const rows = joined.map((called) => {
      const labels = this.pairs.filter(([, to]) => to === called).map(([label]) => label);
      const apart = () => this.join(this.pairs.filter(([, to]) => to !== called));
      const told = name(`${called} = ${labels.join(" + ")}`);
      return make("p", { class: "row" }, told, button(t("correct.apart"), apart, { "data-key": `apart ${called}` }));
    });
    swap(this.joins, make("h3", {}, t("correct.joins")), small(t("correct.joins_what")), ...rows, classes.length > 2 ? this.joining(classes) : null);
  }

  joining(classes) {
    const boxes = classes.map((each) => make("input", { type: "checkbox", value: each }));
    const field = make("input", { type: "text", autocomplete: "off", spellcheck: "false" });
    const wrong = make("p", { class: "small wrong", role: "alert" });
    const joins = button(t("correct.join"), () => {
      const chosen = boxes.filter(({ checked }) => checked).map(({ value }) => value);
      const called = field.value.trim();
      wrong.textContent = chosen.length > 1 && called ? "" : t("correct.join_two");
      if (!wrong.textContent) this.join(joinedPairs(this.pairs, chosen, called));
    });
    const checks = boxes.map((box) => make("label", { class: "check" }, box, name(box.value)));
    const named = pick(t("correct.join_as"), field);
    return make("fieldset", {}, make("legend", { class: "unseen" }, t("correct.joins")), make("div", { class: "checks" }, ...checks), named, joins, wrong);
  }

  join(pairs) {
    this.set({ mapping: pairs.map((pair) => paired(...pair)), classes: null }, []);
  }

  // Folders

  showLevels(levels) {
    const numbers = [...new Set(levels.map(({ level }) => level))].sort((a, b) => a - b);
    this.levels.hidden = numbers.length === 0;
    const roles = numbers.map((level) => levels.find((each) => each.level === level).role);
    const rows = numbers.map((level, index) => {
      const names = [...new Set(levels.filter((each) => each.level === level).flatMap((each) => each.names))];
      const choices = ROLES.map(([role, words]) => [role, t(words)]);
      const chosen = (role) => {
        roles[index] = role;
        this.set({ layout: roles.join("/"), classes_from: null });
      };
      const words = [t("correct.level", { level }), " ", make("span", { class: "muted small" }, name(names.slice(0, 6).join(", ")))];
      return select(make("span", {}, ...words), choices, roles[index], chosen, `level ${level}`);
    });
    swap(this.levels, make("h3", {}, t("correct.levels")), small(t("correct.levels_what")), make("div", { class: "picks" }, ...rows));
  }

  // A table of labels

  async findTables() {
    const folders = await Promise.all(this.given.filter((path) => !ARCHIVE.test(path)).map((path) => ask(at("api/folders", { path })).catch(() => ({ tables: [] }))));
    this.tables = folders.flatMap(({ tables }) => tables);
    this.showTable();
  }

  async showTable() {
    const tables = this.tables ?? [];
    const { labels } = this.read;
    const own = labels && !tables.some(({ path }) => path === labels) ? [[labels, labels]] : [];
    const choices = [["", t("correct.table_none")], ...own, ...tables.map(({ path, name: called }) => [path, called])];
    const cleared = Object.fromEntries(COLUMNS.map((key) => [key, null]));
    const picks = [select(t("correct.table"), choices, labels ?? "", (path) => this.set({ ...cleared, labels: path }), "labels")];
    if (labels || COLUMNS.some((key) => this.read[key])) picks.push(...(await this.columns(labels)));
    swap(this.table, make("h3", {}, t("correct.table_title")), small(t("correct.table_what")), ...picks);
  }

  async columns(labels) {
    const path = labels ?? this.tables?.[0]?.path;
    const { columns } = path ? await ask(at("api/table", { path })).catch(() => ({ columns: [] })) : { columns: [] };
    return COLUMNS.map((key) => {
      const names = [...new Set([...columns, this.read[key]].filter(Boolean))];
      const chosen = (column) => this.set({ [key]: column });
      if (!columns.length) return typed(t(`correct.${key}`), this.read[key] ?? "", chosen, key);
      const choices = [["", t("correct.column_auto")], ...names.map((each) => [each, each])];
      return select(t(`correct.${key}`), choices, this.read[key] ?? "", chosen, key);
    });
  }

  showPreset() {
    const { choices } = this.more.option("preset") ?? {};
    this.preset.hidden = !choices?.length;
    if (this.preset.hidden) return;
    const names = [["", t("correct.preset_none")], ...choices.map((each) => [each, each])];
    const pick = select(t("correct.preset"), names, this.read.preset ?? "", (preset) => this.set({ preset }), "preset");
    swap(this.preset, make("h3", {}, t("correct.preset_title")), small(t("correct.preset_what")), pick);
  }
}

/** The name of a column of a table that the page cannot look into. */
function typed(words, value, chosen, key) {
  const field = make("input", { type: "text", value, "data-key": key, autocomplete: "off", spellcheck: "false" });
  field.addEventListener("change", () => chosen(field.value.trim()));
  return pick(words, field);
}

/** Pairs under which the chosen classes are one: what was joined into one of them before comes along. */
function joinedPairs(pairs, chosen, called) {
  const isJoined = new Set(pairs.map(([, to]) => to));
  const moved = pairs.map(([label, to]) => [label, chosen.includes(to) ? called : to]);
  return [...moved, ...chosen.filter((each) => !isJoined.has(each)).map((label) => [label, called])];
}

/** A film of the listing; one that cannot be shown says so. */
function picture(reference, words) {
  const image = make("img", { src: at("api/picture", { of: reference, size: PICTURE_PX }), alt: words, loading: "lazy", width: "128", height: "128", decoding: "async" });
  image.addEventListener("error", () => image.replaceWith(make("span", { class: "no-picture small muted" }, t("look.no_picture"))));
  return image;
}
