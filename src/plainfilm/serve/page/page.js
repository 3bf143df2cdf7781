// The page: takes files, has them answered, shows the answers. The parts do the work; this file joins them.

import { csv, odd, summary } from "./answers.js";
import { answerBy, ask, onToken, placeOf } from "./api.js";
import { Detail } from "./detail.js";
import { watchDrift } from "./drift.js";
import { onDrop, pasted } from "./given.js";
import { $, make, open } from "./parts.js";
import { watchPrevalence } from "./prevalence.js";
import { Sender } from "./sending.js";
import { showStanding } from "./standing.js";
import { Table } from "./table.js";

const SAY_EVERY_MS = 4000; // to a screen reader

let model = null;
let prevalence = null;
let entries = [];
let counted = 0; // entries ever taken: their numbers
let saidAt = 0;

const table = new Table((entry) => detail.open(entry));
const detail = new Detail({
  around: () => table.visible,
  learnt: (entry) => table.update([entry]),
  left: (entry) => entry && table.focus(entry),
});
const sender = new Sender({
  changed: (changed) => {
    table.update(changed);
    showRun();
  },
  says: (words) => {
    $("running").textContent = words;
  },
  ended: (reason) => {
    table.settle();
    showRun(reason);
    live([reason, summary(entries)].filter(Boolean).join(" "));
  },
});

function take(files) {
  if (!files.length) return;
  if (!model) {
    problem("Files can be taken when the model is known. Load the page again.");
    return;
  }
  const added = files.map(({ file, name }) => ({ file, name, number: (counted += 1), state: "waiting", problem: "", prediction: null }));
  entries = entries.concat(added);
  $("results").hidden = false;
  table.add(added);
  sender.add(added);
  live(`${added.length.toLocaleString("en")} ${added.length === 1 ? "file" : "files"} added.`);
}

function live(words) {
  saidAt = Date.now();
  $("live").textContent = words;
}

function showRun(reason = "") {
  const done = entries.filter(({ state }) => state === "done" || state === "failed").length;
  const failed = entries.filter(({ state }) => state === "failed").length;
  const words = `${done.toLocaleString("en")} of ${entries.length.toLocaleString("en")}`;
  $("progress").max = Math.max(1, entries.length);
  $("progress").value = done;
  $("progress").classList.toggle("idle", !sender.running);
  $("running").textContent = sender.running ? `${words} …` : reason || "Done.";
  if (sender.running && Date.now() - saidAt > SAY_EVERY_MS) live(`${words} answered.`);
  $("stop").hidden = !sender.running;
  $("again").hidden = sender.running || failed === 0;
  $("again").textContent = `Send ${failed.toLocaleString("en")} again`;
  $("summary").textContent = summary(entries);
  $("needs-count").textContent = `(${entries.filter((entry) => (entry.prediction ? odd(entry.prediction) : entry.state === "failed")).length.toLocaleString("en")})`;
}

function problem(words) {
  $("page-problem").textContent = words;
  $("page-problem").hidden = !words;
}

function download() {
  const address = URL.createObjectURL(new Blob([csv(entries, model, prevalence)], { type: "text/csv;charset=utf-8" }));
  const link = document.createElement("a");
  Object.assign(link, { href: address, download: "plainfilm-answers.csv" });
  link.click();
  setTimeout(() => URL.revokeObjectURL(address), 10000);
}

function clear() {
  if (!window.confirm(`Remove ${summary(entries).replace(/[.:].*/, "")} and all answers from this page?`)) return;
  sender.stop();
  entries = [];
  detail.forget();
  table.clear();
  $("results").hidden = true;
  live("All files removed.");
  $("choose").focus();
}

function askForToken(wrong) {
  $("token-wrong").textContent = wrong;
  $("token").value = "";
  open($("access"));
  return new Promise((resolve) => {
    const given = (event) => {
      event.preventDefault();
      const token = $("token").value.trim();
      settle(token);
    };
    const settle = (token) => {
      $("access-form").removeEventListener("submit", given);
      $("access").removeEventListener("close", left);
      $("access").close();
      resolve(token);
    };
    const left = () => settle(null);
    $("access-form").addEventListener("submit", given);
    $("access").addEventListener("close", left);
  });
}

function listen() {
  $("choose").addEventListener("change", () => {
    take([...$("choose").files].map((file) => ({ file, name: file.name })));
    $("choose").value = "";
  });
  $("choose-folder").addEventListener("change", () => {
    const files = [...$("choose-folder").files].map((file) => ({ file, name: file.webkitRelativePath || file.name }));
    take(files.filter(({ name }) => !/(^|\/)\./.test(name)));
    $("choose-folder").value = "";
  });
  window.addEventListener("beforeunload", (event) => sender.running && event.preventDefault());
  $("stop").addEventListener("click", () => sender.stop());
  $("again").addEventListener("click", () => sender.add(entries.filter(({ state }) => state === "failed")));
  $("download").addEventListener("click", download);
  $("clear").addEventListener("click", clear);
  document.addEventListener("paste", (event) => take(pasted(event)));
  for (const button of document.querySelectorAll("[data-opens]")) button.addEventListener("click", () => open($(button.dataset.opens)));
  for (const button of document.querySelectorAll("[data-closes]")) button.addEventListener("click", () => button.closest("dialog").close());
  onDrop($("veil"), take);
}

/** The classifier that the page's address names, or else the first. */
function chosen({ models, default: first }) {
  const named = new URLSearchParams(window.location.search).get("model");
  return models.some((each) => each.served_as === named) ? named : (first ?? models[0].served_as);
}

/** Let another classifier be chosen where there are several; the page then begins anew. */
function offer({ models }, name) {
  for (const link of document.querySelectorAll("[data-card]")) link.href = `api/v1/${placeOf(name)}/card`;
  $("which-model").replaceChildren(...models.map((each) => make("option", { value: each.served_as }, `${each.served_as}: ${each.name}`)));
  $("which-model").value = name;
  $("which").hidden = models.length < 2;
  $("which-model").addEventListener("change", () => {
    const other = $("which-model").value;
    if (!entries.length || window.confirm("Another classifier answers anew. Remove all files and answers from this page?")) {
      window.location.search = new URLSearchParams({ model: other });
    } else $("which-model").value = name;
  });
}

async function start() {
  onToken(askForToken);
  listen();
  try {
    const listed = await ask("models");
    const name = chosen(listed);
    const isOnly = listed.models.length === 1 && listed.default !== null;
    model = await ask(isOnly ? "model" : placeOf(name));
    if (!isOnly) {
      answerBy(name);
      offer(listed, name);
    }
  } catch (error) {
    problem(`The model is not known: ${error.message} Load the page again.`);
    return;
  }
  prevalence = model.calibrated_at_prevalence;
  showStanding(model);
  watchDrift();
  sender.limits = model.limits;
  table.start(model);
  detail.start(model);
  const apart = Object.entries(model.thresholds ?? {});
  if (apart.length) $("says-threshold").textContent = `Each finding is called from its own threshold on: ${apart.map(([name, value]) => `${name} ${(100 * value).toFixed(1)}\u202f%`).join(", ")}. The bars mark it.`;
  if (model.positive !== null) $("says-threshold").textContent = `${model.positive} is called from a probability of ${(100 * model.threshold).toFixed(1)}\u202f% on. The bars mark it.`;
  if (model.calibrated === false) $("says-threshold").append(" The probabilities are not calibrated: they hold at no stated prevalence.");
  watchPrevalence(model, (stated) => {
    prevalence = stated;
    table.prevalence = stated;
    table.updateAll();
    detail.setPrevalence(stated);
  });
}

start();
