# %% [markdown]
# # 04 · Going downhill
#
# A gradient says where the loss grows fastest, here and now. Training takes a small step the other way
# and asks again:
#
#     w  <-  w - rate * gradient
#
# How large may the step be, and how fast does one arrive? On one kind of surface both are known
# exactly, and it is the kind that every smooth valley looks like from near: the bowl.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import optim

FLAT, STEEP = 1.0, 25.0  # the curvatures of the bowl, along its two axes


def bowl(w):
    """(FLAT w0^2 + STEEP w1^2) / 2, lowest at 0."""
    return 0.5 * (FLAT * w[0] * w[0] + STEEP * w[1] * w[1])


def descend(loss, make, start, steps):
    """Where an optimiser goes from `start`: (steps + 1, 2)."""
    w = mg.tensor(start, requires_grad=True, dtype=mg.float64)
    optimizer = make([w])
    path = [w.numpy().copy()]
    for _ in range(steps):
        optimizer.zero_grad()
        loss(w).backward()
        optimizer.step()
        path.append(w.numpy().copy())
    return np.array(path)


def rate_of(path, last=100):
    """By which factor the distance to 0 shrinks in one step, over the last steps."""
    distance = np.linalg.norm(path, axis=1)
    return (distance[-1] / distance[-1 - last]) ** (1 / last)


# %% [markdown]
# ## The step that is too large
#
# Along an axis with curvature c the gradient is c w, so a step multiplies w by 1 - rate · c. That
# shrinks only while rate < 2 / c: **the steepest direction sets the limit**. Just below it w jumps from
# one wall to the other and creeps down; just above it, it climbs out.

# %%
start = [10.0, 1.0]
limit = 2 / STEEP
below = descend(bowl, lambda p: optim.SGD(p, lr=0.99 * limit), start, 200)
above = descend(bowl, lambda p: optim.SGD(p, lr=1.01 * limit), start, 200)
print(
    f"height after 200 steps: below the limit {abs(below[-1, 1]):.3f}, above it {abs(above[-1, 1]):.1f}"
)
assert np.isclose(abs(below[-1, 1]), 0.98**200)
assert np.isclose(abs(above[-1, 1]), 1.02**200)

# %% [markdown]
# ## The best step
#
# The flat direction wants a large rate and the steep one a small one. Both shrink equally fast at
# rate = 2 / (FLAT + STEEP), by the factor (k - 1) / (k + 1), where k = STEEP / FLAT is how much steeper
# the one is. With k = 25 that is 24/26: some 29 steps for each digit.

# %%
k = STEEP / FLAT
best = descend(bowl, lambda p: optim.SGD(p, lr=2 / (FLAT + STEEP)), start, 300)
print(f"gradient descent: factor {rate_of(best):.6f}, foretold {(k - 1) / (k + 1):.6f}")
assert np.isclose(rate_of(best), (k - 1) / (k + 1), rtol=1e-6)

# %% [markdown]
# ## Momentum: a ball instead of a walker
#
# Let the steps add up, like the speed of a ball: v <- m v + gradient, w <- w - rate · v. To and fro
# across the valley they cancel, along it they add. With the best m the factor becomes
# (√k - 1) / (√k + 1), here 4/6: six steps for each digit (Polyak 1964). Only the square root of the
# steepness counts.

# %%
root = np.sqrt(k)
m = ((root - 1) / (root + 1)) ** 2
lr = 4 / (np.sqrt(STEEP) + np.sqrt(FLAT)) ** 2
ball = descend(bowl, lambda p: optim.Momentum(p, lr=lr, momentum=m), start, 70)
print(f"momentum: factor {rate_of(ball, 40):.3f}, foretold {(root - 1) / (root + 1):.3f}")
# At the best m two solutions of the recursion fall together, so the factor is reached slowly.
assert np.isclose(rate_of(ball, 40), (root - 1) / (root + 1), rtol=0.03)

# %% [markdown]
# ## A rate for every number: RMSprop and Adam
#
# One may also divide each gradient by its own usual size, so that flat and steep directions take steps
# of like length. RMSprop does this with a running mean of the squares; Adam adds a running mean of the
# gradient, which is momentum, and makes up for both having started at 0. So **Adam's first step is
# `rate` in every direction**, whatever the gradient's size.

# %%
adam = descend(bowl, lambda p: optim.Adam(p, lr=0.5), start, 150)
first = adam[0] - adam[1]
print("Adam's first step:", first)
assert np.allclose(first, 0.5, rtol=1e-6)

# %% [markdown]
# ## On a surface that is no bowl
#
# Rosenbrock's banana has a curved valley with steep walls and a floor that is nearly flat. It is what
# optimisers are tried on, because gradient descent finds the valley at once and then hardly moves.


# %%
def banana(w):
    """(1 - w0)^2 + 100 (w1 - w0^2)^2, lowest at (1, 1) (Rosenbrock 1960)."""
    return (1.0 - w[0]) ** 2 + 100.0 * (w[1] - w[0] ** 2) ** 2


STEPS = 2000
CHOSEN = {
    "SGD": lambda p: optim.SGD(p, lr=0.001),
    "Momentum": lambda p: optim.Momentum(p, lr=0.001, momentum=0.9),
    "RMSprop": lambda p: optim.RMSprop(p, lr=0.005),
    "Adam": lambda p: optim.Adam(p, lr=0.05),
}
paths = {name: descend(banana, make, [-1.2, 1.0], STEPS) for name, make in CHOSEN.items()}
heights = {
    name: (1 - path[:, 0]) ** 2 + 100 * (path[:, 1] - path[:, 0] ** 2) ** 2
    for name, path in paths.items()
}
for name, height in heights.items():
    print(f"{name:9} after {STEPS} steps: {height[-1]:.2e}")
assert heights["Momentum"][-1] < 0.01 * heights["SGD"][-1]
assert heights["Adam"][-1] < 0.01 * heights["SGD"][-1]

# %%
figure, (left, middle, right) = plt.subplots(1, 3, figsize=(13, 4))
side = np.linspace(-11, 11, 121), np.linspace(-2, 2, 121)
X, Y = np.meshgrid(*side)
left.contour(
    X, Y, 0.5 * (FLAT * X**2 + STEEP * Y**2), levels=np.geomspace(0.3, 60, 12), colors="0.8"
)
for path, name, colour in (
    (best, "SGD", "tab:blue"),
    (ball, "Momentum", "tab:orange"),
    (adam, "Adam", "tab:green"),
):
    left.plot(path[:40, 0], path[:40, 1], ".-", ms=4, lw=1, color=colour, label=name)
left.set(title="In the bowl: the first 40 steps")
left.legend()
X, Y = np.meshgrid(np.linspace(-1.6, 1.6, 161), np.linspace(-0.6, 1.8, 161))
middle.contour(X, Y, np.log((1 - X) ** 2 + 100 * (Y - X**2) ** 2 + 1e-3), levels=14, colors="0.8")
for name, path in paths.items():
    middle.plot(path[:, 0], path[:, 1], lw=1.3, label=name)
middle.plot(1, 1, "k*", ms=10)
middle.set(title="On the banana", xlim=(-1.6, 1.6), ylim=(-0.6, 1.8))
for name, height in heights.items():
    right.semilogy(height, lw=1.3, label=name)
right.set(title="Its height", xlabel="step")
right.legend()
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "04_descent.png", dpi=120)
