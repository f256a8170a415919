"use strict";

// What all pages share: making elements, reading numbers and arrays, drawing arrays.

const data = JSON.parse(document.getElementById("data").textContent);
const byId = (id) => document.getElementById(id);

/** An element with attributes (those that begin with "on" are listeners) and children. */
function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return element;
}

/** The same for SVG. */
function draw(tag, attributes = {}, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** NaN and the infinities are strings in JSON. */
const asNumber = (value) => (typeof value === "string" ? Number(value.replace("inf", "Infinity")) : value);

/** A number with four significant digits. */
function shown(value) {
  const x = asNumber(value);
  if (Number.isNaN(x)) return "NaN";
  if (!Number.isFinite(x)) return x > 0 ? "∞" : "−∞";
  if (Number.isInteger(x) && Math.abs(x) < 1e6) return String(x).replace("-", "−");
  const size = Math.abs(x);
  const text = size < 1e-3 || size >= 1e5 ? x.toExponential(2) : String(Number(x.toPrecision(4)));
  return text.replaceAll("-", "−");
}

const counted = (n, noun) => `${n} ${noun}${n === 1 ? "" : "s"}`;

function bytes(n) {
  if (n < 1000) return counted(n, "byte");
  return n < 1e6 ? `${shown(n / 1e3)} kB` : `${shown(n / 1e6)} MB`;
}

const product = (sizes) => sizes.reduce((a, b) => a * b, 1);
const shapeText = (shape) => (shape.length > 1 ? shape.join(" × ") : shape.length ? counted(shape[0], "number") : "one number");

// ---------------------------------------------------------------- arrays

const KINDS = { f4: Float32Array, f8: Float64Array, i4: Int32Array, u1: Uint8Array };
const decoded = new WeakMap();

/** The numbers of an array that is in the page whole; undefined for the others. */
function valuesOf(entry) {
  if (!entry.data && entry.data !== "") return undefined;
  if (!decoded.has(entry)) {
    const raw = Uint8Array.from(atob(entry.data), (c) => c.charCodeAt(0));
    decoded.set(entry, new KINDS[entry.type](raw.buffer));
  }
  return decoded.get(entry);
}

const dark = matchMedia("(prefers-color-scheme: dark)");

/** Blue for negative, red for positive, paper for zero; `scale` is the largest size. */
function colourOf(value, scale) {
  const paper = dark.matches ? [20, 23, 26] : [252, 252, 250];
  if (!Number.isFinite(value)) return [255, 0, 255];
  const full = value < 0 ? [37, 99, 190] : [196, 58, 40];
  const share = scale > 0 ? Math.min(1, Math.abs(value) / scale) ** 0.8 : 0;
  return paper.map((p, i) => Math.round(p + share * (full[i] - p)));
}

/** A plane of numbers as a picture, each a square of some pixels. */
function planePicture(values, height, width, scale, cell) {
  const canvas = make("canvas", { width, height });
  canvas.style.width = `${width * cell}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    pixels.data.set([...colourOf(values[i], scale), 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
  return canvas;
}

function largestOf(values) {
  let largest = 0;
  for (const v of values) if (Number.isFinite(v)) largest = Math.max(largest, Math.abs(v));
  return largest;
}

/** Up to 32 bars of how often which values occur. */
function histogramOf(values) {
  const finite = Array.from(values).filter(Number.isFinite);
  const low = Math.min(...finite);
  const high = Math.max(...finite);
  const counts = new Array(high > low ? 32 : 1).fill(0);
  for (const v of finite) counts[Math.min(counts.length - 1, Math.floor(((v - low) / (high - low || 1)) * counts.length))]++;
  return { counts, low, high };
}

function histogramPicture({ counts, low, high }) {
  const width = 160, height = 44;
  const step = width / counts.length;
  const most = Math.max(...counts, 1);
  const svg = draw("svg", { viewBox: `0 0 ${width} ${height + 14}`, class: "histogram", role: "img" });
  svg.append(draw("title", {}, `${counts.reduce((a, b) => a + b, 0)} values from ${shown(low)} to ${shown(high)}`));
  counts.forEach((count, i) => {
    const tall = count ? Math.max(1, (count / most) * height) : 0;
    svg.append(draw("rect", { x: i * step, y: height - tall, width: Math.max(0.5, step - 0.5), height: tall }));
  });
  svg.append(draw("text", { x: 0, y: height + 11 }, shown(low)));
  svg.append(draw("text", { x: width, y: height + 11, "text-anchor": "end" }, shown(high)));
  return svg;
}

/** Matrices of numbers, one below the other. */
function numbersTable(values, shape) {
  const width = shape.length ? shape[shape.length - 1] : 1;
  const height = shape.length > 1 ? shape[shape.length - 2] : 1;
  const planes = values.length / (width * height);
  const parts = [];
  for (let k = 0; k < planes; k++) {
    if (planes > 1) parts.push(make("p", { class: "plane" }, planeName(k, shape)));
    const table = make("table", { class: "numbers" });
    for (let i = 0; i < height; i++) {
      const row = make("tr");
      for (let j = 0; j < width; j++) {
        const value = values[(k * height + i) * width + j];
        row.append(make("td", { "data-value": value, title: value }, shown(value)));
      }
      table.append(row);
    }
    parts.push(table);
  }
  return make("div", { class: "tables" }, parts);
}

/** The leading indices of plane k: [0, 1] and so on. */
function planeName(k, shape) {
  const leading = shape.slice(0, -2);
  const index = leading.map(() => 0);
  for (let axis = leading.length - 1; axis >= 0; axis--) {
    index[axis] = k % leading[axis];
    k = Math.floor(k / leading[axis]);
  }
  return `[${index.join(", ")}]`;
}

const NUMBERS_UP_TO = 64;
const PLANES_SHOWN = 8;

/** An array: numbers where they are few, pictures and a histogram where they are many. */
function arrayView(entry) {
  const caption = make("p", { class: "note" }, `${shapeText(entry.shape)}, ${entry.dtype}` + (entry.bad ? `; ${entry.bad} not finite` : ""));
  const values = valuesOf(entry);
  if (values && values.length === 0) return make("div", { class: "array" }, caption, "no elements");
  if (values && values.length <= NUMBERS_UP_TO) {
    return make("div", { class: "array", "data-kind": "numbers" }, make("div", { class: "scroll" }, numbersTable(values, entry.shape)), caption);
  }
  const parts = [];
  const small = values ? entry : entry.thumbnail;
  if (small && small.shape.length > 1 && Math.min(...small.shape.slice(-2)) > 1) parts.push(planePictures(small));
  parts.push(histogramPicture(values ? histogramOf(values) : entry.bars));
  if (!values && entry.step > 1) caption.append(`; drawn: one pixel of ${entry.step} each way`);
  caption.append(`; from ${shown(entry.least)} to ${shown(entry.most)}, norm ${shown(entry.norm)}`);
  return make("div", { class: "array", "data-kind": "picture" }, parts, caption);
}

function planePictures(entry) {
  const [height, width] = entry.shape.slice(-2);
  const values = valuesOf(entry);
  const size = height * width;
  const planes = Math.min(values.length / size, PLANES_SHOWN);
  const cell = Math.max(1, Math.min(10, Math.floor(160 / Math.max(height, width))));
  const scale = largestOf(values);
  const figures = [];
  for (let k = 0; k < planes; k++) {
    const picture = planePicture(values.subarray(k * size, (k + 1) * size), height, width, scale, cell);
    figures.push(make("figure", {}, picture, entry.shape.length > 2 ? make("figcaption", {}, planeName(k, entry.shape)) : null));
  }
  return make("div", { class: "planes" }, figures);
}
