# %% [markdown]
# # 05 · A network that is no stack
#
# So far one layer followed the other. Nothing in the chain rule asks for that: a result may be used
# twice, and far apart. The networks of this project do so all the time. A **skip** carries a result past
# some layers and adds it, or puts it beside what comes later. This lesson shows what skips do to
# gradients, and why without them deep networks hardly learn.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg
from minigan import nn

# %% [markdown]
# ## Forks add
#
# Where a result forks, what comes back from all branches is added; where branches are added, each gets
# the whole gradient. In y = x + f(x) this means dL/dx = g + f'(x) g: **whatever f does, g itself comes
# through**.

# %%
x = mg.tensor([0.5, -1.0, 2.0], requires_grad=True)
f = (x * 0.01).tanh()  # passes on next to nothing
y = x + f
y.backward(mg.tensor([1.0, 10.0, 100.0]))
print("with the skip:", x.grad.numpy())
assert np.allclose(x.grad, [1.01, 10.1, 101.0], rtol=1e-3)

# %% [markdown]
# The order in which an engine goes back through such a graph takes care. A gradient may be passed on
# only when it is complete, after **all** that used the result. minigan takes of all nodes that a
# gradient has reached the one created last; whatever used it was created later still.

# %%
order = [step.node.name for step in mg.steps((x.sin() * x + x.exp()).sum())]
print("order of the visits:", order)
assert order == ["sum", "add", "exp", "mul", "sin", "leaf"]  # x itself comes last

# %% [markdown]
# ## Fifty layers
#
# Take fifty layers of tanh with small weights. Each multiplies the gradient by its weights and by
# slopes below 1, and after fifty such factors nothing is left of it. The same layers with a skip around
# each, x + tanh(W x), keep it.

# %%
DEPTH, WIDTH = 50, 16


def layers():
    mg.manual_seed(0)
    return [nn.Linear(WIDTH, WIDTH) for _ in range(DEPTH)]


def gradients(skip):
    """The size of the gradient at the input of each layer."""
    inputs = []
    h = mg.tensor(mg.randn(8, WIDTH), requires_grad=True)
    for layer in layers():
        inputs.append(h)
        h = h + layer(h).tanh() if skip else layer(h).tanh()
    found = mg.grad((h * h).mean(), inputs)
    return np.array([float(np.sqrt((g.numpy() ** 2).sum())) for g in found])


stacked, skipping = gradients(skip=False), gradients(skip=True)
print(f"at the first layer, for 1 at the last: stacked {stacked[0] / stacked[-1]:.1e}", end=", ")
print(f"with skips {skipping[0] / skipping[-1]:.1e}")
assert stacked[0] / stacked[-1] < 1e-8
assert 0.1 < skipping[0] / skipping[-1] < 1000

# %% [markdown]
# ## The U
#
# The deblurring network of lesson 16 is shaped like a U: it shrinks the picture to see far, and enlarges
# it again to draw. What it drew small has lost its fine detail, so before each enlargement the result
# of the same size from the way down is put beside it. A tiny one, learning to repeat a picture that
# does not survive the shrinking:


# %%
class U(nn.Module):
    """Down by max-pooling and up again, with or without the skip across."""

    def __init__(self, skip):
        super().__init__()
        self.skip = skip
        self.down = nn.Conv2d(1, 8, 3, padding=1)
        self.middle = nn.Conv2d(8, 8, 3, padding=1)
        self.out = nn.Conv2d(16 if skip else 8, 1, 3, padding=1)

    def forward(self, x):
        wide = self.down(x).relu()
        small = self.middle(mg.max_pool2d(wide, kernel_size=4)).relu()
        up = mg.upsample_nearest2d(small, scale_factor=4)
        return self.out(mg.concatenate(up, wide, axis=1) if self.skip else up)


checks = (np.indices((16, 16)).sum(axis=0) % 2).astype(np.float32)  # a fine chessboard
rng = np.random.default_rng(0)
pictures = mg.tensor(
    np.stack([checks * a + (1 - checks) * b for a, b in rng.random((6, 2))])[:, None]
)
curves, drawn = {}, {}
for skip in (False, True):
    mg.manual_seed(1)
    network = U(skip)
    optimizer = mg.optim.Adam(network.parameters(), lr=0.01)
    curve = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = nn.mse_loss(network(pictures), pictures)
        loss.backward()
        optimizer.step()
        curve.append(loss.item())
    curves[skip] = curve
    with mg.no_grad():
        drawn[skip] = network(pictures[:1]).numpy()[0, 0]
    print(f"{'with' if skip else 'without'} the skip: {curve[-1]:.2e}")
assert curves[True][-1] < 0.05 * curves[False][-1]

# %%
figure, axes = plt.subplots(1, 5, figsize=(14, 3))
axes[0].semilogy(stacked / stacked[-1], label="stacked")
axes[0].semilogy(skipping / skipping[-1], label="with skips")
axes[0].set(title="Gradient at each of 50 layers", xlabel="layer")
axes[0].legend()
axes[1].semilogy(curves[False], label="U without its skip")
axes[1].semilogy(curves[True], label="U")
axes[1].set(title="Loss", xlabel="step")
axes[1].legend()
for axis, array, title in (
    (axes[2], pictures.numpy()[0, 0], "to be repeated"),
    (axes[3], drawn[False], "without the skip"),
    (axes[4], drawn[True], "with it"),
):
    axis.imshow(array, cmap="gray", vmin=0, vmax=1)
    axis.set(title=title, xticks=[], yticks=[])
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "05_no_stack.png", dpi=120)
