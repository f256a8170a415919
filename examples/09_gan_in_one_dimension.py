# %% [markdown]
# # 09 · A GAN in one dimension
#
# Two networks play against each other. The **generator** G turns noise into samples. The
# **discriminator** D says of each sample how likely it is to be real: 1 for real, 0 for created. D is
# trained to tell them apart, G to make D err; what D says is all that G ever learns about the data.
#
#     L_D = - 1/2 E[log D(x)] - 1/2 E[log(1 - D(G(z)))]          L_G = - L_D
#
# On numbers instead of pictures, everything about this game can be drawn and much of it be computed.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import nn
from minigan.gan.losses import (
    discriminator_loss,
    non_saturating_generator_loss,
    zero_sum_generator_loss,
)

# %% [markdown]
# ## The best discriminator is known
#
# Where the real numbers have the density p and the created ones q, no discriminator can do better than
#
#     D*(x) = p(x) / (p(x) + q(x))                                     (Goodfellow et al. 2014, prop. 1)
#
# Take real numbers from N(1, 1/2) and created ones from N(-1/2, 1). A small network, trained on samples
# alone, has never seen these densities, and still comes to say the same.


# %%
def density(x, mean, deviation):
    return np.exp(-0.5 * ((x - mean) / deviation) ** 2) / (deviation * np.sqrt(2 * np.pi))


REAL, CREATED = (1.0, 0.5), (-0.5, 1.0)
mg.manual_seed(0)
rng = np.random.default_rng(0)


def draw(kind, count=512):
    return mg.tensor(rng.normal(*kind, (count, 1)).astype(np.float32))


D = nn.Sequential(nn.Linear(1, 32), nn.Tanh(), nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))
optimizer = mg.optim.Scheduled(mg.optim.Adam(D.parameters(), lr=0.01), mg.optim.cosine_decay(1500))
for _ in range(1500):
    loss = discriminator_loss(
        D(draw(REAL)), D(draw(CREATED))
    )  # takes what D says before its sigmoid
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

xs = np.linspace(-3, 3, 241, dtype=np.float32)
p, q = density(xs, *REAL), density(xs, *CREATED)
best = p / (p + q)
with mg.no_grad():
    learned = D(mg.tensor(xs[:, None])).sigmoid().numpy()[:, 0]
error = np.sum((p + q) * abs(learned - best)) / np.sum(p + q)  # the mean over what it was shown
print(f"the learned D is off by {error:.3f} in the mean")
assert error < 0.03

# %% [markdown]
# (Far to the right in the picture it differs: there are hardly any samples, so nobody told it.)

# %% [markdown]
# ## A zero-sum game
#
# What the one wins, the other loses: L_D + L_G = 0, whatever the networks are.

# %%
real, fake = D(draw(REAL)), D(draw(CREATED))
both = discriminator_loss(real, fake) + zero_sum_generator_loss(real, fake)
print("L_D + L_G =", both.item())
assert abs(both.item()) < 1e-6

# %% [markdown]
# At the end of the game p = q, so D* is 1/2 everywhere, and L_D = log 2 = 0.693: D can only guess.
#
# ## min max is not max min
#
# Who moves first? In theory the generator should find the samples that fare best against the **best**
# discriminator: min over G of max over D. But the networks take turns, and a generator that moves
# against a **fixed** discriminator plays the other game, max over D of min over G. There it puts
# everything on the one place that this D believes most; and D, answering, moves that place away.
#
# A game of two places shows the difference. Real numbers are 0 or 1, equally often. The generator
# creates 1 with the probability s; D says d0 and d1 of the two. All values on a grid:

# %%
shares = np.linspace(0, 1, 101)
beliefs = np.linspace(0.01, 0.99, 99)
s, d0, d1 = np.meshgrid(shares, beliefs, beliefs, indexing="ij")
value = 0.5 * (0.5 * np.log(d0) + 0.5 * np.log(d1)) + 0.5 * (
    (1 - s) * np.log(1 - d0) + s * np.log(1 - d1)
)  # -L_D, which D wants large and G small
best_answers = value.max(axis=(1, 2))  # D's best against each s
min_max = best_answers.min()
print(f"min max: {min_max:.4f} at s = {shares[best_answers.argmin()]:.2f}")
assert shares[best_answers.argmin()] == 0.5  # as the real numbers are
assert np.isclose(min_max, -np.log(2), atol=1e-4)

# %% [markdown]
# With shares s, both orders of moves lead to the same value here, because mixing is allowed. But a
# generator that makes **one** kind of sample at a time cannot mix, as a collapsed one cannot: s is 0 or
# 1. Then who moves first decides.

# %%
pure = value[[0, -1]]
pure_min_max = pure.max(axis=(1, 2)).min()
pure_max_min = pure.min(axis=0).max()
print(f"without mixing: min max {pure_min_max:.4f}, max min {pure_max_min:.4f}")
assert pure_min_max > pure_max_min + 0.1

# %% [markdown]
# If the generator moves against a fixed D, its answer is always 0 or 1, whichever D believes more. D's
# best answer to that makes the other one the better; and so on for ever. Lesson 10 shows the same in two
# dimensions, where it is called mode collapse.
#
# ## The whole game
#
# Now both learn. The generator is a network from noise to numbers, and never sees a real one.

# %%
mg.manual_seed(3)
G = nn.Sequential(nn.Linear(1, 16), nn.Tanh(), nn.Linear(16, 1))
D = nn.Sequential(
    nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1)
)
players = (
    mg.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.999)),
    mg.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999)),
)
for _ in range(2500):
    for optimizer, is_d in ((players[1], True), (players[0], False)):
        z = mg.tensor(rng.normal(size=(256, 1)).astype(np.float32))
        if is_d:
            loss = discriminator_loss(D(draw(REAL, 256)), D(G(z).detach()))
        else:
            loss = non_saturating_generator_loss(D(G(z)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with mg.no_grad():
    created = G(mg.tensor(rng.normal(size=(20_000, 1)).astype(np.float32))).numpy()[:, 0]
    said = D(mg.tensor(xs[:, None])).sigmoid().numpy()[:, 0]
print(f"created: mean {created.mean():.2f}, deviation {created.std():.2f}; real: {REAL}")
assert abs(created.mean() - REAL[0]) < 0.15
assert abs(created.std() - REAL[1]) < 0.15

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(11, 3.8))
left.fill_between(xs, p, alpha=0.25, color="tab:green", label="real, p")
left.fill_between(xs, q, alpha=0.25, color="tab:orange", label="created, q")
left.plot(xs, best, "k--", lw=1, label="p / (p + q)")
left.plot(xs, learned, color="tab:blue", label="D, learned")
left.set(title="The best discriminator is known")
left.legend()
right.fill_between(xs, p, alpha=0.25, color="tab:green", label="real")
right.hist(
    created, bins=80, range=(-3, 3), density=True, color="tab:orange", alpha=0.6, label="created"
)
right.plot(xs, said, color="tab:blue", label="D")
right.axhline(0.5, color="0.6", lw=0.8)
right.set(title="After the game")
right.legend()
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "09_gan_in_one_dimension.png", dpi=120)
