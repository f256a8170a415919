# %% [markdown]
# # 10 · Mode collapse
#
# Real data come in kinds: ten digits, many faces. A generator that makes only one of them, but that one
# well, fools a discriminator that looks at one sample at a time. This is called mode collapse, and in
# two dimensions one can watch it.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

from minigan.gan.toys.film import filmed
from minigan.gan.toys.game import ToyGame, ToySettings
from minigan.gan.toys.mixtures import coverage, grid, nearest, ring

# %% [markdown]
# ## Two targets
#
# Eight heaps on a ring, and twenty-five on a grid, each heap small and far from the next. A sample is
# **good** when it lies within three deviations of a centre, and a heap is **found** when it has a good
# sample. The real data themselves are good to 98.9 %, which is what a normal distribution in the plane
# has within three deviations: 1 - e^(-9/2).

# %%
for target in (ring(), grid()):
    found = coverage(target.sample(20_000, np.random.default_rng(0)), target)
    print(f"{target.name}: {found.modes} of {len(target.centres)} heaps, {found.good:.1%} good")
    assert found.modes == len(target.centres)
    assert abs(found.good - (1 - np.exp(-4.5))) < 0.005

# %% [markdown]
# ## The plain GAN on the ring
#
# The loss of lesson 09, L_G = -L_D. Both players are perceptrons with three hidden layers of 128; both
# step by Adam, in turns. The rates fall to 0 in the second half, so that it can come to rest.

# %%
STEPS = 2500
PLAIN = ToySettings(loss="zero-sum", width=128, depth=3, latent=2, decay=STEPS)
target = ring()
film = filmed(ToyGame(PLAIN, target.sample), target, STEPS, every=100)
counts = np.array(
    [np.bincount(nearest(frame.points, target), minlength=8) for frame in film.frames]
)
last = film.frames[-1]
print(f"after {STEPS} steps: {last.covered.modes} of 8 heaps, {last.covered.good:.1%} good")
for notice in film.notices:
    print(f"step {notice.step}, {notice.kind}: {notice.sentence}")
assert last.covered.modes <= 5

# %% [markdown]
# It makes few of the heaps. (Other seeds make other ones: four seeds found 3, 3, 3 and 2.) Where the
# points were, hundred steps by hundred steps, is a story of its own: they gather on a few heaps; D learns
# that whatever lies there is created; they flee to others, of which D thinks better. They move together,
# because each of them climbs the same hill: the gradient says where *one* sample should go, and nothing
# says that they should not all go there.

# %%
share = counts / counts.sum(axis=1, keepdims=True)
favourites = share.argmax(axis=1)
crowded = share.max(axis=1) > 0.5
print(f"in {crowded.mean():.0%} of the frames most points lie nearest to one heap", end="; ")
print(f"the favourite heap changed {np.count_nonzero(np.diff(favourites))} times")

# %% [markdown]
# ## On the grid
#
# Twenty-five heaps, and the same game. It may find some of them, and not all.

# %%
far = grid()
game = ToyGame(PLAIN, far.sample)
for _ in range(STEPS):
    game.step()
on_grid = game.samples(2000)
found = coverage(on_grid, far)
print(f"after {STEPS} steps: {found.modes} of 25 heaps, {found.good:.1%} good")
assert found.modes < 25

# %% [markdown]
# `minigan gan lab` lets you watch, and try what helps while it plays; the page of this game, moment
# by moment, is written by `minigan.gan.pages.dynamics.write_film`.

# %%
figure, axes = plt.subplots(1, 4, figsize=(16, 4))
for axis, k in zip(axes, (len(film.frames) // 4, len(film.frames) // 2, -1), strict=False):
    frame = film.frames[k]
    axis.plot(*film.real.T, ".", color="0.75", ms=3)
    axis.plot(*frame.points.T, ".", color="tab:orange", ms=3)
    axis.set(title=f"step {frame.step}", xlim=(-1.6, 1.6), ylim=(-1.6, 1.6), aspect="equal")
steps = [frame.step for frame in film.frames]
axes[3].stackplot(steps, share.T, colors=plt.cm.twilight(np.linspace(0, 1, 9)[:8]))
axes[3].set(title="Which heap the points are nearest to", xlabel="step", ylim=(0, 1))
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "10_mode_collapse.png", dpi=120)
