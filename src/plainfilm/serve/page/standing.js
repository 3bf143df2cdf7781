// What stands above all answers: the model, its accuracy, and what that accuracy is worth; the audit in full.

import { percent } from "./answers.js";
import { $, chip, make } from "./parts.js";

const KINDS = { none: "clear", caution: "caution", warning: "warning" };
const METRICS = {
  accuracy: "Accuracy", sensitivity: "Sensitivity", specificity: "Specificity", ppv: "Positive predictive value",
  npv: "Negative predictive value", f1: "F1", auroc: "AUROC", auprc: "Area under precision and recall", brier: "Brier score", ece: "Calibration error",
};
const PLAIN = new Set(["f1", "auroc", "auprc", "brier", "ece"]); // no percentages

const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** Verdict in words, its kind, the sentence, and what is said besides. */
export function standing({ audit, worth, worth_level: level }) {
  if (!audit) {
    const sentence = worth.replace(/^Not audited\.\s*/, "");
    return { verdict: "Not audited", kind: level === "none" ? "caution" : KINDS[level], sentence, also: "" };
  }
  const verdict = capital(audit.verdict);
  const first = `${verdict}. ${audit.sentence}`;
  return { verdict, kind: KINDS[level], sentence: audit.sentence, also: worth.startsWith(first) ? worth.slice(first.length).trim() : "" };
}

function number(name, value) {
  if (typeof value !== "number") return "–";
  return PLAIN.has(name) ? value.toFixed(3) : percent(value);
}

function interval(name, { low, high }) {
  if (typeof low !== "number" || typeof high !== "number") return "–";
  const unit = PLAIN.has(name) ? 3 : 1;
  const shown = (value) => (PLAIN.has(name) ? value : 100 * value).toFixed(unit);
  return `${shown(low)} to ${shown(high)}${PLAIN.has(name) ? "" : "\u202f%"}`;
}

/** Fill the head of the page. */
export function showStanding(model) {
  const { verdict, kind, sentence, also } = standing(model);
  document.title = `${model.name} · plainfilm`;
  $("name").textContent = model.name;
  $("about-model").textContent = `${model.version} · made ${model.made.slice(0, 10)} · ${model.is_signed ? "signed" : "not signed"}`;
  const tested = model.tested;
  $("accuracy").textContent = tested ? number("accuracy", tested.accuracy?.value) : "not known";
  if (tested?.accuracy) $("accuracy-interval").textContent = `95\u202f% interval ${interval("accuracy", tested.accuracy)}`;
  if (tested) $("accuracy-count").textContent = `${tested.n.toLocaleString("en")} radiographs`;
  for (const id of ["verdict", "bar-verdict", "answer-verdict", "audit-verdict"]) chip($(id), verdict, kind);
  for (const id of ["sentence", "answer-sentence", "audit-sentence"]) $(id).textContent = sentence;
  for (const id of ["also", "audit-also"]) {
    $(id).textContent = also;
    $(id).hidden = !also;
  }
  for (const id of ["worth", "answer-worth"]) {
    $(id).classList.remove("open");
    $(id).classList.add(kind);
  }
  $("standing").setAttribute("aria-busy", "false");
  showAudit(model);
}

function showAudit(model) {
  const { audit, tested } = model;
  $("audit-reasons").replaceChildren(...(audit ? reasons(audit) : []));
  const cues = audit?.cues ?? [];
  $("audit-cues").replaceChildren(...(cues.length ? [make("h3", {}, "What it may go by instead of disease"), make("p", {}, `${capital(cues.join(", "))}.`)] : []));
  $("tested-caption").textContent = tested ? `Measured on the ${tested.part} part, ${tested.n.toLocaleString("en")} radiographs` : "Not tested";
  const rows = Object.entries(METRICS).filter(([name]) => typeof tested?.[name]?.value === "number");
  $("tested").replaceChildren(...rows.map(([name, words]) =>
    make("tr", {}, make("th", { scope: "row" }, words), make("td", {}, number(name, tested[name].value)), make("td", {}, interval(name, tested[name])))));
  $("model-facts").replaceChildren(...facts(model).map(([name, value]) => make("div", {}, make("dt", {}, name), make("dd", {}, value))));
}

function reasons(audit) {
  const items = audit.reasons.map(({ sentence, also, advice }) =>
    make("li", {}, make("p", {}, sentence), also ? make("p", { class: "small muted" }, also) : null, advice ? make("p", {}, make("strong", {}, "What helps: "), advice) : null));
  return items.length ? [make("h3", {}, "What it rests on"), make("ol", { class: "reasons" }, ...items)] : [];
}

function facts(model) {
  return [
    [model.task === "findings" ? "Findings" : "Classes", model.classes.join(", ")],
    ["Backbone", `${model.backbone}, ${model.input_size} px`],
    ...model.licences.map((licence) => ["Licence of its weights", licence]),
    ["Version", model.version],
    ["Made", model.made.replace("T", " ").slice(0, 16) + " UTC"],
    ["Signature", model.is_signed ? "signed" : "not signed"],
    ["Intended use", model.intended_use],
    ["SHA-256", model.sha256],
  ];
}
