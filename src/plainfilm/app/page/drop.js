// What was dropped on the page, or chosen from the browser's own dialog: it is copied into the folder of its project on this machine.

import { make } from "./parts.js";
import { button, link, name, place, problem, small, title } from "./pieces.js";
import { ask, at } from "./server.js";
import { bytes, t } from "./words.js";

const AT_ONCE = 3;
export const ARCHIVE = /\.(zip|tar|tgz|tar\.gz|npz)$/i;

/** Where things are dropped, with buttons for who does not drag. */
export function dropZone(app) {
  const chosen = (id, words, attributes) => {
    const field = make("input", { type: "file", id, class: "unseen", ...attributes });
    field.addEventListener("change", () => {
      take([...field.files].map((file) => ({ file, name: file.webkitRelativePath || file.name })), app);
      field.value = "";
    });
    return [field, make("label", { for: id, class: "button" }, words)];
  };
  const fields = [...chosen("give-folder", t("drop.folder"), { webkitdirectory: "" }), ...chosen("give-archive", t("drop.archive"), { accept: ".zip,.tar,.tgz,.gz,.npz" })];
  return make("section", { class: "drop" }, make("h2", {}, t("drop.title")), make("p", { class: "actions" }, ...fields), small(t("drop.what")));
}

/** Take files with their paths; a hidden one is none of the data. */
export function take(files, app) {
  app.files = files.filter(({ name: path }) => !/(^|\/)\./.test(path));
  const [view, search] = window.location.hash.split("?");
  const asked = new URLSearchParams(view === "#/choose" ? search : "");
  if (app.files.length) app.go(place("drop", { of: app.files[0].name.split("/")[0], then: asked.get("then"), in: asked.getAll("in") }));
}

/** The name of a project for what was dropped: its own, as far as folders may be called so, and none that there is. */
function projectFor(first, projects) {
  const own = first.replace(ARCHIVE, "").normalize("NFKD").replace(/[^A-Za-z0-9_-]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 40) || "radiographs";
  const taken = new Set(projects.map(({ name: each }) => each));
  for (let n = 1; ; n += 1) {
    const tried = n === 1 ? own : `${own}-${n}`;
    if (!taken.has(tried)) return tried;
  }
}

export function show(asked, app) {
  const view = new Drop(asked.query, app);
  view.start();
  return view;
}

class Drop {
  constructor(query, app) {
    Object.assign(this, { query, app });
    this.files = app.files;
    app.files = [];
    this.stopper = new AbortController();
    this.copied = 0;
    this.bytes = 0;
    this.every = this.files.reduce((sum, { file }) => sum + file.size, 0);
    this.sources = new Set();
    this.bar = make("progress", { max: String(Math.max(1, this.every)), value: "0", "aria-label": t("drop.copying") });
    this.says = make("p", { class: "small muted" });
    this.stops = button(t("job.stop"), () => this.stop());
    this.foot = make("p", { class: "actions" }, this.stops);
    const first = this.files[0]?.name.split("/")[0] ?? "";
    this.element = make("div", { class: "narrow-view" }, make("div", { class: "head" }, title(t("drop.copying")), make("p", {}, name(first))));
    this.element.append(this.bar, this.says, make("p", { class: "small" }, t("drop.what")), this.foot);
    this.tell();
    this.leaving = (event) => event.preventDefault();
  }

  leave() {
    window.removeEventListener("beforeunload", this.leaving);
    this.stopper.abort();
  }

  async start() {
    if (!this.files.length) {
      this.app.replace(place("choose"));
      return;
    }
    this.project = projectFor(this.files[0].name.split("/")[0], this.app.state.projects);
    window.addEventListener("beforeunload", this.leaving);
    const queue = [...this.files];
    try {
      await Promise.all(Array.from({ length: AT_ONCE }, () => this.send(queue)));
      const then = this.query.get("then");
      const search = place("", { project: then ? null : this.project, in: [...this.query.getAll("in"), ...this.sources] });
      this.app.replace(search.replace("#/", `#/${then ?? "look"}`));
    } catch (error) {
      if (!this.stopper.signal.aborted) this.failed(error);
    } finally {
      window.removeEventListener("beforeunload", this.leaving);
    }
  }

  async send(queue) {
    for (let next = queue.shift(); next && !this.stopper.signal.aborted; next = queue.shift()) {
      const { path } = await ask(at("api/drop", { into: this.project, name: next.name }), { body: next.file, signal: this.stopper.signal });
      if (path) this.sources.add(this.sourceOf(next.name, path));
      this.copied += 1;
      this.bytes += next.file.size;
      this.tell();
    }
  }

  /** The folder or archive that a copied file belongs to: the first part of its own path, or where single files lie. */
  sourceOf(own, path) {
    const top = own.split("/")[0];
    const base = path.slice(0, path.length - own.length);
    return own.includes("/") || ARCHIVE.test(own) ? base + top : base.replace(/\/$/, "");
  }

  tell() {
    this.bar.value = this.bytes;
    this.says.textContent = t("drop.so_far", { n: this.copied, every: this.files.length, bytes: bytes(this.bytes), all: bytes(this.every) });
  }

  failed(error) {
    this.stopper.abort();
    this.element.insertBefore(problem(error), this.says);
    const again = button(t("page.again"), () => {
      this.app.files = this.files;
      const fresh = show({ query: this.query }, this.app);
      this.element.replaceWith(fresh.element);
    });
    this.foot.replaceChildren(again, link(t("drop.back"), place("choose")));
  }

  async stop() {
    this.stopper.abort();
    await ask("api/drop/forget", { body: { into: this.project } }).catch(() => null);
    this.app.say(t("drop.stopped"));
    this.app.replace(place("choose"));
  }
}
