// What happened in a run: moments to scrub through, beside the figures of all steps.

const frames = data.frames;
const figures = data.figures;
let moment = 0;
let playing = null;

const CHARTS = [
  { title: "Distance from the solution", keys: [["distance", ""]], options: { log: true } },
  { title: "The players", keys: [["first", data.names?.[0]], ["second", data.names?.[1]]] },
  { title: "Losses", keys: [["d_loss", "D"], ["g_loss", "G"]] },
  { title: "What D says", keys: [["d_real", "of real"], ["d_fake", "of created"]], options: data.probabilities ? { low: 0, high: 1 } : {} },
  { title: "Norm of the gradient", keys: [["d_gradient", "D"], ["g_gradient", "G"]], options: { log: true } },
  { title: "Variety of what is created, 1 for that of the real", keys: [["variety", ""]] },
  { title: "Content loss", keys: [["content", "G"]] },
  { title: "Validation PSNR in dB", keys: [["validation", ""]] },
];

const charts = [];

function numbersOf(key) {
  const values = figures[key];
  return values ? values.map((v) => (v === null ? NaN : asNumber(v))) : null;
}

function makeCharts() {
  const marks = data.notices.map((notice) => notice.step);
  for (const { title, keys, options } of CHARTS) {
    const series = keys.map(([key, name]) => ({ name, values: numbersOf(key) })).filter(({ values }) => values);
    if (series.length) addChart(title, options, figures.step, series, marks);
  }
  if (frames.length && frames[0].modes !== undefined) {
    const steps = frames.map((frame) => frame.step);
    const series = [{ name: `of ${data.modes}`, values: frames.map((frame) => frame.modes) }];
    addChart("Modes found", { low: 0, high: data.modes }, steps, series, marks);
    addChart("Share of good points", { low: 0, high: 1 }, steps, [{ name: "", values: frames.map((frame) => frame.good) }], marks);
  }
}

function addChart(title, options, steps, series, marks) {
  const chart = new Chart(title, options, (share) => seek(steps[0] + share * (steps[steps.length - 1] - steps[0])));
  chart.update(steps, series, marks);
  byId("charts").append(chart.svg);
  charts.push(chart);
}

/** Go to the moment that is nearest to a step. */
function seek(step) {
  let best = 0;
  frames.forEach((frame, i) => {
    if (Math.abs(frame.step - step) < Math.abs(frames[best].step - step)) best = i;
  });
  go(best);
}

function go(to) {
  moment = Math.max(0, Math.min(frames.length - 1, to));
  history.replaceState(null, "", `#moment=${moment + 1}`);
  show();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (moment < frames.length - 1 ? go(moment + 1) : play(false)), 120) : null;
  byId("play").textContent = on ? "⏸ pause" : "▶︎ play";
}

// ---------------------------------------------------------------- a moment

const LAYERS = data.kind === "trajectory" ? { trail: "where they have been", field: "where gradient descent pushes" } : { surface: "what D says", pushes: "where points are pushed" };
const visible = Object.fromEntries(Object.keys(LAYERS).map((key) => [key, true]));
let plane = null;

function makeMoment() {
  const holder = byId("shown");
  if (data.kind === "pictures") {
    holder.append(...pictured({ id: "picture", alt: "What the generator makes" }, data.caption));
    for (const { picture, caption } of data.references) holder.append(...pictured({ src: picture, alt: caption }, caption));
    return;
  }
  const canvas = make("canvas", { id: "plane", role: "img", "aria-label": "The plane" });
  plane = new Plane(canvas, data.extent);
  const switches = Object.entries(LAYERS).map(([key, name]) =>
    make("label", {}, make("input", { type: "checkbox", checked: true, onchange: (event) => { visible[key] = event.target.checked; show(); } }), ` ${name}`),
  );
  const [green, orange] = data.kind === "trajectory" ? ["the solution", "the players"] : ["real", "created"];
  const axes = data.kind === "trajectory" ? `To the right ${data.names[0]}, upwards ${data.names[1]}; the plane reaches from ${shown(-data.extent)} to ${shown(data.extent)}.` : "";
  const note = axes || "Blue: D says real; orange: D says created. Arrows: where the generator's loss would move its points.";
  holder.append(
    canvas,
    make("div", { class: "legend" }, make("span", { class: "real" }, `■ ${green}`), make("span", { class: "created" }, `■ ${orange}`), switches),
    make("p", { class: "note" }, note),
  );
}

function pictured(attributes, caption) {
  return [make("img", { class: "picture", ...attributes }), make("p", { class: "note" }, caption)];
}

function show() {
  const frame = frames[moment];
  if (plane) plane.draw(data.kind === "trajectory" ? trajectoryAt(frame) : surfaceAt(frame), visible);
  else byId("picture").src = frame.picture;
  for (const chart of charts) chart.point(frame.step);
  byId("slider").value = moment;
  byId("where").textContent = `step ${frame.step}`;
  byId("figures").replaceChildren(...figuresAt(frame));
  [...byId("notices").children].forEach((item, i) => item.classList.toggle("later", data.notices[i]?.step > frame.step));
}

function surfaceAt(frame) {
  const surface = floatsOf(frame.surface)?.map((v) => v / 255);
  return { surface, side: data.side, points: floatsOf(frame.points), pushes: floatsOf(frame.pushes), real: floatsOf(data.real) };
}

function trajectoryAt(frame) {
  const trail = floatsOf(data.trail).slice(0, 2 * moment + 2);
  const field = { points: floatsOf(data.field), pushes: floatsOf(data.field_pushes) };
  return { real: [0, 0], points: trail.slice(-2), pushes: frame.push.map(asNumber), trail, field };
}

/** An array of the page: bytes for probabilities, floats for points. */
function floatsOf(entry) {
  return entry ? Array.from(valuesOf(entry)) : null;
}

function figuresAt(frame) {
  const parts = [];
  if (frame.modes !== undefined) parts.push(["modes", `${frame.modes} of ${data.modes}`], ["good points", `${Math.round(100 * frame.good)} %`]);
  const since = figures.step.findIndex((step) => step >= frame.step);
  const names = { first: data.names?.[0], second: data.names?.[1], distance: "distance", d_loss: "D's loss", g_loss: "G's loss", d_real: "D of real", d_fake: "D of created", d_gradient: "|gradient| of D", g_gradient: "|gradient| of G", content: "content loss", variety: "variety", validation: "validation PSNR" };
  for (const [key, name] of Object.entries(names)) {
    const value = figures[key]?.slice(since).find((v) => v !== null);
    if ((frame.step > 0 || data.kind === "trajectory") && since >= 0 && value !== undefined) parts.push([name, shown(value)]);
  }
  return parts.map(([name, value]) => make("span", { "data-figure": name }, `${name} `, make("b", {}, value)));
}

function makeNotices() {
  const items = data.notices.map(({ step, kind, sentence }) =>
    make("li", { "data-kind": kind }, make("button", { onclick: () => seek(step) }, `step ${step}`), ` ${kind ? `${kind}: ` : ""}${sentence}`),
  );
  byId("notices").replaceChildren(...(items.length ? items : [make("li", { class: "none" }, "Nothing went wrong that minigan knows.")]));
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const actions = { ArrowRight: () => go(moment + 1), ArrowLeft: () => go(moment - 1), Home: () => go(0), End: () => go(frames.length - 1), " ": () => play(!playing) };
  if (!actions[event.key] || (event.key === " " && event.target.closest?.("button, input[type=checkbox]"))) return;
  actions[event.key]();
  event.preventDefault();
}

byId("title").textContent = data.title;
byId("about").textContent = data.about;
byId("slider").max = frames.length - 1;
byId("slider").addEventListener("input", (event) => go(Number(event.target.value)));
byId("back").addEventListener("click", () => go(moment - 1));
byId("next").addEventListener("click", () => go(moment + 1));
byId("play").addEventListener("click", () => play(!playing));
document.addEventListener("keydown", pressed);
dark.addEventListener("change", show);
makeMoment();
makeCharts();
makeNotices();
go(Number.parseInt(new URLSearchParams(location.hash.slice(1)).get("moment") ?? "1", 10) - 1 || 0);
