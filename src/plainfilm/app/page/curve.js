// The learning curve while it is drawn: loss above, accuracy below, an epoch a point. The same numbers stand in words beside it.

import { make } from "./parts.js";
import { number, percent, t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const [WIDTH, HEIGHT, LEFT, BOTTOM] = [320, 120, 38, 18];

function drawn(tag, attributes, words = "") {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.textContent = words;
  return made;
}

/** Both curves as one figure; hidden before there are two epochs. */
export class Curve {
  constructor() {
    this.loss = make("div");
    this.accuracy = make("div");
    this.caption = make("figcaption", { class: "small muted" });
    this.element = make("figure", { class: "curve" }, this.loss, this.accuracy, this.caption);
    this.element.hidden = true;
    this.seen = 0;
  }

  show(points) {
    const known = points.filter(({ loss, accuracy }) => typeof loss === "number" && typeof accuracy === "number");
    this.element.hidden = known.length < 2;
    if (this.element.hidden || known.length === this.seen) return;
    this.seen = known.length;
    const last = known.at(-1);
    const most = Math.max(...known.map(({ loss }) => loss));
    this.loss.replaceChildren(plot(t("curve.loss"), known.map(({ epoch, loss }) => [epoch, loss]), [0, most], (value) => number(value, 2)));
    this.accuracy.replaceChildren(plot(t("curve.accuracy"), known.map(({ epoch, accuracy }) => [epoch, accuracy]), [0, 1], (value) => percent(value, 0)));
    this.caption.textContent = t("curve.last", { epoch: last.epoch, loss: number(last.loss, 3), accuracy: percent(last.accuracy) });
  }
}

function plot(words, points, [low, high], shown) {
  const svg = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + BOTTOM}`, "aria-hidden": "true" });
  const [first, last] = [points[0][0], points.at(-1)[0]];
  const x = (epoch) => LEFT + ((WIDTH - LEFT - 4) * (epoch - first)) / Math.max(1, last - first);
  const y = (value) => 4 + (HEIGHT - 8) * (1 - (value - low) / (high - low || 1));
  for (const value of [low, high]) {
    svg.append(drawn("line", { x1: LEFT, x2: WIDTH, y1: y(value), y2: y(value), class: "grid" }));
    svg.append(drawn("text", { x: LEFT - 6, y: y(value) + 4, class: "end" }, shown(value)));
  }
  for (const [epoch, kind] of [[first, "start"], [last, "end"]]) svg.append(drawn("text", { x: x(epoch), y: HEIGHT + 14, class: kind }, number(epoch)));
  svg.append(drawn("polyline", { points: points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(" ") }));
  return make("div", { class: "plot" }, make("p", { class: "small" }, words), svg);
}
