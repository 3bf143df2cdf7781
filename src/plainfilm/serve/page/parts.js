// Small pieces of the document. Text goes in as text, never as HTML.

export const $ = (id) => document.getElementById(id);

/** An element with attributes and children; strings become text. */
export function make(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children.filter((child) => child !== null));
  return made;
}

const SIGN = "M8 .8 15.8 15H.2zM7 6v4.5h2V6zM7 11.7v1.8h2v-1.8z";

/** Fill a chip: a sign where something stands against believing, then the words. */
export function chip(element, words, kind) {
  element.replaceChildren();
  if (kind === "caution" || kind === "warning") {
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 16 16");
    svg.setAttribute("aria-hidden", "true");
    const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
    path.setAttribute("d", SIGN);
    path.setAttribute("fill", "currentColor");
    path.setAttribute("fill-rule", "evenodd");
    svg.append(path);
    element.append(svg);
  }
  element.append(words);
  element.classList.remove("clear", "caution", "warning", "open");
  element.classList.add(kind);
  element.hidden = false;
}

/** A bar from 0 to 1 with the threshold marked. It says nothing that the number beside it does not say. */
export function bar(share, threshold) {
  const length = make("i");
  length.style.inlineSize = `${100 * (share ?? 0)}%`;
  const parts = [length];
  if (typeof threshold === "number") {
    const mark = make("b");
    mark.style.insetInlineStart = `${100 * threshold}%`;
    parts.push(mark);
  }
  return make("span", { class: "meter", "aria-hidden": "true" }, ...parts);
}

/** Open a modal dialog; what had the focus gets it back when it closes. */
export function open(dialog) {
  if (dialog.open) return;
  const before = document.activeElement;
  dialog.showModal();
  dialog.addEventListener("close", () => before?.isConnected && before.focus({ preventScroll: true }), { once: true });
}
