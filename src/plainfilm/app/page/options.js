// The options of a command as a form, drawn from their own declarations; what they mean is said as the command says it.

import { namesOf, quoted } from "./names.js";
import { make } from "./parts.js";
import { english, small } from "./pieces.js";
import { ask, at } from "./server.js";
import { spoken, t } from "./words.js";

/** All that a verb can be told but what is named in `leaveOut`; with `groups`, of these groups alone, or of all `without` one. `changed(values)` gets what differs from the defaults. */
export class OptionsForm {
  constructor(verb, { leaveOut = [], groups = null, without = null, changed }) {
    this.options = [];
    this.fields = new Map();
    this.changed = changed;
    this.element = make("div", { class: "options" });
    this.ready = ask(at("api/options", { verb }))
      .then((options) => {
        this.all = options;
        this.options = options.filter(({ name, group }) => !leaveOut.includes(name) && group !== without && (!groups || groups.includes(group)));
        this.draw();
      })
      .catch(() => this.element.replaceChildren(small(t("options.none"))));
  }

  get names() {
    return this.options.map(({ name }) => name);
  }

  option(called) {
    return this.all?.find(({ name }) => name === called);
  }

  draw() {
    const groups = [...new Set(["", "Recipe", ...this.options.map(({ group }) => group)])].map((group) => [group, this.options.filter((each) => each.group === group)]);
    const parts = groups.filter(([, options]) => options.length).map(([group, options]) =>
      make("details", { class: "group" }, make("summary", {}, group ? english(group) : t("options.general")), make("div", { class: "option-rows" }, ...options.map((each) => this.row(each)))));
    this.element.replaceChildren(...parts);
  }

  row(option) {
    const id = `option-${option.name.replaceAll(/[^\w-]/g, "-")}-${(OptionsForm.count = (OptionsForm.count ?? 0) + 1)}`;
    const field = input(option, id);
    field.addEventListener("change", () => this.changed(this.values()));
    this.fields.set(option.name, field);
    const names = option.kind === "text" && option.choices ? make("datalist", { id: `${id}-names` }, ...option.choices.map((value) => make("option", { value }))) : null;
    if (names) field.setAttribute("list", names.id);
    const label = make("label", { for: id }, make("code", {}, option.flag));
    const help = make("p", { class: "small muted", id: `${id}-help`, lang: "en" }, option.help);
    field.setAttribute("aria-describedby", `${id}-help`);
    if (option.again) help.append(" ", make("span", { lang: spoken() }, t("options.lines")));
    return make("div", { class: option.kind === "switch" ? "option switch" : "option" }, label, field, help, names);
  }

  /** What was given and is not the default. */
  values() {
    const given = this.options.map((option) => [option.name, valueOf(option, this.fields.get(option.name))]);
    return Object.fromEntries(given.filter(([, value]) => value !== null));
  }

  set(values) {
    for (const option of this.options) {
      const value = values[option.name];
      const field = this.fields.get(option.name);
      if (option.kind === "switch") field.checked = value ?? option.default ?? false;
      else if (option.kind === "list") field.value = option.again ? [value ?? []].flat().join("\n") : [value ?? []].flat().map(quoted).join(", ");
      else field.value = value ?? (field.matches("select") ? option.default : "") ?? "";
    }
  }
}

const said = (value) => (value === null || value === undefined ? "" : [value].flat().join(", "));

function input({ kind, choices, again, default: usual }, id) {
  if (kind === "switch") return make("input", { type: "checkbox", id, ...(usual ? { checked: "" } : {}) });
  if (choices?.length && kind === "choice") {
    const isListed = choices.map(String).includes(said(usual));
    const options = [...(isListed ? [] : [["", said(usual) ? t("options.usual_is", { usual: said(usual) }) : t("options.usual")]]), ...choices.map((each) => [each, each])];
    const list = make("select", { id }, ...options.map(([value, words]) => make("option", { value }, words)));
    list.value = isListed ? said(usual) : "";
    return list;
  }
  if (again) return make("textarea", { id, rows: "2", spellcheck: "false" });
  const attributes = kind === "number" ? { inputmode: "decimal" } : {};
  return make("input", { type: "text", id, placeholder: said(usual), autocomplete: "off", spellcheck: "false", ...attributes });
}

function valueOf({ kind, again, default: usual }, field) {
  if (kind === "switch") return field.checked === (usual ?? false) ? null : field.checked;
  const text = field.value.trim();
  if (text === "" || text === said(usual)) return null;
  if (again) return text.split("\n").map((each) => each.trim()).filter(Boolean);
  if (kind === "list") return namesOf(text);
  return kind === "number" && Number.isFinite(Number(text)) ? Number(text) : text;
}
