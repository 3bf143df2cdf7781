// Pieces that several views are made of.

import { make, open } from "./parts.js";
import { t } from "./words.js";

/** The fragment of a view: its name and parts, and a query whose lists are written one by one. */
export function place(parts, query = {}) {
  const search = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) for (const each of [value ?? []].flat()) search.append(key, each);
  const path = [parts].flat().map(encodeURIComponent).join("/");
  return `#/${path}${search.size ? `?${search}` : ""}`;
}

export function button(words, pressed, attributes = {}) {
  const made = make("button", { type: "button", class: "button", ...attributes }, words);
  made.addEventListener("click", pressed);
  return made;
}

export const strong = (words, pressed, attributes = {}) => button(words, pressed, { class: "button strong", ...attributes });
export const link = (words, href, attributes = {}) => make("a", { href, ...attributes }, words);
export const name = (words) => make("bdi", {}, words);
export const title = (words) => make("h1", { tabindex: "-1" }, words);

/** Words in the second place, as a paragraph or within a line. */
export const small = (...words) => make("p", { class: "small muted" }, ...words);
export const aside = (...words) => make("span", { class: "small muted" }, ...words);

/** What is shown when it is asked for. */
export const folded = (words, ...parts) => make("details", { class: "correct" }, make("summary", {}, words), ...parts);

/** A file to keep, in a list. */
export const kept = (words, href, file, what) => make("li", {}, link(words, `${href}?download=1`, { download: file }), aside(what));

/** What a command says: it is English in every language of the page. */
export const english = (words, tag = "span") => make(tag, { lang: "en" }, words);

/** What went wrong, in the one line that a command would print. */
export const problem = (error) => make("p", { class: "problem", role: "alert" }, told(error));
export const told = (error) => (error.status === 0 ? t("server.lost") : english(error.message));

/** Put children in an element's place of the old ones; what had the focus among them, by its data-key, has it again. */
export function swap(element, ...children) {
  const key = element.contains(document.activeElement) ? document.activeElement.dataset.key : undefined;
  element.replaceChildren(...children.filter((child) => child !== null));
  if (key !== undefined) [...element.querySelectorAll("[data-key]")].find((each) => each.dataset.key === key)?.focus({ preventScroll: true });
}

let picks = 0; // made so far: their ids

/** A field under its words; in a list of choices or of fields. */
export function pick(words, field) {
  field.id ||= `pick-${(picks += 1)}`;
  return make("div", { class: "pick" }, make("label", { for: field.id }, words), field);
}

/** A list of choices, as a select with its label. */
export function select(words, choices, value, chosen, key) {
  const list = make("select", { "data-key": key }, ...choices.map(([each, said]) => make("option", { value: each }, said)));
  list.value = value;
  list.addEventListener("change", () => chosen(list.value));
  return pick(words, list);
}

/** The commands that do the same, with a button that copies them. */
export class Commands {
  constructor(app) {
    this.app = app;
    this.code = make("pre", { tabindex: "0", lang: "en", "aria-label": t("commands.title") });
    this.copies = button(t("commands.copy"), () => this.copy());
    const head = make("div", { class: "commands-head" }, make("h2", {}, t("commands.title")), this.copies);
    this.element = make("section", { class: "commands" }, head, small(t("commands.what")), this.code);
    this.element.hidden = true;
  }

  show(lines) {
    this.code.replaceChildren(...lines.map((line) => make("code", {}, ...line.split(/( )/).map((word) => (word === " " ? word : make("span", {}, word))), "\n")));
    this.element.hidden = lines.length === 0;
  }

  async copy() {
    const text = this.code.textContent;
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      window.getSelection().selectAllChildren(this.code);
      this.app.say(t("commands.marked"));
      return;
    }
    this.copies.textContent = t("commands.copied");
    this.app.say(t("commands.copied"));
    setTimeout(() => (this.copies.textContent = t("commands.copy")), 3000);
  }
}

/** Ask before something is done that cannot be taken back; true where it is wanted. */
export function sure(words, yes) {
  return new Promise((resolve) => {
    const dialog = make("dialog", { class: "sheet narrow ask", "aria-labelledby": "ask" });
    const answer = (value) => () => {
      resolve(value);
      dialog.close();
    };
    const actions = make("p", { class: "actions" }, strong(yes, answer(true)), button(t("page.no"), answer(false)));
    dialog.append(make("div", { class: "sheet-body" }, make("h2", { id: "ask" }, words), actions));
    dialog.addEventListener("close", () => {
      resolve(false);
      dialog.remove();
    });
    document.body.append(dialog);
    open(dialog);
  });
}
