// Pictures of what convolution, pooling and upsampling do: which window an output saw, and where a
// gradient goes. Each number of the result is added up here again, from the numbers that went in.

const TERMS_SHOWN = 12;
const PLANES_DRAWN = 3; // of one array

let windows = null; // those that are shown now, for the keys that move the frame

/** An array of the page with its values; null where it is not there whole. */
function wholeArray(place) {
  if (place === null || place === undefined) return null;
  const entry = data.arrays[place];
  const values = valuesOf(entry);
  return values ? { values, shape: entry.shape } : null;
}

const argumentOf = (box, name) => {
  const found = box.arguments.find((argument) => argument.name === name);
  if (!found) return null;
  return found.from === undefined ? null : wholeArray(data.boxes[found.from].value);
};

const at = ({ values, shape }, index) => values[index.reduce((flat, i, axis) => flat * shape[axis] + i, 0)];
const same = (a, b) => a.every((x, i) => x === b[i]);

function* ranges(...sizes) {
  const total = product(sizes);
  for (let k = 0; k < total; k++) {
    const index = [];
    let rest = k;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      index[axis] = rest % sizes[axis];
      rest = Math.floor(rest / sizes[axis]);
    }
    yield index;
  }
}

// ---------------------------------------------------------------- what one number is made of

// Each gives the terms of result[index]: places in the arrays whose numbers are multiplied, or taken as
// they are. A place outside x, in its padding, counts as 0.

const TERMS = {
  conv2d(box, arrays, target, index) {
    const { stride, padding, dilation, groups, upsample } = box.window;
    const [outputs, channels, kh, kw] = arrays.weight.shape;
    const [height, width] = arrays.x.shape.slice(2);
    const out = arrays.out;
    const read = (p, k, axis) => Math.floor((stride[axis] * p + dilation[axis] * k - padding[axis]) / upsample[axis]);
    const isIn = (h, w) => h >= 0 && w >= 0 && h < height && w < width;
    const terms = [];
    if (target === "y") {
      const [n, o, p, q] = index;
      const first = Math.floor(o / (outputs / groups)) * channels;
      for (const [c, i, j] of ranges(channels, kh, kw)) {
        const [h, w] = [read(p, i, 0), read(q, j, 1)];
        terms.push({ places: { x: [n, first + c, h, w], weight: [o, c, i, j] }, outside: !isIn(h, w) });
      }
    } else if (target === "x") {
      const [n, c, h, w] = index;
      const group = Math.floor(c / channels);
      const each = outputs / groups;
      for (const [o, p, q, i, j] of ranges(each, ...out, kh, kw)) {
        if (read(p, i, 0) !== h || read(q, j, 1) !== w) continue;
        const output = group * each + o;
        terms.push({ places: { g: [n, output, p, q], weight: [output, c - group * channels, i, j] } });
      }
    } else {
      const [o, c, i, j] = index;
      const first = Math.floor(o / (outputs / groups)) * channels;
      for (const [n, p, q] of ranges(arrays.x.shape[0], ...out)) {
        const [h, w] = [read(p, i, 0), read(q, j, 1)];
        if (isIn(h, w)) terms.push({ places: { x: [n, first + c, h, w], g: [n, o, p, q] } });
      }
    }
    return terms;
  },

  max_pool2d(box, arrays, target, index) {
    if (target === "y") {
      const inside = windowOf(box, arrays, index);
      const largest = winnerOf(arrays, inside);
      return inside.map((place) => ({ places: { x: place }, won: place === largest, idle: place !== largest }));
    }
    return coveringWindows(box, arrays, index)
      .map((place) => ({ places: { g: place }, winner: winnerOf(arrays, windowOf(box, arrays, place)) }))
      .map(({ places, winner }) => ({ places, won: same(winner, index), idle: !same(winner, index) }));
  },

  sum_pool2d(box, arrays, target, index) {
    if (target === "y") return windowOf(box, arrays, index).map((place) => ({ places: { x: place } }));
    return coveringWindows(box, arrays, index).map((place) => ({ places: { g: place } }));
  },

  upsample_nearest2d(box, arrays, target, index) {
    const [sh, sw] = box.window.scale_factor;
    const [n, c, p, q] = index;
    if (target === "y") return [{ places: { x: [n, c, Math.floor(p / sh), Math.floor(q / sw)] } }];
    return [...ranges(sh, sw)].map(([i, j]) => ({ places: { g: [n, c, p * sh + i, q * sw + j] } }));
  },
};
TERMS.conv2d_relu = TERMS.conv2d;

/** The places in x that the window of output (p, q) sees, row by row; padding left out. */
function windowOf(box, { x }, [n, c, p, q]) {
  const { kernel_size, stride, padding } = box.window;
  return [...ranges(...kernel_size)]
    .map(([i, j]) => [n, c, stride[0] * p + i - padding[0], stride[1] * q + j - padding[1]])
    .filter(([, , h, w]) => h >= 0 && w >= 0 && h < x.shape[2] && w < x.shape[3]);
}

/** The outputs whose windows see pixel (h, w). */
function coveringWindows(box, arrays, [n, c, h, w]) {
  const found = [];
  for (const [p, q] of ranges(...arrays.out)) {
    if (windowOf(box, arrays, [n, c, p, q]).some((place) => place[2] === h && place[3] === w)) found.push([n, c, p, q]);
  }
  return found;
}

/** The first of the largest, which is the one that max-pooling takes; NaN counts as larger than all. */
function winnerOf({ x }, places) {
  return places.reduce((best, place) => {
    const [a, b] = [at(x, best), at(x, place)];
    return b > a || (Number.isNaN(b) && !Number.isNaN(a)) ? place : best;
  });
}

// ---------------------------------------------------------------- the view

/** The pictures of one step, or null where the operation has none. */
function windowsView(box, visit, chosen, choose) {
  if (!box.window) return null;
  const arrays = { x: argumentOf(box, "x"), weight: argumentOf(box, "weight"), y: wholeArray(box.value) };
  const targets = { y: arrays.y };
  if (visit) {
    delete targets.y;
    arrays.g = gradientOf(box, visit, arrays);
    for (const { argument, gradient } of visit.passed) {
      if (argument === "x" || argument === "weight") targets[argument] = wholeArray(gradient);
    }
  }
  const needed = [arrays.x, arrays.y, ...(box.window.kind.startsWith("conv") ? [arrays.weight] : []), ...Object.values(targets)];
  if (needed.some((array) => !array) || (visit && !arrays.g)) {
    return make("p", { class: "note" }, "The arrays are too large for the page, so their windows are not drawn.");
  }
  if (!Object.keys(targets).length) return null;
  arrays.out = arrays.y.shape.slice(2);
  windows = new Windows(box, arrays, targets, chosen, choose);
  return windows.view();
}

/** What flows in; before the convolution of conv2d_relu, only what ReLU lets through. */
function gradientOf(box, visit, arrays) {
  const g = wholeArray(visit.gradient);
  if (!g || !arrays.y || box.window.kind !== "conv2d_relu") return g;
  return { shape: g.shape, values: g.values.map((value, i) => (arrays.y.values[i] > 0 ? value : 0)) };
}

class Windows {
  /** `chosen` is {target, index} as the address of the page has it, and may not fit. */
  constructor(box, arrays, targets, chosen, choose) {
    Object.assign(this, { box, arrays, targets, choose });
    this.target = chosen && targets[chosen.target] ? chosen.target : Object.keys(targets)[0];
    const { shape } = targets[this.target];
    const fits = chosen && chosen.target === this.target && chosen.index.length === 4 && chosen.index.every((i, axis) => i >= 0 && i < shape[axis]);
    this.index = fits ? chosen.index : [0, 0, Math.floor(shape[2] / 2), Math.floor(shape[3] / 2)];
    this.terms = TERMS[box.window.kind](box, arrays, this.target, this.index);
  }

  view() {
    const backwards = this.target !== "y";
    const title = backwards ? "Where this gradient comes from" : "What this number is made of";
    return make("div", { class: "windows" }, make("h3", {}, title), this.choices(), make("div", { class: "pictures" }, this.pictures()), this.sum());
  }

  go(target, index) {
    this.choose({ target, index });
  }

  choices() {
    const { shape } = this.targets[this.target];
    const selects = [];
    const names = Object.keys(this.targets);
    if (names.length > 1) selects.push(this.select("of", names.map((name) => `∂L/∂${name}`), names.indexOf(this.target), (i) => this.go(names[i], [])));
    const axes = this.target === "weight" ? ["output", "input"] : ["picture", "channel"];
    axes.forEach((name, axis) => {
      if (shape[axis] < 2) return;
      const options = [...Array(shape[axis]).keys()].map(String);
      selects.push(this.select(name, options, this.index[axis], (i) => this.go(this.target, this.index.map((old, k) => (k === axis ? i : old)))));
    });
    return make("div", { class: "choose" }, selects, make("span", { class: "note" }, "Click on a pixel of the framed picture, or move the frame with i, j, k, l."));
  }

  select(label, options, selected, changed) {
    const element = make("select", { onchange: (event) => changed(event.target.selectedIndex) });
    options.forEach((option, i) => element.append(make("option", { selected: i === selected }, option)));
    return make("label", {}, `${label} `, element);
  }

  /** Move the frame, as far as the picture goes. */
  move(rows, columns) {
    const { shape } = this.targets[this.target];
    const [n, c, p, q] = this.index;
    const held = (value, size) => Math.max(0, Math.min(size - 1, value));
    this.go(this.target, [n, c, held(p + rows, shape[2]), held(q + columns, shape[3])]);
  }

  pictures() {
    const order = ["x", "g", "weight"].filter((name) => this.terms.some((term) => term.places[name]));
    const found = order.flatMap((name) => this.planesOf(name));
    const result = this.target === "y" ? "y" : `∂L/∂${this.target}`;
    found.push(this.picture(`${result}${bracket(this.index.slice(0, 2))}`, this.targets[this.target], this.index.slice(0, 2), [], this.index));
    return found;
  }

  planesOf(name) {
    const planes = [];
    for (const { places } of this.terms) {
      const plane = places[name].slice(0, 2);
      if (!planes.some((known) => same(known, plane))) planes.push(plane);
    }
    const drawn = planes.slice(0, PLANES_DRAWN).map((plane) => {
      const cells = this.terms.filter(({ places }) => same(places[name].slice(0, 2), plane));
      return this.picture(`${name}${bracket(plane)}`, this.arrays[name], plane, cells.map((term) => ({ place: term.places[name], idle: term.idle })), null);
    });
    if (planes.length > drawn.length) drawn.push(make("p", { class: "note" }, `and ${planes.length - drawn.length} more`));
    return drawn;
  }

  picture(caption, array, [n, c], cells, target) {
    const [height, width] = array.shape.slice(2);
    const side = Math.max(4, Math.min(18, Math.floor(220 / Math.max(height, width))));
    const pad = this.box.window.padding && array === this.arrays.x ? this.box.window.padding : [0, 0];
    const view = [-pad[1] * side - 2, -pad[0] * side - 2, (width + 2 * pad[1]) * side + 4, (height + 2 * pad[0]) * side + 4];
    const svg = draw("svg", { viewBox: view.join(" "), width: view[2], height: view[3], role: "img" });
    const scale = largestOf(array.values);
    for (const [i, j] of ranges(height, width)) {
      const value = at(array, [n, c, i, j]);
      const cell = draw("rect", { class: "cell", x: j * side, y: i * side, width: side, height: side, fill: `rgb(${colourOf(value, scale)})` });
      cell.append(draw("title", {}, `[${i}, ${j}]: ${value}`));
      if (target) {
        cell.style.cursor = "pointer";
        cell.addEventListener("click", () => this.go(this.target, [n, c, i, j]));
      }
      svg.append(cell);
    }
    const frame = ([, , i, j], name) => draw("rect", { class: name, x: j * side, y: i * side, width: side, height: side });
    for (const { place, idle } of cells) svg.append(frame(place, idle ? "outside" : place[2] < 0 || place[3] < 0 || place[2] >= height || place[3] >= width ? "outside" : "seen"));
    if (target) svg.append(frame(target, "target"));
    return make("figure", {}, svg, make("figcaption", {}, caption));
  }

  /** The terms one by one, their sum, and the engine's number. */
  sum() {
    const rows = [];
    let total = 0;
    let left = 0;
    for (const { places, outside, won, idle } of this.terms) {
      const names = Object.keys(places);
      const factors = names.map((name) => (outside && name === "x" ? 0 : at(this.arrays[name], places[name])));
      const value = idle ? 0 : product(factors);
      total += value;
      if (rows.length === TERMS_SHOWN) left++;
      else rows.push(this.row(names, places, factors, value, { outside, won, idle }));
    }
    const table = make("table", { class: "numbers" }, rows);
    const bias = this.target === "y" ? argumentOf(this.box, "bias") : null;
    if (bias) total += bias.values[this.index[1]];
    if (this.target === "y" && this.box.window.kind === "conv2d_relu") total = Math.max(0, total);
    const engine = at(this.targets[this.target], this.index);
    const name = this.target === "y" ? "y" : `∂L/∂${this.target}`;
    return make(
      "div",
      {},
      make("div", { class: "scroll" }, table),
      left ? make("p", { class: "note" }, `and ${left} more`) : null,
      bias ? make("p", { class: "note" }, `and the bias ${shown(bias.values[this.index[1]])}`) : null,
      make("p", {}, `${name}${bracket(this.index)} = `, make("b", { id: "sum", "data-value": total }, shown(total)), "; the engine's number is ", make("b", { id: "engine", "data-value": engine }, shown(engine)), "."),
    );
  }

  row(names, places, factors, value, { outside, won, idle }) {
    const cells = names.flatMap((name, i) => [
      make("td", {}, i ? "× " : "", `${name}${bracket(places[name])}`),
      make("td", {}, outside && name === "x" ? "0, padding" : shown(factors[i])),
    ]);
    const remark = won ? "the largest" : idle ? "not the largest" : names.length > 1 ? `= ${shown(value)}` : "";
    return make("tr", { class: won ? "won" : null }, cells, make("td", {}, remark));
  }
}

const bracket = (index) => `[${index.join(", ")}]`;
