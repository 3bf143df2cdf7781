// Requests to the app's server, and the state of its work, which is watched as long as the page is open.

const AGAIN_MS = 2000;
const HIDDEN_MS = 30000; // between two looks of a page that nobody sees

/** An answer that is no success. `status` is 0 where the server could not be reached. The message is a command's one line. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** GET, or POST where there is a `body`: an object goes as JSON, a Blob as it is. */
export async function ask(path, { body = null, signal = null } = {}) {
  const isBlob = body instanceof Blob;
  const sent = body === null ? {} : { method: "POST", body: isBlob ? body : JSON.stringify(body), headers: isBlob ? {} : { "Content-Type": "application/json" } };
  let response;
  try {
    response = await fetch(path, { ...sent, signal, cache: "no-store" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, "");
  }
  const answer = await response.json().catch(() => null);
  if (response.ok && answer !== null) return answer;
  throw new Refusal(response.status, answer?.error?.message ?? `The server answered ${response.status}.`);
}

/** An address with a query; what is null or undefined is left out. */
export function at(path, query) {
  const given = Object.entries(query).filter(([, value]) => value !== null && value !== undefined);
  return `${path}?${new URLSearchParams(given)}`;
}

export const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/**
 * Watch the state: `changed(state)` is called with each new one, `lost(refusal)` when the server cannot be asked, and again and again
 * until it can, or `isOver()`. A page that nobody sees asks seldom, so that many windows do not hold all connections of the browser.
 */
export async function watch({ changed, lost, isOver }) {
  let number = null;
  while (!isOver()) {
    try {
      const since = document.hidden ? null : number;
      const state = await ask(at("api/state", { since }));
      if (state.number !== number) show(changed, state);
      number = state.number;
      if (document.hidden) await Promise.race([pause(HIDDEN_MS), seen()]);
      else await pause(100);
    } catch (error) {
      number = null;
      lost(error);
      await pause(AGAIN_MS);
    }
  }
}

/** A fault in a view is reported, and ends no watching. */
function show(changed, state) {
  try {
    changed(state);
  } catch (error) {
    reportError(error);
  }
}

const seen = () => new Promise((resolve) => document.addEventListener("visibilitychange", resolve, { once: true }));
