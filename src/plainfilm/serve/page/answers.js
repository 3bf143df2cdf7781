// Answers in words, numbers and CSV. Computes only: no document, no request.

export const LEVELS = { flagged: "Flagged", unsure: "Unsure", refused: "Refused", unreadable: "Unreadable" };

/** A share as the reports print it, "98.4 %", with a narrow space that does not break. */
export function percent(share) {
  return typeof share === "number" ? `${(100 * share).toFixed(1)}\u202f%` : "–";
}

/** The same of a probability, where what rounds to certainty is none. */
export function likely(share) {
  if (share > 0.9995 && share < 1) return ">\u202f99.9\u202f%";
  if (share > 0 && share < 0.0005) return "<\u202f0.1\u202f%";
  return percent(share);
}

/** The share shown beside an answer: of the positive class, or of the most probable one where there are more than two. */
export function shown(prediction, model) {
  const values = prediction.probabilities;
  if (model.positive !== null) return values[model.positive] ?? null;
  return Object.keys(values).length ? Math.max(...Object.values(values)) : null;
}

/** Move a probability from the prevalence of the calibration to another, by Bayes' rule on the odds (Saerens et al. 2002). */
export function moved(value, calibrated, prevalence) {
  if (value === null || calibrated === null || prevalence === null) return null;
  const odds = prevalence / (1 - prevalence) / (calibrated / (1 - calibrated));
  return (value * odds) / (value * odds + 1 - value);
}

/** A share as a count; never none and never all, which no probability can promise. */
function ofHundred(share) {
  const count = Math.round(100 * share);
  return count < 1 ? "fewer than 1" : count > 99 ? "more than 99" : String(count);
}

/** From which probability on the positive class is called, and below which the other, where there are two thresholds. */
export function calledFrom(model) {
  const said = `${model.positive} is called from ${percent(model.threshold)} on`;
  const lower = model.lower_threshold ?? null;
  if (lower === null) return said;
  const other = model.classes.find((name) => name !== model.positive);
  return `${said}, ${other} below ${percent(lower)}${lower < model.threshold ? "; between them the answer is unsure" : ""}`;
}

/** What an answer's probability means among those examined; nothing where it means nothing. */
export function meaning(prediction, model, prevalence) {
  if (prediction.class === null || model.positive === null || prevalence === null) return "";
  const at = moved(shown(prediction, model), model.calibrated_at_prevalence, prevalence);
  if (at === null) return "";
  return (
    `Where ${Number((100 * prevalence).toPrecision(3))}\u202f% of those examined have ${model.positive}, ` +
    `${ofHundred(at)} of 100 radiographs with this answer show it, if the probability is right.`
  );
}

/** The answer in words. */
export function said(prediction) {
  if (prediction.findings?.length) return prediction.findings.join(", ") + (prediction.unsure?.length ? `; unsure: ${prediction.unsure.join(", ")}` : "");
  return prediction.class ?? LEVELS[prediction.level] ?? "No answer";
}

/** What was noticed about a film, as sentences' pieces. */
export function noticed(prediction) {
  const inside = prediction.attribution_in_lungs;
  const looked = typeof inside === "number" ? [`${(100 * inside).toFixed(0)}\u202f% of what it looked at lies in the lungs`] : [];
  return [...prediction.reasons, ...prediction.notes, ...looked];
}

/** Whether a person should look: flagged, unsure, refused, unreadable. */
export function odd(prediction) {
  return prediction.level !== "ok";
}

const NAMED = { n: "file", many: "files" };

/** "27 files: 12 COVID, 10 NORMAL, 3 refused." */
export function summary(entries) {
  const counts = new Map();
  for (const { prediction, state } of entries) {
    const one = prediction ? (prediction.class ?? prediction.level) : state === "failed" ? "not answered" : null;
    const names = prediction?.findings?.length ? prediction.findings : [one]; // of several findings each counts
    for (const name of names) if (name) counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  const flagged = entries.filter(({ prediction }) => prediction?.level === "flagged").length;
  const last = ["unsure", "refused", "unreadable", "not answered"];
  const names = [...counts.keys()].sort((a, b) => last.indexOf(a) - last.indexOf(b) || a.localeCompare(b));
  const parts = names.map((name) => `${counts.get(name).toLocaleString("en")} ${name}`);
  const total = `${entries.length.toLocaleString("en")} ${entries.length === 1 ? NAMED.n : NAMED.many}`;
  const tail = flagged ? `; ${flagged.toLocaleString("en")} of them flagged` : "";
  return parts.length ? `${total}: ${parts.join(", ")}${tail}.` : `${total}.`;
}

/** What `plainfilm.harmless.write_csv` writes: what cannot be seen is escaped, and no spreadsheet takes it for a formula. */
function cell(value) {
  if (/^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/.test(value)) return value;
  const shown = value.replace(/(?<![\u0300-\u{10ffff}](?=[\u200c\u200d]))[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, escaped);
  const text = shown.replace(/(^|[;"])(?=[=+@\-\uff1d\uff0b\uff20\uff0d])/g, "$1'");
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function escaped(sign) {
  const code = sign.codePointAt(0);
  const short = { 9: "\\t", 10: "\\n", 13: "\\r" }[code];
  const wide = code > 0xffff ? ["U", 8] : code > 0xff ? ["u", 4] : ["x", 2];
  return short ?? `\\${wide[0]}${code.toString(16).padStart(wide[1], "0")}`;
}

/** The columns of `plainfilm predict --csv`, a row an entry; files without an answer have the level "not answered". */
export function csv(entries, model, prevalence) {
  const asked = model.positive === null ? model.classes : [model.positive];
  const names = model.positive === null ? asked.map((name) => `probability ${name}`) : ["probability"];
  const between = model.lower_thresholds ? ["unsure"] : [];
  const sites = model.site ? [model.site] : [];
  const six = (value) => (typeof value === "number" ? value.toFixed(6) : "");
  const rows = [["file", "class", "level", ...names, ...between, "at_prevalence", "reasons", "notes", "attribution_in_lungs", ...sites.map(() => "site")].map(cell)];
  for (const { name, prediction, problem } of entries) {
    const own = prediction ?? { class: null, level: "not answered", probabilities: {}, reasons: [problem || "not sent"], notes: [] };
    const at = moved(own.probabilities[model.positive] ?? null, model.calibrated_at_prevalence, prevalence);
    rows.push([
      cell(name),
      cell(own.class ?? ""),
      own.level,
      ...asked.map((each) => six(own.probabilities[each])),
      ...between.map(() => cell((own.unsure ?? []).join("|"))),
      six(at),
      cell(own.reasons.join("; ")),
      cell(own.notes.join("; ")),
      six(own.attribution_in_lungs),
      ...sites.map(cell),
    ]);
  }
  return rows.map((row) => `${row.join(",")}\n`).join("");
}
