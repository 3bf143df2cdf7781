// Whether the radiographs of this week are still like those that the model was tested on: a line above all answers while there is an alarm.

import { ask } from "./api.js";
import { $, make } from "./parts.js";

const EVERY_MS = 300000;
const OF = { scores: "probabilities", refusals: "refusals", image: "images" };

/** Sentences on the alarms of a week. */
export function alarms({ families }) {
  return Object.entries(families)
    .filter(([, { alarm }]) => alarm)
    .map(([name, { since, images, most }]) => {
      const named = name === "refusals" ? "" : ` (most in ${most})`;
      return `Since ${since.slice(0, 16).replace("T", " ")} UTC, after ${images.toLocaleString("en")} radiographs of the week, the ${OF[name]} are not like those that the model was tested on${named}.`;
    });
}

/** Ask now and every five minutes; what cannot be asked is no alarm. */
export async function watchDrift() {
  try {
    const { watched, weeks } = await ask("drift");
    const found = weeks.flatMap(alarms);
    $("drift").hidden = !found.length;
    $("drift").replaceChildren(
      ...found.map((sentence) => make("p", {}, sentence)),
      ...(found.length ? [make("p", { class: "small" }, "Its accuracy may be another by now. Whoever runs the server finds more in its metrics and log of answers.")] : []),
    );
    $("drift-none").hidden = watched;
  } catch {
    $("drift").hidden = true;
  }
  setTimeout(watchDrift, EVERY_MS);
}
