// The first view: what is being done, what was made; a page without either begins with choosing.

import { Line } from "./job.js";
import { make } from "./parts.js";
import { link, place, title } from "./pieces.js";
import { projectCard } from "./project.js";
import { t } from "./words.js";

export function show(_place, app) {
  if (!app.state.projects.length && !app.state.jobs.length) {
    app.replace(place("choose"));
    return { element: make("div") };
  }
  const line = new Line(app);
  const projects = make("div", { class: "cards" });
  const begin = link(t("home.new"), place("choose"), { class: "button strong" });
  const head = make("div", { class: "head row" }, title(t("home.title")), begin);
  const element = make("div", {}, head, line.element, projects);
  let seen = "";
  const state = (now) => {
    line.update(now);
    const made = JSON.stringify(now.projects);
    if (made !== seen) projects.replaceChildren(...now.projects.map((each) => projectCard(each)));
    seen = made;
  };
  state(app.state);
  return { element, state };
}
