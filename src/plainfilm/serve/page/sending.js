// Files to answers: sent in requests of a few files, one request after the other. Nothing is lost when one fails.

import { Refusal, ask, pause, reachable } from "./api.js";

const FEW = 8;
const SLACK_BYTES = 65536; // for the parts' heads
const UNREACHED_MS = [1000, 3000, 8000];

/** Sends what waits. `changed(entries)` is called when entries change, `says(text)` on what is going on. */
export class Sender {
  constructor({ changed, says, ended }) {
    this.limits = null;
    this.queue = null;
    this.stopper = null;
    this.changed = changed;
    this.says = says;
    this.ended = ended;
  }

  get running() {
    return this.queue !== null;
  }

  /** Add entries and start, if it is not running already. */
  add(entries) {
    for (const entry of entries) Object.assign(entry, { state: "waiting", problem: "" });
    if (this.queue) {
      for (const entry of entries) this.queue.push(entry);
      this.changed(entries);
      return;
    }
    this.queue = [...entries];
    this.stopper = new AbortController();
    this.changed(entries);
    this.run(this.queue, this.stopper.signal);
  }

  /** Stop; what was not answered can be sent again. */
  stop() {
    if (!this.queue) return;
    this.stopper.abort();
    this.end(this.queue, "Stopped.");
  }

  async run(queue, signal) {
    let at = 0;
    let reason = "";
    try {
      while (at < queue.length) {
        const group = this.nextGroup(queue, at);
        at += group.length;
        await this.send(group.filter((entry) => this.fits(entry)), signal);
      }
    } catch (error) {
      reason = error.message;
    }
    if (!signal.aborted) this.end(queue, reason);
  }

  end(queue, reason) {
    const left = queue.filter((entry) => entry.state === "waiting" || entry.state === "sending");
    for (const entry of left) Object.assign(entry, { state: "failed", problem: "Not sent." });
    this.queue = null;
    this.changed(left);
    this.ended(reason);
  }

  nextGroup(queue, at) {
    const most = Math.min(FEW, this.limits.files);
    let bytes = SLACK_BYTES;
    let to = at;
    while (to < queue.length && to - at < most) {
      bytes += queue[to].file.size;
      if (to > at && bytes > this.limits.request_bytes) break;
      to += 1;
    }
    return queue.slice(at, to);
  }

  fits(entry) {
    const most = Math.min(this.limits.file_bytes, this.limits.request_bytes - SLACK_BYTES);
    if (entry.file.size <= most) return true;
    const size = `${(entry.file.size / 1e6).toFixed(1)} MB`;
    this.fail(entry, `Expected at most ${Math.floor(most / 1e6)} MB in a file; received ${size}. Make it smaller.`);
    return false;
  }

  async send(group, signal) {
    if (!group.length) return;
    for (const entry of group) entry.state = "sending";
    this.changed(group);
    try {
      await this.post(group, signal);
    } catch (error) {
      if (!(error instanceof Refusal) || error.status === 401) throw error;
      if (group.length === 1) this.fail(group[0], error.status ? error.message : "The browser could not read or send this file. Choose it again.");
      else for (const entry of group) await this.send([entry], signal);
    }
  }

  async post(group, signal) {
    const body = () => {
      const form = new FormData();
      for (const entry of group) form.append("files", entry.file, entry.name);
      return form;
    };
    const onWait = (seconds) => this.says(`The server is busy; trying again in ${Math.ceil(seconds)} s.`);
    for (let tried = 0; ; tried += 1) {
      try {
        const { predictions } = await ask("predict", { body, signal, onWait });
        if (predictions.length !== group.length) throw new Refusal(500, "The server answered for another number of files. Send it again.");
        group.forEach((entry, index) => Object.assign(entry, { state: "done", prediction: predictions[index] }));
        this.changed(group);
        return;
      } catch (error) {
        // Without a status either the server is gone, or a file was moved since it was chosen: only the server's health tells.
        if (error.status !== 0 || (await reachable())) throw error;
        if (tried === UNREACHED_MS.length) throw new Error("The server cannot be reached. Send the rest again when it is back.");
        this.says("The server cannot be reached; trying again.");
        await pause(UNREACHED_MS[tried], signal);
      }
    }
  }

  fail(entry, problem) {
    Object.assign(entry, { state: "failed", problem });
    this.changed([entry]);
  }
}
