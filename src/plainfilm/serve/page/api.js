// Requests to /api/v1: the access token, waiting where the server is busy, errors in one line.

const TRIES = 40;
const LONGEST_WAIT_S = 30;
const KEY = "plainfilm-token";

let under = "";
let token = ofTheAddress() ?? sessionStorage.getItem(KEY);
let asking = null;
let askForToken = async () => null;

/** Say how a token is asked for: called with a sentence on the last one, it gives the next. */
export function onToken(ask) {
  askForToken = ask;
}

/** Where a classifier of the server is found, by its name. */
export function placeOf(name) {
  return `models/${encodeURIComponent(name)}`;
}

/** Ask this classifier from now on. */
export function answerBy(name) {
  under = `${placeOf(name)}/`;
}

/** An answer that is no success. `status` is 0 where the server could not be reached. */
export class Refusal extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Ask, again and again where the server is busy or wants a token. `body` is a function: a form is made anew each time. */
export async function ask(path, { body = null, signal = null, onWait = () => {} } = {}) {
  for (let tried = 0; ; tried += 1) {
    const used = token;
    const response = await send(path, body, used, signal);
    if (response.status === 401) {
      await renew(used);
      continue;
    }
    const busy = response.status === 429 || response.status === 503;
    if (busy && tried < TRIES) {
      const wait_s = Math.min(LONGEST_WAIT_S, Math.max(0.2, Number(response.headers.get("Retry-After")) || 1));
      onWait(wait_s);
      await pause(1000 * wait_s, signal);
      continue;
    }
    const answer = await response.json().catch(() => null);
    if (response.ok && answer !== null) return answer;
    throw new Refusal(response.status, answer?.error?.message ?? `The server answered ${response.status}. Try again later.`);
  }
}

/** Whether the server answers at all. */
export async function reachable() {
  try {
    return (await fetch("api/v1/health", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

/** Wait; a stop ends it early. */
export function pause(ms, signal = null) {
  return new Promise((resolve, reject) => {
    const stopped = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stopped);
      resolve();
    }, ms);
    if (signal?.aborted) stopped();
    else signal?.addEventListener("abort", stopped, { once: true });
  });
}

/** The token that the address carries as #token=: it is taken out of it, so that no history and no bookmark keeps it. */
function ofTheAddress() {
  const given = new URLSearchParams(window.location.hash.slice(1)).get("token");
  if (!given) return null;
  history.replaceState(null, "", window.location.pathname + window.location.search);
  sessionStorage.setItem(KEY, given);
  return given;
}

async function send(path, body, used, signal) {
  const headers = used ? { Authorization: `Bearer ${used}` } : {};
  try {
    return await fetch(`api/v1/${under}${path}`, { method: body ? "POST" : "GET", headers, body: body?.(), signal, cache: "no-store", credentials: "omit" });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new Refusal(0, "The server cannot be reached.");
  }
}

/** Ask once for all requests that wait for a token; one that was replaced meanwhile is not asked for again. */
async function renew(used) {
  if (token !== used) return;
  asking ??= askForToken(used ? "That token was not accepted." : "").finally(() => {
    asking = null;
  });
  const given = await asking;
  if (!given) throw new Refusal(401, "No access without a token.");
  token = given;
  sessionStorage.setItem(KEY, token);
}
