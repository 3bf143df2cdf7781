// Choose a folder or an archive of this machine: typed with completion, picked from a tree that starts at home, or dropped.

import { ARCHIVE, dropZone } from "./drop.js";
import { make } from "./parts.js";
import { aside, button, link, name, place, problem, small, strong, swap, title } from "./pieces.js";
import { ask, at } from "./server.js";
import { bytes, t } from "./words.js";

const WORDS = { look: "choose", evaluate: "choose_evaluate", add: "choose_add" };

export function show(asked, app) {
  const view = new Choose(asked, app);
  view.changed(asked);
  return view;
}

class Choose {
  constructor({ query }, app) {
    this.app = app;
    this.then = query.get("then") ?? "look";
    this.given = query.getAll("in");
    const words = WORDS[this.then.split("/")[1]] ?? WORDS.look;
    this.head = make("div", { class: "head" }, title(t(`${words}.title`)), make("p", {}, t(`${words}.what`)));
    this.tree = make("section", { class: "tree", "aria-label": t("choose.tree"), "aria-busy": "true" });
    const where = make("div", { class: "where" }, this.typed(), this.tree);
    this.element = make("div", {}, this.head, where, dropZone(app));
    this.turn = 0;
  }

  /** A path can be typed; the browser completes it from what lies there. */
  typed() {
    const list = make("datalist", { id: "paths" });
    const attributes = { type: "text", id: "path", list: "paths", autocomplete: "off", spellcheck: "false", autocapitalize: "off" };
    const field = make("input", { ...attributes, "aria-describedby": "path-what" });
    field.addEventListener("input", async () => {
      const asked = field.value;
      const found = await ask(at("api/folders", { prefix: asked })).catch(() => null);
      if (!found || field.value !== asked) return;
      list.replaceChildren(...[...found.folders, ...found.archives].map(({ path }) => make("option", { value: path })));
    });
    const form = make("form", { class: "typed" }, make("label", { for: "path" }, t("choose.path")));
    form.append(make("span", { class: "field" }, field, make("button", { type: "submit", class: "button" }, t("choose.go"))));
    form.append(make("p", { class: "small muted", id: "path-what" }, t("choose.path_what")), list);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const path = field.value.trim();
      if (path) ARCHIVE.test(path) ? this.use(path) : this.open(path);
    });
    this.field = field;
    return form;
  }

  changed({ query }) {
    this.list(query.get("path"));
  }

  open(path) {
    this.app.go(place("choose", { then: this.then === "look" ? null : this.then, in: this.given, path }));
  }

  /** Go on with a folder or an archive. */
  use(path) {
    const sources = [...this.given.filter((each) => each !== path), path];
    this.app.go(`#/${this.then}?${new URLSearchParams(sources.map((each) => ["in", each]))}`);
  }

  async list(path) {
    const turn = (this.turn += 1);
    const isFirst = turn === 1;
    this.tree.setAttribute("aria-busy", "true");
    try {
      const found = await ask(at("api/folders", { path }));
      if (turn !== this.turn) return;
      this.fill(found, isFirst);
    } catch (error) {
      if (turn !== this.turn) return;
      const back = path ? button(t("choose.home"), () => this.open(this.app.state.home)) : button(t("page.again"), () => this.list(path));
      swap(this.tree, problem(error), make("p", { class: "actions" }, back));
    }
    this.tree.setAttribute("aria-busy", "false");
  }

  fill(found, isFirst) {
    const own = found.path.split("/").filter(Boolean).at(-1) ?? "/";
    const heading = make("h2", { tabindex: "-1", id: "folder" }, name(own));
    const told = [t("count.folders", { n: found.folders.length }), t("count.files_like_images", { n: found.images })];
    const uses = (found.parent === null ? button : strong)(t("choose.use"), () => this.use(found.path), { id: "use" });
    const head = make("div", { class: "tree-head" }, make("div", {}, this.crumbs(found), heading, small(told.join(", "))), uses);
    const rows = [...found.folders.map((each) => this.row(each, "folder")), ...found.archives.map((each) => this.row(each, "archive"))];
    const none = rows.length ? null : make("p", { class: "muted none" }, t(found.images ? "choose.only_images" : "choose.empty"));
    const more = found.more ? small(t("choose.more")) : null;
    swap(this.tree, head, make("ul", { class: "rows" }, ...rows), none, more);
    if (document.activeElement !== this.field) this.field.value = found.path; // else somebody types
    if (isFirst) return;
    heading.focus({ preventScroll: true });
    this.app.say(`${own}: ${told.join(", ")}`);
  }

  crumbs({ path }) {
    const { root } = this.app.state;
    const below = path.startsWith(root) ? path.slice(root.length).split("/").filter(Boolean) : [];
    const items = [[root.split("/").filter(Boolean).at(-1) ?? "/", root]];
    for (const part of below) items.push([part, `${items.at(-1)[1].replace(/\/$/, "")}/${part}`]);
    const to = (each) => place("choose", { then: this.then === "look" ? null : this.then, in: this.given, path: each });
    const links = items.slice(0, -1).map(([said, each]) => make("li", {}, link(name(said), to(each))));
    return make("nav", { "aria-label": t("choose.crumbs") }, make("ol", { class: "crumbs" }, ...links));
  }

  row(entry, kind) {
    const pressed = () => (kind === "folder" ? this.open(entry.path) : this.use(entry.path));
    const made = button("", pressed, { class: `button entry ${kind}` });
    made.append(make("bdi", {}, entry.name), kind === "archive" ? aside(bytes(entry.bytes)) : "");
    return make("li", {}, made);
  }
}
