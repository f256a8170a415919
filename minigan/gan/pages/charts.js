// Small charts of figures over steps, one below the other, with a line at the step that is shown.

const CHART = { width: 440, height: 92, left: 46, right: 8, top: 20, bottom: 16 };
const CHART_COLOURS = ["var(--ours)", "var(--warm)"];

class Chart {
  /** series: [{name, values}]; log: a logarithmic scale; seek: called with an index that was clicked. */
  constructor(title, { log = false, low, high } = {}, seek) {
    this.options = { log, low, high };
    this.svg = draw("svg", { viewBox: `0 0 ${CHART.width} ${CHART.height}`, class: "chart", role: "img", "aria-label": title });
    this.title = title;
    this.svg.addEventListener("click", (event) => {
      const box = this.svg.getBoundingClientRect();
      const x = ((event.clientX - box.left) / box.width) * CHART.width;
      const share = (x - CHART.left) / (CHART.width - CHART.left - CHART.right);
      seek?.(Math.max(0, Math.min(1, share)));
    });
  }

  /** steps: the x of each value; marks: steps at which something was noticed. */
  update(steps, series, marks = []) {
    this.steps = steps;
    const all = series.flatMap(({ values }) => values.filter((v) => Number.isFinite(v) && (!this.options.log || v > 0)));
    const scaled = this.options.log ? Math.log10 : (v) => v;
    const low = this.options.low ?? Math.min(...(all.length ? all : [0]));
    const high = this.options.high ?? Math.max(...(all.length ? all : [1]));
    this.range = [scaled(low), scaled(high) === scaled(low) ? scaled(low) + 1 : scaled(high)];
    const parts = [draw("text", { x: CHART.left, y: 12, class: "name" }, this.title)];
    series.forEach(({ name, values }, i) => {
      const points = [];
      values.forEach((v, k) => {
        if (Number.isFinite(v) && (!this.options.log || v > 0)) points.push(`${this.x(steps[k])},${this.y(scaled(v))}`);
      });
      parts.push(draw("polyline", { points: points.join(" "), style: `stroke: ${CHART_COLOURS[i]}` }));
      parts.push(draw("text", { x: CHART.width - CHART.right - 70 * (series.length - 1 - i), y: 12, "text-anchor": "end", style: `fill: ${CHART_COLOURS[i]}` }, name));
    });
    for (const mark of marks) parts.push(draw("line", { class: "mark", x1: this.x(mark), x2: this.x(mark), y1: CHART.top, y2: CHART.height - CHART.bottom }));
    parts.push(draw("text", { x: CHART.left - 4, y: CHART.top + 8, "text-anchor": "end", class: "axis" }, shown(high)));
    parts.push(draw("text", { x: CHART.left - 4, y: CHART.height - CHART.bottom, "text-anchor": "end", class: "axis" }, shown(low)));
    parts.push(draw("text", { x: CHART.width - CHART.right, y: CHART.height - 3, "text-anchor": "end", class: "axis" }, `step ${steps[steps.length - 1] ?? 0}`));
    this.cursor = draw("line", { class: "cursor", y1: CHART.top, y2: CHART.height - CHART.bottom });
    parts.push(this.cursor);
    this.svg.replaceChildren(...parts);
    this.point(steps[steps.length - 1] ?? 0);
  }

  x(step) {
    const last = this.steps[this.steps.length - 1] || 1;
    const first = this.steps[0] ?? 0;
    return CHART.left + ((step - first) / Math.max(1, last - first)) * (CHART.width - CHART.left - CHART.right);
  }

  y(value) {
    const share = (value - this.range[0]) / (this.range[1] - this.range[0]);
    return CHART.height - CHART.bottom - Math.max(0, Math.min(1, share)) * (CHART.height - CHART.top - CHART.bottom);
  }

  /** Put the line at a step. */
  point(step) {
    const x = this.x(step);
    this.cursor.setAttribute("x1", x);
    this.cursor.setAttribute("x2", x);
  }
}
