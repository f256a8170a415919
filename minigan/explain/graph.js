// The graph as SVG. Boxes lie in layers, from the leaves at the top to the loss at the bottom.

const BOX = { width: 136, height: 44, across: 156, down: 78, margin: 14 };

const centre = ([x, layer]) => [
  BOX.margin + BOX.width / 2 + x * BOX.across,
  BOX.margin + BOX.height / 2 + layer * BOX.down,
];

const cut = (text, length) => (text.length > length ? `${text.slice(0, length - 1)}…` : text);

/** What a box is called: a leaf by its name, an operation by its own, and its variable's behind it. */
function titleOf(box) {
  if (box.op === "leaf" || box.op === "constant") return box.name || box.op;
  return box.name ? `${box.name} = ${box.op}` : box.op;
}

class Graph {
  constructor(holder, choose) {
    this.holder = holder;
    const layers = Math.max(...data.places.map(([, layer]) => layer));
    const width = 2 * BOX.margin + BOX.width + data.width * BOX.across;
    const height = 2 * BOX.margin + BOX.height + layers * BOX.down;
    // Shrunk to fit, but not so far that nobody can read it.
    this.scale = Math.max(0.7, Math.min(1, holder.clientWidth / width));
    this.svg = draw("svg", { width: width * this.scale, height: height * this.scale, viewBox: `0 0 ${width} ${height}` });
    this.edges = data.edges.map((edge) => this.drawEdge(edge));
    this.boxes = data.boxes.map((box, i) => this.drawBox(box, i, choose));
    holder.append(this.svg);
  }

  drawEdge(edge) {
    const [x0, y0] = centre(data.places[edge.from]);
    const [x1, y1] = centre(data.places[edge.to]);
    const points = [[x0, y0 + BOX.height / 2], ...edge.via.map(centre), [x1, y1 - BOX.height / 2]];
    let path = `M ${points[0]}`;
    for (let i = 1; i < points.length; i++) {
      const [a, b] = [points[i - 1], points[i]];
      const middle = (a[1] + b[1]) / 2;
      path += ` C ${a[0]} ${middle}, ${b[0]} ${middle}, ${b[0]} ${b[1]}`;
    }
    const line = draw("path", { d: path, class: "edge" });
    const arrow = draw("path", { class: "arrow" });
    this.svg.append(line, arrow);
    const [from, to] = [points[0], points[points.length - 1]];
    return { ...edge, line, arrow, tips: { down: `M ${to} l -4 -7 h 8 z`, up: `M ${from} l -4 7 h 8 z` } };
  }

  drawBox(box, i, choose) {
    const [x, y] = centre(data.places[i]);
    const group = draw("g", {
      class: "box",
      transform: `translate(${x - BOX.width / 2} ${y - BOX.height / 2})`,
      "data-box": i,
      onclick: () => choose(i),
    });
    group.append(
      draw("title", {}, `${titleOf(box)}, ${shapeText(box.shape)}`),
      draw("rect", { width: BOX.width, height: BOX.height, rx: 5 }),
      draw("text", { x: BOX.width / 2, y: 19 }, cut(titleOf(box), 18)),
      draw("text", { x: BOX.width / 2, y: 35, class: "small" }, cut(`#${i}  ${shapeText(box.shape)}`, 24)),
    );
    this.svg.append(group);
    return group;
  }

  /** Show what is computed, what has a gradient, what waits for one, and which edges are in use. */
  show({ computed, done, waiting, current, backwards, active }) {
    this.boxes.forEach((group, i) => {
      const classes = ["box"];
      if (["leaf", "constant"].includes(data.boxes[i].op)) classes.push(data.boxes[i].op);
      if (computed.has(i)) classes.push("computed");
      if (done.has(i)) classes.push("done");
      if (waiting.has(i)) classes.push("waiting");
      if (i === current) classes.push("current", ...(backwards ? ["backwards"] : []));
      group.setAttribute("class", classes.join(" "));
    });
    for (const edge of this.edges) {
      const on = active(edge);
      const live = computed.has(edge.from) && computed.has(edge.to);
      const classes = `${on ? " active" : ""}${on && backwards ? " backwards" : ""}`;
      edge.line.setAttribute("class", `edge${live ? " live" : ""}${classes}`);
      edge.arrow.setAttribute("class", `arrow${classes}`);
      edge.arrow.setAttribute("d", on && backwards ? edge.tips.up : edge.tips.down);
    }
    this.reveal(current);
  }

  /** Scroll to a box, unless it is in sight. */
  reveal(i) {
    const [x, y] = centre(data.places[i]).map((at) => at * this.scale);
    const { clientWidth: w, clientHeight: h, scrollLeft: left, scrollTop: top } = this.holder;
    const dx = this.svg.getBoundingClientRect().left - this.holder.getBoundingClientRect().left + left;
    const inside = x + dx > left + 60 && x + dx < left + w - 60 && y > top + 30 && y < top + h - 30;
    if (!inside) this.holder.scrollTo({ left: x + dx - w / 2, top: y - h / 2 });
  }
}
