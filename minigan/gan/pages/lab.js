// The lab: asks the server for the state of the game, shows it, and sends what is pressed.

const PAUSE = 60; // milliseconds between an answer and the next question

const FIELDS = {
  target: { label: "real points", options: ["ring", "grid", "drawn"] },
  loss: { label: "loss", options: ["non-saturating", "zero-sum", "least-squares", "relativistic-least-squares", "wgan-gp"] },
  way: { label: "steps", options: ["alternating", "simultaneous", "extragradient", "optimistic"] },
  lr: { label: "rate of G (Adam)", options: ["0.0001", "0.0003", "0.001", "0.003", "0.01"] },
  d_lr: { label: "rate of D (Adam)", options: ["0.0001", "0.0003", "0.001", "0.003", "0.01"] },
  d_steps: { label: "steps of D for one of G", options: ["1", "2", "5"] },
  r1: { label: "R1 penalty", options: ["0", "0.001", "0.01", "0.1", "1", "10"] },
  unroll: { label: "steps that G looks ahead", options: ["0", "2", "5"] },
  pack: { label: "points D sees at once ↺", title: "How many points D sees at a time. A change begins again.", options: ["1", "2", "4"] },
};

const canvas = byId("plane");
const plane = new Plane(canvas, 1.6);
let state = null;
let drawing = null; // points, while one draws
const hint = byId("hint").textContent;

const charts = {
  losses: new Chart("Losses"),
  beliefs: new Chart("What D says", { low: 0, high: 1 }),
  gradients: new Chart("Norm of the gradient", { log: true }),
  found: new Chart("Modes found", { low: 0 }),
};
byId("charts").append(...Object.values(charts).map((chart) => chart.svg));

// ---------------------------------------------------------------- talking to the server

async function answer(path, request) {
  const options = request && { method: "POST", body: JSON.stringify(request), headers: { "Content-Type": "application/json" } };
  let found;
  try {
    found = await fetch(path, options);
  } catch {
    byId("said").textContent = "The lab does not answer; has it been ended?";
    return;
  }
  const body = await found.json();
  byId("said").textContent = body.error ?? "";
  if (!body.error) {
    state = body;
    show();
  }
}

const act = (request) => answer("act", request);

async function ask() {
  if (!document.hidden && !drawing) await answer("state");
  setTimeout(ask, state?.running ? PAUSE : 5 * PAUSE);
}

// ---------------------------------------------------------------- showing

function show() {
  if (!drawing) plane.draw(state, { surface: byId("surface").checked, pushes: byId("pushes").checked });
  byId("run").textContent = state.running ? "⏸ pause" : "▶︎ train";
  const figures = [["step", state.step]];
  if (state.covered) figures.push(["modes", `${state.covered.modes} of ${state.of}`], ["good points", `${Math.round(100 * state.covered.good)} %`]);
  byId("figures").replaceChildren(...figures.map(([name, value]) => make("span", { "data-figure": name }, `${name} `, make("b", {}, String(value)))));
  for (const [name, { options }] of Object.entries(FIELDS)) {
    const select = byId(`field-${name}`);
    const value = name === "target" ? state.target : String(state.settings[name]);
    if (document.activeElement !== select) select.value = options.find((option) => option === value || Number(option) === Number(value)) ?? "";
  }
  showCharts();
  const items = state.notices.toReversed().map(({ step, kind, sentence }) => make("li", { "data-kind": kind }, `step ${step}, ${kind}: ${sentence}`));
  byId("notices").replaceChildren(...(items.length ? items : [make("li", { class: "none" }, "Nothing so far.")]));
}

function showCharts() {
  const { figures, found } = state;
  charts.found.options.high = state.of ?? 1;
  charts.found.update(found.step, [{ name: state.of ? `of ${state.of}` : "", values: found.modes }]);
  if (!figures.step) return;
  const numbers = (key) => figures[key].map(asNumber);
  const two = (d, g, names) => [{ name: names[0], values: numbers(d) }, { name: names[1], values: numbers(g) }];
  charts.losses.update(figures.step, two("d_loss", "g_loss", ["D", "G"]));
  charts.beliefs.update(figures.step, two("d_real", "d_fake", ["of real", "of created"]));
  charts.gradients.update(figures.step, two("d_gradient", "g_gradient", ["D", "G"]));
}

// ---------------------------------------------------------------- choosing

function makeFields() {
  for (const [name, { label, options, title }] of Object.entries(FIELDS)) {
    const select = make("select", { id: `field-${name}` }, options.map((option) => make("option", { value: option, disabled: option === "drawn" }, option)));
    select.addEventListener("change", () => {
      if (name === "target") act({ do: "target", target: select.value });
      else act({ do: "settings", settings: { [name]: select.value } });
      select.blur();
    });
    byId("fields").append(make("label", title ? { title } : {}, label, select));
  }
}

// ---------------------------------------------------------------- drawing

function draw_(on) {
  drawing = on ? [] : null;
  for (const id of ["done", "cancel"]) byId(id).hidden = !on;
  byId("draw").hidden = on;
  if (on) act({ do: "pause" });
  byId("hint").textContent = on ? "Draw with the mouse or a finger where the real points shall be." : hint;
  if (on) plane.draw({ real: drawing.flat() }, {});
  else if (state) show();
}

function add(event) {
  if (!drawing || !(event.buttons || event.type === "pointerdown")) return;
  const [x, y] = plane.pointOf(event);
  for (let i = 0; i < 8 && drawing.length < 4000; i++) {
    const around = () => (Math.random() - 0.5) * 0.06;
    drawing.push([x + around(), y + around()].map((v) => Math.max(-1.59, Math.min(1.59, v))));
  }
  plane.draw({ real: drawing.flat() }, {});
  event.preventDefault();
}

canvas.addEventListener("pointerdown", add);
canvas.addEventListener("pointermove", add);
byId("draw").addEventListener("click", () => draw_(true));
byId("cancel").addEventListener("click", () => draw_(false));
byId("done").addEventListener("click", async () => {
  const points = drawing;
  draw_(false);
  if (points.length) await act({ do: "draw", points });
});
byId("run").addEventListener("click", () => act({ do: state?.running ? "pause" : "run" }));
for (const id of ["step", "d_step", "g_step", "reset"]) byId(id).addEventListener("click", () => act({ do: id }));
for (const id of ["surface", "pushes"]) byId(id).addEventListener("change", show);
dark.addEventListener("change", () => state && show());
makeFields();
ask();
