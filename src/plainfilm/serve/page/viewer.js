// A film on a canvas with the heatmap over it: window and level, zoom and pan. Knows nothing of answers.

// As evidence/explain.py colours a map: place, red, green, blue, how much of it covers the film.
const TABLE = [
  [0.0, 70, 50, 190, 0.0],
  [0.25, 70, 50, 190, 0.0],
  [0.5, 150, 50, 160, 0.26],
  [0.75, 235, 100, 70, 0.38],
  [1.0, 255, 215, 50, 0.52],
];
const LINE = [255, 215, 50, 0.9]; // round what is above half
const HALF = 128;
const MOST_ZOOM = 16;
const STEP = 1.25;
const WHOLE = { window: 256, level: 128 };

/** Colour of an attribution from 0 to 1: red, green, blue from 0 to 255, and cover from 0 to 1. */
export function colour(value) {
  const above = Math.max(1, TABLE.findIndex((row) => row[0] >= value));
  const [low, high] = [TABLE[above - 1], TABLE[above]];
  const part = (value - low[0]) / (high[0] - low[0]);
  return [1, 2, 3, 4].map((column) => low[column] + part * (high[column] - low[column]));
}

/** Gray levels 0 to 255 through a window: DICOM PS3.3 C.11.2.1.2, so that 256 and 128 change nothing. */
export function lookup({ window, level }, inverted) {
  const table = new Uint8ClampedArray(256);
  for (let value = 0; value < 256; value += 1) {
    const shown = ((value - (level - 0.5)) / (window - 1) + 0.5) * 255;
    table[value] = inverted ? 255 - Math.min(255, Math.max(0, shown)) : shown;
  }
  return table;
}

/** Draw the colours of the heatmap from left to right over middle gray. */
export function drawScale(canvas) {
  const context = canvas.getContext("2d");
  for (let x = 0; x < canvas.width; x += 1) {
    const [red, green, blue, cover] = colour(x / (canvas.width - 1));
    context.fillStyle = "#808080";
    context.fillRect(x, 0, 1, canvas.height);
    context.fillStyle = `rgb(${red} ${green} ${blue} / ${cover})`;
    context.fillRect(x, 0, 1, canvas.height);
  }
}

async function grays(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  const canvas = new OffscreenCanvas(image.naturalWidth, image.naturalHeight);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  const values = new Uint8Array(data.length / 4);
  for (let at = 0; at < values.length; at += 1) values[at] = data[4 * at];
  return { width: canvas.width, height: canvas.height, values };
}

function heatLayer({ width, height, values }) {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext("2d");
  const image = context.createImageData(width, height);
  const inside = (x, y) => x < 0 || y < 0 || x >= width || y >= height || values[y * width + x] >= HALF;
  const colours = Array.from({ length: 256 }, (_, value) => colour(value / 255));
  for (let y = 0; y < height; y += 1) {
    for (let x = 0; x < width; x += 1) {
      const at = y * width + x;
      const edge = values[at] >= HALF && !(inside(x - 1, y) && inside(x + 1, y) && inside(x, y - 1) && inside(x, y + 1));
      const [red, green, blue, cover] = edge ? LINE : colours[values[at]];
      image.data.set([red, green, blue, Math.round(255 * cover)], 4 * at);
    }
  }
  context.putImageData(image, 0, 0);
  return canvas;
}

/** The canvas and what is done to it. `changed(view)` is called when zoom, window or level change by hand. */
export class Viewer {
  constructor(canvas, changed) {
    this.canvas = canvas;
    this.changed = changed;
    this.film = null;
    this.heat = null;
    this.strength = 1;
    this.inverted = false;
    this.tones = { ...WHOLE };
    this.view = { zoom: 1, x: 0, y: 0 };
    this.fingers = new Map();
    this.due = false;
    new ResizeObserver(() => this.draw()).observe(canvas);
    this.listen();
  }

  /** Read a picture and its heatmap, data addresses, null for none; the function that it gives shows them. */
  async read(picture, heatmap) {
    const [film, heat] = await Promise.all([picture ? grays(picture) : null, heatmap ? grays(heatmap) : null]);
    return () => {
      this.film = film;
      this.layer = film && new OffscreenCanvas(film.width, film.height);
      this.heat = heat && heatLayer(heat);
      this.reset();
    };
  }

  /** Show nothing. */
  clear() {
    this.film = null;
    this.heat = null;
    this.draw();
  }

  set(values) {
    Object.assign(this, values);
    this.paint();
  }

  setTones(tones) {
    Object.assign(this.tones, tones);
    this.tones.window = Math.round(Math.min(512, Math.max(2, this.tones.window)));
    this.tones.level = Math.round(Math.min(255, Math.max(0, this.tones.level)));
    this.paint();
  }

  reset() {
    this.tones = { ...WHOLE };
    this.inverted = false;
    this.paint();
    this.fit();
  }

  fit() {
    this.view = { zoom: 1, x: 0, y: 0 };
    this.draw();
  }

  /** Zoom by a factor about a point of the canvas in CSS pixels, by default its middle. */
  zoomBy(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const zoom = Math.min(MOST_ZOOM, Math.max(1, this.view.zoom * factor));
    const ratio = zoom / this.view.zoom;
    const [fromX, fromY] = [x - this.canvas.clientWidth / 2, y - this.canvas.clientHeight / 2];
    this.view = { zoom, x: fromX - ratio * (fromX - this.view.x), y: fromY - ratio * (fromY - this.view.y) };
    this.draw();
  }

  panBy(x, y) {
    this.view.x += x;
    this.view.y += y;
    this.draw();
  }

  /** Film pixels a CSS pixel, at zoom 1. */
  scale() {
    return this.film ? Math.min(this.canvas.clientWidth / this.film.width, this.canvas.clientHeight / this.film.height) : 1;
  }

  hold() {
    const scale = this.scale() * this.view.zoom;
    for (const [axis, side, room] of [["x", this.film?.width, this.canvas.clientWidth], ["y", this.film?.height, this.canvas.clientHeight]]) {
      const most = Math.max(0, ((side ?? 0) * scale - room) / 2);
      this.view[axis] = Math.min(most, Math.max(-most, this.view[axis]));
    }
  }

  /** Put the film's gray levels through the window, then draw. */
  paint() {
    if (this.film) {
      const { width, height, values } = this.film;
      const table = lookup(this.tones, this.inverted);
      const context = this.layer.getContext("2d");
      const image = context.createImageData(width, height);
      const pixels = new Uint32Array(image.data.buffer);
      const words = Uint32Array.from(table, (gray) => 0xff000000 | (gray << 16) | (gray << 8) | gray);
      for (let at = 0; at < values.length; at += 1) pixels[at] = words[values[at]];
      context.putImageData(image, 0, 0);
    }
    this.draw();
  }

  draw() {
    if (this.due) return;
    this.due = true;
    requestAnimationFrame(() => {
      this.due = false;
      this.drawNow();
    });
  }

  drawNow() {
    this.hold();
    this.canvas.style.touchAction = this.view.zoom > 1 ? "none" : "pan-y";
    const dense = window.devicePixelRatio || 1;
    const [width, height] = [Math.round(this.canvas.clientWidth * dense), Math.round(this.canvas.clientHeight * dense)];
    if (this.canvas.width !== width || this.canvas.height !== height) Object.assign(this.canvas, { width, height });
    const context = this.canvas.getContext("2d");
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    if (this.film) {
      const scale = this.scale() * this.view.zoom * dense;
      context.translate(width / 2 + this.view.x * dense, height / 2 + this.view.y * dense);
      context.scale(scale, scale);
      context.imageSmoothingEnabled = scale < 6;
      context.imageSmoothingQuality = "high";
      context.drawImage(this.layer, -this.film.width / 2, -this.film.height / 2);
      if (this.heat) {
        context.globalAlpha = this.strength;
        context.drawImage(this.heat, -this.film.width / 2, -this.film.height / 2, this.film.width, this.film.height);
        context.globalAlpha = 1;
      }
    }
    this.changed(this);
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoomBy(Math.exp(-Math.max(-100, Math.min(100, event.deltaY)) / 400), event.offsetX, event.offsetY);
    }, { passive: false });
    canvas.addEventListener("contextmenu", (event) => event.preventDefault());
    canvas.addEventListener("keydown", (event) => this.key(event));
    canvas.addEventListener("dblclick", (event) => (this.view.zoom > 1 ? this.fit() : this.zoomBy(3, event.offsetX, event.offsetY)));
    canvas.addEventListener("pointerdown", (event) => {
      canvas.setPointerCapture(event.pointerId);
      this.fingers.set(event.pointerId, { x: event.clientX, y: event.clientY, tones: event.button === 2 || event.shiftKey });
    });
    canvas.addEventListener("pointermove", (event) => this.move(event));
    for (const kind of ["pointerup", "pointercancel"]) canvas.addEventListener(kind, (event) => this.fingers.delete(event.pointerId));
  }

  move(event) {
    const finger = this.fingers.get(event.pointerId);
    if (!finger) return;
    const before = [...this.fingers.values()].map(({ x, y }) => ({ x, y }));
    const [x, y] = [event.clientX - finger.x, event.clientY - finger.y];
    Object.assign(finger, { x: event.clientX, y: event.clientY });
    if (this.fingers.size === 2) this.pinch(before, [...this.fingers.values()]);
    else if (finger.tones) this.setTones({ window: this.tones.window + x, level: this.tones.level + y / 2 });
    else this.panBy(x, y);
  }

  pinch([a, b], [c, d]) {
    const box = this.canvas.getBoundingClientRect();
    const [x, y] = [(c.x + d.x) / 2, (c.y + d.y) / 2];
    this.panBy(x - (a.x + b.x) / 2, y - (a.y + b.y) / 2);
    this.zoomBy(Math.hypot(c.x - d.x, c.y - d.y) / Math.max(1, Math.hypot(a.x - b.x, a.y - b.y)), x - box.left, y - box.top);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const pan = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] }[event.key];
    if (pan) this.panBy(...pan);
    else if (event.key === "+" || event.key === "=") this.zoomBy(STEP);
    else if (event.key === "-") this.zoomBy(1 / STEP);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }
}
