# %% [markdown]
# # 02 · An engine in 60 lines
#
# Lesson 01 did the chain rule by hand for one formula. A program that does it for every formula is
# called an automatic-differentiation engine, and a whole one fits on a page. It knows three things of
# each number: its value, which numbers it was made of, and with what slope each of these moves it.

# %%
# The engine begins here.
import heapq
import math
from itertools import count

_created = count()


class Value:
    """A number that remembers what it was made of.

    parents  pairs (value, slope): how fast this number moves with that one
    order    later values have larger numbers, so parents always have smaller ones
    """

    def __init__(self, number, parents=()):
        self.number = number
        self.parents = parents
        self.grad = 0.0
        self.order = next(_created)

    def __add__(self, other):
        other = value(other)
        return Value(self.number + other.number, [(self, 1.0), (other, 1.0)])

    def __mul__(self, other):
        other = value(other)
        return Value(self.number * other.number, [(self, other.number), (other, self.number)])

    def __sub__(self, other):
        return self + value(other) * -1.0

    __radd__, __rmul__ = __add__, __mul__

    def tanh(self):
        y = math.tanh(self.number)
        return Value(y, [(self, 1 - y * y)])

    def backward(self):
        """Add d(self)/d(value) to the grad of every value that this one depends on."""
        arrived = {self: 1.0}
        waiting = [(-self.order, self)]
        while waiting:
            _, newest = heapq.heappop(waiting)
            gradient = arrived.pop(newest)
            newest.grad += gradient
            for parent, slope in newest.parents:
                if parent not in arrived:
                    heapq.heappush(waiting, (-parent.order, parent))
                arrived[parent] = arrived.get(parent, 0.0) + gradient * slope


def value(x):
    return x if isinstance(x, Value) else Value(x)


# The engine ends here.

# %% [markdown]
# That is all of it. The one idea is in `backward`: of all values that a gradient has reached, take the
# **newest**. Everything that was made of it is newer still, and so has been there already; therefore
# its gradient is complete, and may be passed on.
#
# Count the lines that are code, to keep the title honest:

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import nn

try:
    source = Path(__file__).read_text(encoding="utf-8")
except NameError:  # in a notebook
    source = Path("../../examples/02_engine.py").read_text(encoding="utf-8")
engine = source.partition("# The engine begins here.")[2].partition("# The engine ends here.")[0]
lines = [line for line in engine.splitlines() if line.strip()]
print(f"{len(lines)} lines")
assert len(lines) <= 60

# %% [markdown]
# ## The same answers
#
# The neuron of lesson 01, in both engines:

# %%
w, b = Value(0.8), Value(-0.3)
error = (w * 1.5 + b).tanh() - 0.2
loss = error * error
loss.backward()

W = mg.tensor(0.8, requires_grad=True, dtype=mg.float64)
B = mg.tensor(-0.3, requires_grad=True, dtype=mg.float64)
(((W * 1.5 + B).tanh() - 0.2) ** 2).backward()
print(f"ours: {w.grad:.10f} {b.grad:.10f}   minigan: {float(W.grad):.10f} {float(B.grad):.10f}")
assert math.isclose(w.grad, float(W.grad), rel_tol=1e-12)
assert math.isclose(b.grad, float(B.grad), rel_tol=1e-12)

# %% [markdown]
# ## The same training
#
# XOR is the smallest problem that no single neuron can solve: of two inputs, exactly one has to be on.
# A hidden layer of four neurons can. First with our engine, number by number:

# %%
CASES = [((-1.0, -1.0), -1.0), ((-1.0, 1.0), 1.0), ((1.0, -1.0), 1.0), ((1.0, 1.0), -1.0)]
HIDDEN, STEPS, RATE = 4, 300, 0.2
rng = np.random.default_rng(0)
start = {
    "w1": rng.uniform(-1, 1, (HIDDEN, 2)),
    "b1": np.zeros(HIDDEN),
    "w2": rng.uniform(-1, 1, (1, HIDDEN)),
    "b2": np.zeros(1),
}
ours = {name: [Value(v) for v in array.reshape(-1)] for name, array in start.items()}


def output(x1, x2):
    """The network on one case."""
    w1, b1, w2, (b2,) = ours.values()
    hidden = [(w1[2 * i] * x1 + w1[2 * i + 1] * x2 + b1[i]).tanh() for i in range(HIDDEN)]
    return sum((w2[i] * hidden[i] for i in range(HIDDEN)), b2)


curve = []
for _ in range(STEPS):
    errors = [output(*x) - t for x, t in CASES]
    loss = sum((e * e for e in errors), Value(0.0)) * 0.25
    for each in (v for values in ours.values() for v in values):
        each.grad = 0.0
    loss.backward()
    for each in (v for values in ours.values() for v in values):
        each.number -= RATE * each.grad
    curve.append(loss.number)
print(f"ours: from {curve[0]:.4f} to {curve[-1]:.6f}")

# %% [markdown]
# Then with minigan, where one tensor holds all the numbers of a layer and one operation computes them
# all. It starts from the same weights and takes the same steps.

# %%
network = nn.Sequential(nn.Linear(2, HIDDEN), nn.Tanh(), nn.Linear(HIDDEN, 1)).to(mg.float64)
network.load_state_dict(
    {"0.weight": start["w1"], "0.bias": start["b1"], "2.weight": start["w2"], "2.bias": start["b2"]}
)
optimizer = mg.optim.SGD(network.parameters(), lr=RATE)
x = mg.tensor([x for x, _ in CASES], dtype=mg.float64)
t = mg.tensor([[t] for _, t in CASES], dtype=mg.float64)
theirs = []
for _ in range(STEPS):
    optimizer.zero_grad()
    error = network(x) - t
    mean = (error * error).mean()
    mean.backward()
    optimizer.step()
    theirs.append(mean.item())
print(f"minigan: from {theirs[0]:.4f} to {theirs[-1]:.6f}")
np.testing.assert_allclose(theirs, curve, rtol=1e-8, atol=1e-14)
assert theirs[-1] < 0.01

# %% [markdown]
# The two curves are the same but for rounding. What minigan adds is arrays for numbers (so that one
# step of its loop moves a million of them), fast kernels, gradients of gradients (lesson 07), and
# sentences where our engine would fail in silence. Its loop is the one above:
# `minigan/core/engine.py`, function `_visits`.

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.6))
left.semilogy(curve, lw=5, color="0.75", label="60 lines")
left.semilogy(theirs, lw=1.5, color="tab:blue", label="minigan")
left.set(xlabel="step", ylabel="loss", title="XOR, learned twice")
left.legend()
side = np.linspace(-1.6, 1.6, 81)
grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
with mg.no_grad():
    surface = network(mg.tensor(grid, dtype=mg.float64)).numpy().reshape(81, 81)
right.contourf(side, side, surface, levels=np.linspace(-1.6, 1.6, 17), cmap="RdBu", extend="both")
right.contour(side, side, surface, levels=[0.0], colors="k")
for (x1, x2), wanted in CASES:
    right.plot(x1, x2, "ko", mfc="tab:blue" if wanted > 0 else "tab:red", ms=10)
right.set(title="What the network says", aspect="equal")
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "02_engine.png", dpi=120)
