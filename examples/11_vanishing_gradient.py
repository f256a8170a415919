# %% [markdown]
# # 11 · A discriminator that is too good
#
# The generator learns from the discriminator's slope alone. One would think that a better discriminator
# makes a better teacher. With the loss of the zero-sum game it is the other way round: a discriminator
# that is sure has no slope, and the generator learns nothing.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import nn
from minigan.gan.losses import discriminator_loss

# %% [markdown]
# ## In one formula
#
# Let a be what D says of a created sample before its sigmoid σ; if D is sure, a is far below 0.
#
# - The **zero-sum** loss log(1 - σ(a)) has the slope -σ(a), which vanishes with a.
# - The **non-saturating** loss -log σ(a) asks for the same, and has the slope -(1 - σ(a)): nearly -1.

# %%
a = mg.tensor(-10.0, requires_grad=True, dtype=mg.float64)
(saturating,) = mg.grad(-mg.softplus(a), a)  # log(1 - sigmoid(a))
(non_saturating,) = mg.grad(mg.softplus(-a), a)  # -log sigmoid(a)
print(f"at a = -10: zero-sum {saturating.item():.3e}, non-saturating {non_saturating.item():.5f}")
assert np.isclose(saturating.item(), -4.5e-5, rtol=0.01)
assert np.isclose(non_saturating.item(), -0.99995, atol=1e-5)

# %% [markdown]
# ## In a network
#
# Real points around +1, created ones around -1, no overlap: a discriminator can be right about all of
# them, and after each step of training it is surer. Meanwhile the slope at the created points, which is
# all that the generator would get. D itself becomes steeper, and with the non-saturating loss that
# comes
# through; with the other, less and less of it.

# %%
mg.manual_seed(0)
rng = np.random.default_rng(0)
D = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
optimizer = mg.optim.Adam(D.parameters(), lr=0.01)
slopes = {"zero-sum": [], "non-saturating": []}
for _ in range(400):
    real = mg.tensor(rng.normal(1, 0.1, (64, 1)).astype(np.float32))
    fake = mg.tensor(rng.normal(-1, 0.1, (64, 1)).astype(np.float32), requires_grad=True)
    said = D(fake)
    for name, loss in (("zero-sum", -mg.softplus(said)), ("non-saturating", mg.softplus(-said))):
        (slope,) = mg.grad(loss.sum(), fake, retain_graph=True)
        slopes[name].append(float(abs(slope.numpy()).mean()))
    loss = discriminator_loss(D(real), D(fake.detach()))
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"after 400 steps of D alone: zero-sum {slopes['zero-sum'][-1]:.1e}, ", end="")
print(f"non-saturating {slopes['non-saturating'][-1]:.1f}")
assert slopes["zero-sum"][-1] < 1e-3 * slopes["non-saturating"][-1]
assert slopes["zero-sum"][-1] < 0.01 * max(slopes["zero-sum"])

# %% [markdown]
# ## In a GAN, and its cures
#
# The real points lie around (3, 0); the generator's begin around (0, 0). Before the game, the
# discriminator trains alone until it is sure. With the zero-sum loss the generator then stays where it
# is. (Its steps are plain gradient descent, as long as the gradient. Adam divides by the gradient's own
# size and so hides the trouble for a while, at the price of steps along noise.)
#
# Three cures. Two weaken the discriminator: **train it less**, here without the head start and with
# fewer
# steps, or **make it smaller**. The third leaves it as it is and **changes the loss**.

# %%
STEPS, HEAD_START = 800, 300


def distance_of(created):
    """How far the mean of some points is from (3, 0)."""
    return float(np.linalg.norm(created.numpy().mean(axis=0) - [3, 0]))


def played(saturating=True, head_start=HEAD_START, d_steps=3, width=32):
    """The norm of the generator's gradient and its points' distance from (3, 0), step by step."""
    mg.manual_seed(0)
    rng = np.random.default_rng(0)
    G = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 2))
    D = nn.Sequential(nn.Linear(2, width), nn.LeakyReLU(0.2), nn.Linear(width, 1))
    d_optimizer = mg.optim.Adam(D.parameters(), lr=0.01, betas=(0.5, 0.999))
    g_optimizer = mg.optim.SGD(G.parameters(), lr=0.02)

    def noise():
        return mg.tensor(rng.normal(size=(64, 2)).astype(np.float32))

    def d_step():
        real = mg.tensor(
            (rng.normal(scale=0.1, size=(64, 2)) + np.array([3, 0])).astype(np.float32)
        )
        loss = discriminator_loss(D(real), D(G(noise()).detach()))
        d_optimizer.zero_grad()
        loss.backward()
        d_optimizer.step()

    for _ in range(head_start):
        d_step()
    gradients, distances = [], []
    for _ in range(STEPS):
        for _ in range(d_steps):
            d_step()
        created = G(noise())
        said = D(created)
        loss = -mg.softplus(said).mean() if saturating else mg.softplus(-said).mean()
        g_optimizer.zero_grad()
        loss.backward()
        gradients.append(np.sqrt(sum(np.square(p.grad.numpy()).sum() for p in G.parameters())))
        distances.append(distance_of(created))
        g_optimizer.step()
    return np.array(gradients), np.array(distances)


games = {
    "zero-sum, D sure": played(),
    "D trained less": played(head_start=0, d_steps=1),
    "D smaller": played(width=2),
    "another loss": played(saturating=False),
}
for name, (gradients, distances) in games.items():
    print(
        f"{name:17} gradient {gradients[0]:.1e} at first, {np.median(gradients[-100:]):.1e} then; "
        f"distance {distances[0]:.2f} at first, {distances[-50:].mean():.2f} then"
    )

stuck, less, smaller, other = games.values()
assert stuck[1][-1] > 0.9 * stuck[1][0]  # where it was
assert np.median(stuck[0]) < 1e-2 * np.median(other[0])
assert max(game[1][-50:].mean() for game in (less, smaller, other)) < 1  # these arrived

# %% [markdown]
# All three arrive, those with a weak discriminator later. Since nobody can know beforehand how weak
# it has
# to be, the loss is the cure that is used; `minigan gan train` has it as its default, and says in a
# line when the gradient
# vanishes nevertheless.

# %%
figure, axes = plt.subplots(1, 4, figsize=(17, 3.8))
values = np.linspace(-12, 6, 200)
axes[0].plot(values, 1 / (1 + np.exp(-values)), label="zero-sum: σ(a)")
axes[0].plot(values, 1 - 1 / (1 + np.exp(-values)), label="non-saturating: 1 - σ(a)")
axes[0].set(
    title="Size of the slope", xlabel="a, what D says of a created sample", xticks=[-10, -5, 0, 5]
)
axes[0].legend()
for name, curve in slopes.items():
    axes[1].semilogy(np.array(curve) + 1e-12, label=name)
axes[1].set(title="What G would get while D learns", xlabel="steps of D")
axes[1].legend()
for name, (gradients, distances) in games.items():
    smooth = np.convolve(gradients, np.ones(25) / 25, mode="valid")
    axes[2].semilogy(smooth, label=name)
    axes[3].plot(distances, label=name)
axes[2].set(title="The generator's gradient in a game", xlabel="step")
axes[3].set(title="Distance from the real points", xlabel="step", ylim=(0, None))
axes[3].legend()
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "11_vanishing_gradient.png", dpi=120)
