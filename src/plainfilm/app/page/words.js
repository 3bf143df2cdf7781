// Every word on the page, from the catalogue of the language that is chosen: words/LANG.json, "key": "text with {placeholders}".
// A key that depends on a number has the forms that Intl.PluralRules names: key.one, key.other.

export const LANGUAGES = { en: "English", de: "Deutsch", es: "Español" };
const KEY = "plainfilm-language";

let language = "en";
let place = "en"; // whose dates and numbers: the browser's, where it speaks the language
let catalogue = {};
let plural = new Intl.PluralRules("en");

/** Take the language that was chosen here before, or the browser's, and read its catalogue. */
export async function readWords() {
  const wished = [localStorage.getItem(KEY), ...navigator.languages.map((each) => each.slice(0, 2))];
  language = wished.find((each) => each in LANGUAGES) ?? "en";
  catalogue = await (await fetch(`words/${language}.json`)).json();
  place = navigator.languages.find((each) => each.startsWith(language)) ?? language;
  plural = new Intl.PluralRules(language);
  document.documentElement.lang = language;
}

/** The language of the page. */
export const spoken = () => language;

/** Choose another language for this browser. */
export function choose(other) {
  localStorage.setItem(KEY, other);
  window.location.reload();
}

/** The text of a key, its placeholders filled; numbers are written as the language does. `n` picks the form of a plural. */
export function t(key, values = {}) {
  const text = catalogue[key] ?? catalogue[`${key}.${plural.select(values.n ?? 0)}`] ?? catalogue[`${key}.other`] ?? key;
  return text.replace(/\{(\w+)\}/g, (_, name) => shown(values[name]));
}

function shown(value) {
  return typeof value === "number" ? number(value) : String(value ?? "");
}

/** A number with so many digits after the point. */
export const number = (value, digits = 0) =>
  value.toLocaleString(place, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** A share as the reports print it: 98.4 %, with a narrow space that does not break. */
export const percent = (share, digits = 1) => `${number(100 * share, digits)}\u202f%`;

/** Bytes in a unit of their size. */
export function bytes(count) {
  const at = Math.min(3, Math.max(0, Math.floor(Math.log10(Math.max(1, count)) / 3)));
  return `${number(count / 1000 ** at, at > 1 ? 1 : 0)}\u00a0${["B", "kB", "MB", "GB"][at]}`;
}

/** A duration, rounded as people say it. */
export function duration(seconds) {
  if (seconds < 90) return t("time.seconds", { n: Math.max(1, Math.round(seconds)) });
  if (seconds < 5400) return t("time.minutes", { n: Math.round(seconds / 60) });
  return t("time.hours", { hours: number(seconds / 3600, 1) });
}

/** A moment of the server, ISO 8601 or seconds since the epoch. */
export function moment(at) {
  const when = new Date(typeof at === "number" ? 1000 * at : at);
  return when.toLocaleString(place, { dateStyle: "medium", timeStyle: "short" });
}
