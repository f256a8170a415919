# %% [markdown]
# # 12 · Games that do not settle
#
# A GAN is no descent. The discriminator goes downhill on its loss, the generator on its own, and each
# step of the one moves the ground under the other. Here are the two smallest games that show what comes
# of this. Both have one solution, which one can see; and of every way to play them the speed is known
# exactly, so every number below is foretold before it is measured.
#
# ## f(x, y) = x y
#
# Player x wants x y small, player y wants it large. At (0, 0) neither can do better: that is the
# solution. The gradients are y for x and x for y.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import optim
from minigan.gan.pages.dynamics import write_trajectory
from minigan.gan.toys.trajectory import Trajectory


def start(x, y):
    """The two players' numbers."""
    return [mg.tensor(v, requires_grad=True, dtype=mg.float64) for v in (x, y)]


def fill_gradients(x, y, of=("x", "y")):
    """x goes down on x y, and y up; each by its own loss."""
    if "x" in of:
        (x.grad,) = mg.grad(x * y, x)
    if "y" in of:
        (y.grad,) = mg.grad(-(x * y), y)


def simultaneous(x, y, rate):
    """Both look, then both move."""
    players = optim.SGD([x, y], lr=rate)
    while True:
        yield
        fill_gradients(x, y)
        players.step()


def alternating(x, y, rate):
    """x moves first, and y sees it."""
    first, second = optim.SGD([x], lr=rate), optim.SGD([y], lr=rate)
    while True:
        yield
        fill_gradients(x, y, of=["x"])
        first.step()
        fill_gradients(x, y, of=["y"])
        second.step()


def extragradient(x, y, rate):
    """Both move, look there, go back, and move by what they saw."""
    players = optim.Extragradient(optim.SGD([x, y], lr=rate))
    while True:
        yield
        fill_gradients(x, y)
        players.extrapolate()
        fill_gradients(x, y)
        players.step()


def optimistic(x, y, rate):
    """Both move by the gradient that they foretell from the last two."""
    players = optim.Optimistic(optim.SGD([x, y], lr=rate))
    while True:
        yield
        fill_gradients(x, y)
        players.step()


def implicit(x, y, rate):
    """Both move by the gradient at where they will be: x' = x - rate y', y' = y + rate x'."""
    while True:
        yield
        a, b = x.item(), y.item()
        x.copy_((a - rate * b) / (1 + rate**2))
        y.copy_((b + rate * a) / (1 + rate**2))


def play(way, rate, steps, at=(1.0, 0.0)):
    """The players' numbers before and after each step: (steps + 1, 2)."""
    x, y = start(*at)
    moves = way(x, y, rate)
    path = []
    for _ in range(steps + 1):
        next(moves)
        path.append((x.item(), y.item()))
    return np.array(path)


radius = lambda path: np.hypot(path[:, 0], path[:, 1])  # noqa: E731

# %% [markdown]
# **At the same time.** Each step turns (x, y) by arctan(rate) and makes it longer, by the factor
# √(1 + rate²). It spirals outwards at every rate. This is what "the GAN diverges" looks like.

# %%
rate = 0.1
path = play(simultaneous, rate, 200)
assert np.allclose(radius(path), (1 + rate**2) ** (np.arange(201) / 2), rtol=1e-12)
angle = np.unwrap(np.arctan2(path[:, 1], path[:, 0]))
assert np.allclose(np.diff(angle), np.arctan(rate), rtol=1e-9)
print(f"at the same time: r = {radius(path)[-1]:.3f} after 200 steps, foretold {1.01**100:.3f}")

# %% [markdown]
# **In turns.** It stays on an ellipse for ever: x² + y² - rate · x y does not change, so that the largest
# and the smallest radius are never further apart than √((2 + rate) / (2 - rate)). Each step turns by
# 2 arcsin(rate / 2) along it. Neither better nor worse: "the GAN oscillates".

# %%
path = play(alternating, rate, 400)
x, y = path.T
kept = x**2 + y**2 - rate * x * y
assert np.allclose(kept, kept[0], rtol=1e-12)
assert radius(path).max() / radius(path).min() <= np.sqrt((2 + rate) / (2 - rate)) * (1 + 1e-12)
step = np.array([[1, -rate], [rate, 1 - rate**2]])  # one whole turn of both
assert np.allclose(abs(np.linalg.eigvals(step)), 1)
assert np.allclose(abs(np.angle(np.linalg.eigvals(step))), 2 * np.arcsin(rate / 2))
print(f"in turns: r between {radius(path).min():.4f} and {radius(path).max():.4f}")

# %% [markdown]
# **Looking ahead.** The extragradient method shrinks r in each step by √((1 - rate²)² + rate²): inwards
# for every rate below 1. The best is rate = 1/√2, with the factor √3/2; at rate 1 nothing changes.

# %%
for rate in (0.1, 0.5, np.sqrt(0.5), 1.0):
    r = radius(play(extragradient, rate, 60))
    foretold = np.sqrt((1 - rate**2) ** 2 + rate**2)
    assert np.allclose(r, foretold ** np.arange(61), rtol=1e-9)
    print(
        f"looking ahead, rate {rate:.3f}: factor {r[-1] ** (1 / 60):.5f}, foretold {foretold:.5f}"
    )
assert np.isclose(np.sqrt((1 - 0.5) ** 2 + 0.5), np.sqrt(3) / 2)

# %% [markdown]
# **Foretelling.** The optimistic method needs no second look: it guesses how the gradient will change
# from how it has. Up to rate 1/2 its factor is √((1 + √(1 - 4 rate²)) / 2), at best 1/√2; beyond 1/√3 it
# goes outwards.


# %%
def factor_of(path, last):
    r = radius(path)
    return (r[-1] / r[-1 - last]) ** (1 / last)


for rate in (0.1, 0.3, 0.45):
    found = factor_of(play(optimistic, rate, 600), 300)
    foretold = np.sqrt((1 + np.sqrt(1 - 4 * rate**2)) / 2)
    print(f"foretelling, rate {rate}: factor {found:.5f}, foretold {foretold:.5f}")
    assert np.isclose(found, foretold, rtol=1e-4)
at_best = factor_of(play(optimistic, 0.5, 400), 100)  # a double root, which is approached slowly
assert np.isclose(at_best, np.sqrt(0.5), rtol=0.01)
limit = 1 / np.sqrt(3)
assert factor_of(play(optimistic, limit - 0.005, 600), 300) < 1
assert factor_of(play(optimistic, limit + 0.005, 600), 300) > 1

# %% [markdown]
# **By where one will be.** If both could use the gradients at their next place, every rate would do:
# the factor is 1 / √(1 + rate²). Looking ahead and foretelling are two ways of coming near to this. And
# with steps that are infinitely small, the players go round a circle, once in 2π.

# %%
for rate in (0.1, 1.0, 5.0):
    r = radius(play(implicit, rate, 30))
    assert np.allclose(r, (1 + rate**2) ** (-np.arange(31) / 2), rtol=1e-9)
tiny = 2 * np.pi / 20_000
once_round = play(simultaneous, tiny, 20_000)[-1]
print(f"20,000 tiny steps of 2π together: back at ({once_round[0]:.4f}, {once_round[1]:.4f})")
assert np.allclose(once_round, [1, 0], atol=2e-3)

# %% [markdown]
# ## The Dirac-GAN
#
# The smallest GAN (Mescheder et al. 2018): the real data are the number 0, the generator makes the one
# number θ, and the discriminator is a line through 0, D(x) = ψ x. The solution is θ = 0, ψ = 0. Near it,
# how both move is a linear map, the Jacobian of their gradients, and its eigenvalues say everything:
# a real part above 0 leads away, below 0 leads in, and 0 goes round and round.


# %%
def movement(theta, psi, gamma):
    """Where gradient descent of both pushes (theta, psi); gamma weighs the penalty R1."""
    d_real = psi * 0.0
    d_fake = psi * theta
    d_loss = mg.softplus(-d_real) + mg.softplus(d_fake)  # -log D(real) - log(1 - D(created))
    g_loss = -mg.softplus(d_fake)  # the same with the other sign
    r1 = 0.5 * gamma * psi * psi  # gamma / 2 times the squared slope of D at the real data
    (push_psi,) = mg.grad(d_loss + r1, psi, create_graph=True)
    (push_theta,) = mg.grad(g_loss, theta, create_graph=True)
    return -push_theta, -push_psi


def eigenvalues(gamma):
    """Of the movement's Jacobian at the solution, by second derivatives."""
    theta, psi = start(0.0, 0.0)
    pushes = movement(theta, psi, gamma)
    rows = [mg.grad(push, [theta, psi], retain_graph=True) for push in pushes]
    return np.linalg.eigvals([[d.item() for d in row] for row in rows])


for gamma in (0.0, 0.5, 1.0, 2.0):
    found = np.sort_complex(eigenvalues(gamma))
    root = np.sqrt(complex(gamma**2 / 4 - 1 / 4))
    foretold = np.sort_complex([-gamma / 2 - root, -gamma / 2 + root])
    print(f"gamma = {gamma}: eigenvalues {found}")
    assert np.allclose(found, foretold, atol=1e-7)

# %% [markdown]
# Without a penalty they are ±i/2: round and round. The penalty R1, on how steep the discriminator is at
# the real data, moves both by -γ/2. At γ = 1 the turning just ends, and it goes straight in.


# %%
def dirac(gamma, steps=400, rate=0.1):
    theta, psi = start(1.0, 0.0)
    path = []
    for _ in range(steps):
        path.append((theta.item(), psi.item()))
        moves = movement(theta, psi, gamma)
        for player, push in zip((theta, psi), moves, strict=True):
            player.copy_(player.item() + rate * push.item())
    return np.array(path)


rounds = {gamma: dirac(gamma) for gamma in (0.0, 0.3, 1.0)}
assert radius(rounds[0.0])[-1] > 1
assert radius(rounds[0.3])[-1] < 0.05
assert radius(rounds[1.0])[-1] < 1e-3

# %%
figure, axes = plt.subplots(1, 3, figsize=(13, 4.2))
WAYS = {
    "at the same time": simultaneous,
    "in turns": alternating,
    "looking ahead": extragradient,
    "foretelling": optimistic,
}
for name, way in WAYS.items():
    path = play(way, 0.2, 120)
    axes[0].plot(*path[:60].T, lw=1.2, label=name)
    axes[1].semilogy(radius(path), label=name)
axes[0].plot(0, 0, "k*", ms=9)
axes[0].set(title="x y, rate 0.2: sixty steps", aspect="equal", xlim=(-3.4, 3.4), ylim=(-3.4, 3.4))
axes[1].set(title="Distance to the solution", xlabel="step")
axes[1].legend()
for gamma, path in rounds.items():
    axes[2].plot(*path.T, lw=1.2, label=f"γ = {gamma:g}")
axes[2].plot(0, 0, "k*", ms=9)
axes[2].set(title="Dirac-GAN with R1", xlabel="θ", ylabel="ψ")
axes[2].legend()
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "12_games.png", dpi=120)

# %% [markdown]
# Three of these as pages to scrub through, in `runs/lessons`: the players, the field that pushes them,
# and a mark where minigan noticed that they go round or outwards.


# %%
def dirac_push(theta, psi):
    """Where gradient descent of both pushes without a penalty, as numbers."""
    pushes = movement(*start(theta, psi), gamma=0.0)
    return pushes[0].item(), pushes[1].item()


games = {
    "f = x y, at the same time": Trajectory(play(simultaneous, 0.1, 120), lambda x, y: (-y, x)),
    "f = x y, in turns": Trajectory(play(alternating, 0.1, 120), lambda x, y: (-y, x)),
    "Dirac-GAN, no penalty": Trajectory(rounds[0.0], dirac_push, names=("θ", "ψ")),
}
for k, (name, trajectory) in enumerate(games.items(), 1):
    write_trajectory(trajectory, out / f"12_game_{k}.html", name)
    for notice in trajectory.notices():
        print(f"{name}, step {notice.step}: {notice.kind}")
found = [[notice.kind for notice in trajectory.notices()] for trajectory in games.values()]
assert found == [["divergence"], ["oscillation"], ["divergence"]]
