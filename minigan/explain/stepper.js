// The page itself: one row of steps, the forward pass and then the backward pass, and what is seen of
// each. The address behind # says which step is shown, so that it can be passed on.

const steps = [
  ...data.boxes.map((_, box) => ({ box })),
  ...data.backward.map((visit) => ({ box: visit.box, visit })),
];
const turning = data.boxes.length; // the first step backward

let position = 0;
let chosen = null; // the pixel whose window is shown
let playing = null;

// ---------------------------------------------------------------- where one is

function readAddress() {
  const parts = new URLSearchParams(location.hash.slice(1));
  const step = Number.parseInt(parts.get("step") ?? "", 10);
  position = Number.isNaN(step) ? 0 : Math.max(0, Math.min(steps.length - 1, step - 1));
  const pixel = parts.get("pixel")?.split(",");
  chosen = pixel ? { target: pixel[0], index: pixel.slice(1).map(Number) } : null;
}

function writeAddress() {
  const pixel = chosen ? `&pixel=${[chosen.target, ...chosen.index].join(",")}` : "";
  history.replaceState(null, "", `#step=${position + 1}${pixel}`);
}

function go(to) {
  const target = Math.max(0, Math.min(steps.length - 1, to));
  if (target !== position) chosen = null;
  position = target;
  writeAddress();
  show();
}

/** To a box: where its gradient is complete if one is in the backward pass, else where it is computed. */
function goTo(box) {
  const backwards = position >= turning;
  const found = steps.findIndex((step, i) => step.box === box && i >= turning === backwards);
  go(found >= 0 ? found : steps.findIndex((step) => step.box === box));
}

function choosePixel(pixel) {
  chosen = pixel;
  writeAddress();
  show();
}

function play(on) {
  clearInterval(playing);
  playing = on ? setInterval(() => (position < steps.length - 1 ? go(position + 1) : play(false)), 1200) : null;
  byId("play").textContent = on ? "⏸ pause" : "▶︎ play";
}

// ---------------------------------------------------------------- what is known at a step

/** The state of the graph after the step that is shown. */
function stateAt(here) {
  const computed = new Set(steps.slice(0, Math.min(here + 1, turning)).map((step) => step.box));
  const visits = steps.slice(turning, here + 1);
  const done = new Set(visits.map((step) => step.box));
  const reached = new Set(here >= turning ? data.starts : []);
  for (const { visit } of visits) for (const { to } of visit.passed) reached.add(to);
  const waiting = new Set([...reached].filter((box) => !done.has(box)));
  const kept = [...computed].reduce((sum, box) => sum + savedBytes(data.boxes[box]), 0);
  const freed = visits.reduce((sum, { visit }) => sum + visit.freed, 0);
  return { computed, done, waiting, held: kept - freed };
}

const savedBytes = (box) => box.bytes ?? box.saved.reduce((sum, each) => sum + each.bytes, 0);
const savedInAll = data.boxes.reduce((sum, box) => sum + savedBytes(box), 0);

// ---------------------------------------------------------------- showing it

const graph = new Graph(document.querySelector("#graph .scroll"), goTo);

function show() {
  const step = steps[position];
  const state = stateAt(position);
  const backwards = Boolean(step.visit);
  const targets = new Set(backwards ? step.visit.passed.map((passed) => passed.to) : []);
  graph.show({
    ...state,
    current: step.box,
    backwards,
    active: (edge) => edge.to === step.box && (!backwards || targets.has(edge.from)),
  });
  const panel = byId("step");
  windows = null;
  panel.className = backwards ? "backward" : "forward";
  const view = data.whole ? (backwards ? backwardView : forwardView) : groupView;
  panel.replaceChildren(...view(step, state).filter(Boolean));
  byId("slider").value = position;
  const count = backwards ? `backward ${position - turning + 1} of ${data.backward.length}` : `forward ${position + 1} of ${turning}`;
  byId("where").textContent = count;
  for (const id of ["first", "back"]) byId(id).disabled = position === 0;
  for (const id of ["last", "next"]) byId(id).disabled = position === steps.length - 1;
}

const boxName = (i) => `#${i} ${titleOf(data.boxes[i])}`;
const link = (i) => make("button", { class: "link", onclick: () => goTo(i) }, boxName(i));
const listed = (parts) => parts.flatMap((part, i) => (i ? [", ", part] : [part]));
const view = (place) => (place === null || place === undefined ? make("p", { class: "note" }, "Not kept.") : arrayView(data.arrays[place]));

/** Trusted markup: the formulas are minigan's own, and were escaped when the page was made. */
function formula(markup, before = "") {
  const element = make("p", { class: "formula" }, before);
  const inner = make("span");
  inner.innerHTML = markup;
  element.append(inner);
  return element;
}

function heading(step, direction) {
  const box = data.boxes[step.box];
  const within = box.modules?.length ? `, in ${box.modules.join(".")} (${box.layer})` : "";
  return [
    make("p", { class: "kicker" }, make("b", {}, direction), ` · node #${step.box}${within}`),
    make("h2", {}, titleOf(box)),
  ];
}

function sourceView(source) {
  if (!source) return null;
  const lines = source.lines.map((text, i) => {
    const number = source.first + i;
    return make("span", { class: number === source.line ? "here" : null }, make("i", {}, String(number)), text || " ");
  });
  return make("div", {}, make("h3", {}, `${source.file}, line ${source.line}`), make("pre", { class: "source" }, lines));
}

function memoryView(held) {
  const bar = make("div");
  bar.style.width = `${savedInAll ? (100 * held) / savedInAll : 0}%`;
  return [make("p", { class: "note" }, `Saved for the backward pass at this moment: ${bytes(held)}.`), make("div", { class: "memory" }, bar)];
}

// ---------------------------------------------------------------- forward

function forwardView(step, { held }) {
  const box = data.boxes[step.box];
  if (!box.arguments) {
    const what = box.op === "leaf"
      ? "A leaf: no operation made it. The backward pass ends here, with its gradient."
      : "A constant: it does not require a gradient, so the backward pass does not come here.";
    return [
      ...heading(step, "Forward"),
      make("p", {}, what),
      make("div", { class: "given" }, make("h3", {}, "Value"), view(box.value)),
    ];
  }
  const settings = Object.entries(box.settings);
  return [
    ...heading(step, "Forward"),
    formula(box.formula),
    settings.length ? make("p", { class: "note" }, settings.map(([name, value]) => `${name} = ${value}`).join(", ")) : null,
    box.nested ? make("p", {}, "The chain rule itself ran this, in an earlier backward pass that was recorded (create_graph=True).") : null,
    ...box.arguments.map(argumentView),
    make("div", { class: "given" }, make("h3", {}, "Result y"), view(box.value)),
    windowsView(box, null, chosen, choosePixel),
    savedView(box),
    ...memoryView(held),
    sourceView(box.source),
  ];
}

function argumentView(argument) {
  if (argument.from !== undefined) {
    return make("div", { class: "given" }, make("h3", {}, `${argument.name}, from `, link(argument.from)), view(data.boxes[argument.from].value));
  }
  if (argument.number !== undefined) return make("p", {}, `${argument.name} = ${shown(argument.number)}, a constant`);
  return make("p", {}, `${argument.name}, a constant that was not kept`);
}

function savedView(box) {
  if (!box.saved.length) return make("p", { class: "note" }, "No array is saved: the vjps need none.");
  const names = box.saved.map((each) => `${each.name === "out" ? "the result y" : each.name} (${bytes(each.bytes)})`);
  return make("p", { class: "note" }, `Saved, because the vjps ask for it: ${names.join(", ")}.`);
}

// ---------------------------------------------------------------- backward

function backwardView(step, { held }) {
  const { visit } = step;
  const box = data.boxes[step.box];
  const leaf = box.op === "leaf";
  return [
    ...heading(step, "Backward"),
    leaf ? null : formula(box.formula),
    make("p", {}, ...whyNow(step)),
    make("div", { class: "given", id: "incoming" }, make("h3", {}, leaf ? "The gradient ∂L/∂" + (box.name || "leaf") : "The gradient that flowed in, g = ∂L/∂y"), view(visit.gradient), arrivals(step)),
    slopesView(visit),
    ...visit.passed.map((passed, i) => passedView(box, passed, i)),
    leaf ? make("p", {}, "backward() adds this to the leaf's .grad.") : null,
    windowsView(box, visit, chosen, choosePixel),
    visit.ran.length ? make("p", { class: "note" }, `To compute this, the vjps ran ${visit.ran.join(", ")}.`) : null,
    visit.freed ? make("p", { class: "note" }, `Freed now: ${box.saved.map((each) => each.name).join(", ")}, ${bytes(visit.freed)}.`) : null,
    ...memoryView(held),
    sourceView(box.source),
  ];
}

/** Why this node comes now, and not another. */
function whyNow({ box, visit }) {
  const others = visit.waiting;
  const uses = [...new Set(data.edges.filter((edge) => edge.from === box).map((edge) => edge.to))];
  const complete = uses.length
    ? ["Its gradient is complete: ", ...listed(uses.map(link)), uses.length > 1 ? " use it, and all of them came before." : " uses it, and came before."]
    : ["The pass begins here: nothing uses this result."];
  const order = others.length
    ? [" It comes before ", ...listed(others.map(link)), ", because it was created last: what uses a result is always created after it."]
    : uses.length ? [" No other node is waiting."] : [];
  return [...complete, ...order];
}

/** Where the parts of a gradient came from. */
function arrivals({ box }) {
  const found = data.backward.flatMap((visit) => visit.passed.filter((passed) => passed.to === box).map((passed) => ({ from: visit.box, ...passed })));
  if (data.starts.includes(box)) return make("p", { class: "note" }, "It starts as 1: ∂L/∂L.");
  if (found.length < 2) return null;
  return make("p", { class: "note" }, `The sum of ${found.length} contributions, from `, ...listed(found.map((each) => make("span", {}, link(each.from), ` (as its ${each.argument})`))), ".");
}

function passedView(box, passed, i) {
  const vjp = box.vjps.find((each) => each.argument === passed.argument || box.vjps.length === 1);
  return make(
    "div",
    { class: "given", "data-passed": i },
    make("h3", {}, `Passed on as ∂L/∂${passed.argument} to `, link(passed.to)),
    vjp?.formula ? formula(vjp.formula, `∂L/∂${passed.argument} = `) : null,
    vjp?.code ? make("pre", {}, make("code", {}, vjp.code)) : null,
    view(passed.gradient),
    passed.before === null
      ? make("p", { class: "note" }, "The first to arrive there.")
      : make("div", {}, make("p", { class: "note" }, "Added to what had arrived there before:"), view(passed.before)),
  );
}

function slopesView({ slopes, gradient }) {
  if (!slopes) return data.checked ? make("p", { class: "note" }, "Not confirmed by finite differences: enough of the graph was before it.") : null;
  const { shape } = data.arrays[gradient];
  const rows = slopes.map((slope) => {
    const verdict = slope.agrees ? make("td", { class: "yes" }, "✓") : make("td", { class: "no" }, slope.kink ? `a kink: ${shown(slope.left)} | ${shown(slope.right)}` : "differs");
    return make("tr", {}, make("td", {}, bracket(unravelled(slope.index, shape))), make("td", { "data-value": slope.engine }, shown(slope.engine)), make("td", { "data-value": slope.central }, shown(slope.central)), verdict);
  });
  const all = slopes.length === product(shape);
  return make(
    "details",
    { open: rows.length <= 9, class: "slopes" },
    make("summary", {}, `Confirmed by finite differences${all ? "" : `, ${slopes.length} of ${product(shape)} numbers`}: `, verdictOf(slopes)),
    make("table", { class: "numbers" }, make("tr", {}, ["index", "g", "(L(v+h) − L(v−h)) / 2h", ""].map((name) => make("th", {}, name))), rows),
  );
}

function verdictOf(slopes) {
  const wrong = slopes.filter((slope) => !slope.agrees);
  if (!wrong.length) return make("b", { class: "yes" }, "all agree");
  if (wrong.every((slope) => slope.kink)) return make("b", { class: "no" }, `${counted(wrong.length, "kink")}, where no derivative is`);
  return make("b", { class: "no" }, `${wrong.length} differ`);
}

function unravelled(flat, shape) {
  const index = [];
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    index[axis] = flat % shape[axis];
    flat = Math.floor(flat / shape[axis]);
  }
  return index;
}

// ---------------------------------------------------------------- groups of nodes

function groupView(step, { held }) {
  const box = data.boxes[step.box];
  const counts = Object.entries(box.counts).map(([name, count]) => (count > 1 ? `${count} × ${name}` : name));
  const rows = box.leaves.map((leaf) =>
    make("tr", {}, [leaf.name || "leaf", shapeText(leaf.shape), leaf.norm === null ? "" : shown(leaf.norm), leaf.gradient === null ? "" : shown(leaf.gradient)].map((text) => make("td", {}, text))),
  );
  const leaves = rows.length
    ? make("div", { class: "scroll" }, make("table", { class: "numbers" }, make("tr", {}, ["leaf", "shape", "norm", "norm of its gradient"].map((name) => make("th", {}, name))), rows))
    : null;
  const common = [make("p", {}, counts.join(", ")), leaves];
  const tail = [...memoryView(held), sourceView(box.source)];
  if (!step.visit) return [...heading(step, "Forward"), ...common, make("p", {}, `Its last result is ${shapeText(box.shape)}.`), ...tail];
  const passed = step.visit.passed.map(({ to, norm }) => make("li", {}, "to ", link(to), `: norm ${shown(norm)}`));
  return [
    ...heading(step, "Backward"),
    make("p", {}, "The gradient that flowed in has the norm ", make("b", { "data-value": step.visit.gradient }, shown(step.visit.gradient)), "."),
    passed.length ? make("ul", {}, passed) : null,
    ...common,
    step.visit.freed ? make("p", { class: "note" }, `Freed now: ${bytes(step.visit.freed)}.`) : null,
    ...tail,
  ];
}

// ---------------------------------------------------------------- the page

function about() {
  if (!data.whole) return `${data.nodes} nodes are too many to draw each: they are drawn as ${data.boxes.length} groups, by module or by line. Arrays and finite differences are left out.`;
  if (!data.kept) return "The loss was computed outside minigan.explain.recording(), so values that no vjp asked for were not kept, and nothing is confirmed by finite differences.";
  return "Step with ← and →, play with the space bar, b is where the backward pass begins, Home and End are its ends.";
}

function pressed(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest?.("select")) return;
  const moves = { i: [-1, 0], k: [1, 0], j: [0, -1], l: [0, 1] };
  const actions = {
    ArrowRight: () => go(position + 1),
    ArrowLeft: () => go(position - 1),
    Home: () => go(0),
    End: () => go(steps.length - 1),
    b: () => go(turning),
    " ": () => play(!playing),
  };
  if (moves[event.key] && windows) windows.move(...moves[event.key]);
  else if (actions[event.key] && !(event.key === " " && event.target.closest?.("button, summary"))) actions[event.key]();
  else return;
  event.preventDefault();
}

byId("title").textContent = data.title;
byId("about").textContent = about();
byId("slider").max = steps.length - 1;
byId("slider").addEventListener("input", (event) => go(Number(event.target.value)));
byId("first").addEventListener("click", () => go(0));
byId("back").addEventListener("click", () => go(position - 1));
byId("next").addEventListener("click", () => go(position + 1));
byId("turn").addEventListener("click", () => go(turning));
byId("last").addEventListener("click", () => go(steps.length - 1));
byId("play").addEventListener("click", () => play(!playing));
document.addEventListener("keydown", pressed);
addEventListener("hashchange", () => { readAddress(); show(); });
dark.addEventListener("change", show);
readAddress();
show();
