# %% [markdown]
# # 07 · Second derivatives, and the gradient penalty
#
# A gradient is computed by operations: products, sums, convolutions. So it can be recorded like any
# other computation, and differentiated again. Some training rules need that: they ask not only that a
# network's output be right, but also that its **slope** be.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import nn
from minigan.gan.losses import gradient_penalty

# %% [markdown]
# ## Again, and again
#
# With `create_graph=True`, `mg.grad` records what it computes. For x sin x, by hand:
# first sin x + x cos x, then 2 cos x - x sin x, then -3 sin x - x cos x.

# %%
x = mg.tensor([0.5, 1.0, 2.0], requires_grad=True, dtype=mg.float64)
found, by_hand = x * x.sin(), x.numpy()
for derivative in (
    np.sin(by_hand) + by_hand * np.cos(by_hand),
    2 * np.cos(by_hand) - by_hand * np.sin(by_hand),
    -3 * np.sin(by_hand) - by_hand * np.cos(by_hand),
):
    (found,) = mg.grad(found.sum(), x, create_graph=True)
    print(found.numpy())
    assert np.allclose(found, derivative, rtol=1e-12)

# %% [markdown]
# ## A matrix that is never made
#
# All second derivatives of a function of n numbers are the n x n matrix H (Hesse's). For a million
# weights nobody can store it. But H times one vector v costs no more than two gradients, because
# H v is the gradient of (gradient · v).

# %%
rng = np.random.default_rng(0)
A = mg.tensor(rng.normal(size=(5, 5)), dtype=mg.float64)
w = mg.tensor(rng.normal(size=5), requires_grad=True, dtype=mg.float64)
v = mg.tensor(rng.normal(size=5), dtype=mg.float64)
(g,) = mg.grad(((A @ w) ** 2).sum(), w, create_graph=True)
(Hv,) = mg.grad((g * v).sum(), w)
by_hand = 2 * A.numpy().T @ A.numpy() @ v.numpy()  # H = 2 A^T A
print("H v:", Hv.numpy(), "by hand:", by_hand)
assert np.allclose(Hv, by_hand, rtol=1e-10)

# %% [markdown]
# ## The gradient penalty
#
# WGAN's critic (Arjovsky et al. 2017) tells real from created by a number, and must not be steep: its
# slope with respect to the **picture** should have the length 1. Gulrajani et al. 2017 add a penalty
# for it,
#
#     mean over samples of (|dD/dx| - 1)^2 ,
#
# at points between a real and a created sample. To train with it one needs the gradient, with respect
# to the critic's weights, of something that is itself made of a gradient.
#
# For a critic that is one straight slope, D(x) = w · x, all is known: dD/dx is w everywhere, the penalty
# is (|w| - 1)^2, and its gradient 2 (|w| - 1) w / |w|.

# %%
critic = nn.Linear(3, 1, bias=False).to(mg.float64)
critic.load_state_dict({"weight": np.array([[2.0, -1.0, 2.0]])})  # of length 3
real = mg.tensor(rng.normal(size=(4, 3)), dtype=mg.float64)
fake = mg.tensor(rng.normal(size=(4, 3)), dtype=mg.float64)
between = mg.tensor(rng.random(4), dtype=mg.float64)  # where on the way from created to real
penalty = gradient_penalty(critic, real, fake, between)
penalty.backward()
print(f"penalty {penalty.item():.6f}, gradient {critic.weight.grad.numpy()}")
assert np.isclose(penalty.item(), (3 - 1) ** 2, rtol=1e-5)
assert np.allclose(critic.weight.grad, 2 * (3 - 1) * np.array([[2, -1, 2]]) / 3, rtol=1e-5)

# %% [markdown]
# ## What it does
#
# Real numbers lie around +2, created ones around -2. A critic that is to make D(real) - D(created)
# large has no reason ever to stop: it gets steeper and steeper. With the penalty it becomes a straight
# line between the two, and stays there. With which slope s? It lowers -4 s + 10 (s - 1)^2, because the
# two are 4 apart and the penalty's weight is 10; that is lowest at s = 1 + 4 / 20 = 1.2.

# %%
STEPS = 400


def train(weight):
    """A critic of one hidden layer, and how steep it is between the two heaps after each step."""
    mg.manual_seed(0)
    network = nn.Sequential(nn.Linear(1, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    optimizer = mg.optim.Adam(network.parameters(), lr=0.01, betas=(0.5, 0.9))
    samples = np.random.default_rng(1)
    slopes = []
    for _ in range(STEPS):
        real = mg.tensor(samples.normal(2, 0.3, (64, 1)).astype(np.float32))
        fake = mg.tensor(samples.normal(-2, 0.3, (64, 1)).astype(np.float32))
        loss = network(fake).mean() - network(real).mean()
        if weight:
            loss = loss + weight * gradient_penalty(network, real, fake, mg.rand(64))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        ends = network(mg.tensor([[-2.0], [2.0]])).numpy()[:, 0]
        slopes.append((ends[1] - ends[0]) / 4)
    return network, slopes


networks = {weight: train(weight) for weight in (0.0, 10.0)}
for weight, (_, slopes) in networks.items():
    print(f"weight of the penalty {weight:4}: slope {slopes[-1]:.2f}")
assert networks[0.0][1][-1] > 20
assert abs(np.mean(networks[10.0][1][-50:]) - 1.2) < 0.05

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6))
xs = np.linspace(-4, 4, 201, dtype=np.float32)
for weight, colour in ((0.0, "tab:red"), (10.0, "tab:blue")):
    network, slopes = networks[weight]
    label = "with the penalty" if weight else "without"
    left.plot(slopes, color=colour, label=label)
    with mg.no_grad():
        ys = network(mg.tensor(xs[:, None])).numpy()[:, 0]
    right.plot(xs, ys - ys[100], color=colour, label=label)
left.set(title="The critic's slope while it trains", xlabel="step", yscale="symlog")
left.axhline(1.2, color="0.6", lw=0.8)
left.legend()
right.axvspan(1.4, 2.6, color="tab:green", alpha=0.15, label="real")
right.axvspan(-2.6, -1.4, color="tab:orange", alpha=0.15, label="created")
right.set(title="What it says of each number", ylim=(-12, 12), xlabel="x")
right.legend()
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "07_second_derivatives.png", dpi=120)
