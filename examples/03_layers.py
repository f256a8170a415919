# %% [markdown]
# # 03 · The layers, and what each does to a gradient
#
# Networks for images are built of a handful of layers. Each computes something on the way forward, and
# on the way back turns the gradient of its result into the gradient of its input. Here is each of them,
# with numbers small enough to check in one's head, and with what it does to a gradient drawn.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg


def gradient(function, x, g=None):
    """dL/dx where g is dL/dy for y = function(x); without g, of the sum of y."""
    x = mg.tensor(x, requires_grad=True)
    y = function(x)
    return mg.grad(y, x, mg.tensor(np.ones(y.shape, np.float32)) if g is None else mg.tensor(g))[0]


# %% [markdown]
# ## Activations: a gate for every number
#
# ReLU, max(0, x), lets a gradient through where x was positive and stops it elsewhere. The sigmoid,
# 1 / (1 + e^-x), scales it by y (1 - y), which is at most 1/4; tanh by 1 - y^2, at most 1. Far from 0
# both of these are flat, and almost nothing comes through.

# %%
relu = gradient(mg.relu, [-2.0, -0.5, 0.0, 3.0])
print("relu   ", relu.tolist())
assert relu.tolist() == [0.0, 0.0, 0.0, 1.0]  # at 0 there is no slope; the convention is 0

sigmoid = gradient(mg.sigmoid, [0.0, 10.0])
print("sigmoid", sigmoid.tolist())
assert sigmoid.tolist()[0] == 0.25
assert sigmoid.tolist()[1] < 1e-4

tanh = gradient(mg.tanh, [0.0, 10.0])
print("tanh   ", tanh.tolist())
assert tanh.tolist()[0] == 1.0
assert tanh.tolist()[1] < 1e-7

# %% [markdown]
# ## Linear: y = W x + b
#
# Every output is a weighted sum of all inputs. Backwards, an input gets from each output what flowed
# into that output, times the same weight: the gradient goes through the transpose, W^T g. A weight
# gets what flowed into its output, times the input that it weighed: g x^T.

# %%
W = mg.tensor([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], requires_grad=True)
b = mg.tensor([0.0, 0.0, 0.0], requires_grad=True)
x = mg.tensor([[10.0, 1.0]], requires_grad=True)
y = mg.linear(x, W, b)
y.backward(mg.tensor([[1.0, 0.0, -1.0]]))
print("dL/dx", x.grad.tolist(), "  dL/dW", W.grad.tolist(), "  dL/db", b.grad.tolist())
assert x.grad.tolist() == [[1.0 - 5.0, 2.0 - 6.0]]
assert W.grad.tolist() == [[10.0, 1.0], [0.0, 0.0], [-10.0, -1.0]]
assert b.grad.tolist() == [1.0, 0.0, -1.0]

# %% [markdown]
# ## Convolution: one small set of weights, used everywhere
#
# A convolution lays its kernel on every place of the picture and takes the weighted sum of what it
# covers. Backwards, a pixel gets a gradient from each window that covered it. So a gradient at **one**
# output pixel spreads over the whole window, with the kernel's weights; and the kernel, which was used
# everywhere, gets the sum over all places.

# %%
picture = np.zeros((1, 1, 7, 7), np.float32)
picture[0, 0, 2:5, 3] = 1  # a short line
kernel = np.array(
    [[[[1, 0, -1], [2, 0, -2], [1, 0, -1]]]], np.float32
)  # where it gets darker to the right


def edges(x):
    return mg.conv2d(x, mg.tensor(kernel), padding=1)


one_pixel = np.zeros((1, 1, 7, 7), np.float32)
one_pixel[0, 0, 3, 3] = 1
spread = gradient(edges, picture, one_pixel).numpy()
assert np.array_equal(spread[0, 0, 2:5, 2:5], kernel[0, 0])
assert spread.sum() == kernel.sum()

w = mg.tensor(kernel, requires_grad=True)
(of_kernel,) = mg.grad(mg.conv2d(mg.tensor(picture), w, padding=1).sum(), w)
assert np.allclose(of_kernel, picture.sum())  # each weight saw every pixel of the line once

# %% [markdown]
# Forward and backward belong together in one more way: for any x and g, the sum of g · conv(x) is the
# sum of x · (what conv passes back of g). Such a pair is called **adjoint**, and for whatever is linear
# it is a test that a wrong gradient cannot pass.

# %%
rng = np.random.default_rng(0)
x, g = rng.normal(size=(2, 1, 1, 7, 7)).astype(np.float32)
forward = float((g * edges(mg.tensor(x)).numpy()).sum())
backward = float((x * gradient(edges, x, g).numpy()).sum())
print(f"<g, conv x> = {forward:.5f}   <conv^T g, x> = {backward:.5f}")
assert np.isclose(forward, backward, rtol=1e-4)

# %% [markdown]
# ## Max-pooling: the winner takes all
#
# Of each window only the largest number goes on. Only it moved the result, so it alone gets the
# gradient; the others get 0. The layer has to remember which one it was.

# %%
x = np.array([[[[1, 3, 2, 0], [4, 2, 5, 1], [0, 1, 9, 8], [7, 6, 2, 3]]]], np.float32)
pooled = mg.max_pool2d(mg.tensor(x), kernel_size=2)
to_winners = gradient(lambda x: mg.max_pool2d(x, kernel_size=2), x).numpy()
print("max-pooling", pooled.numpy()[0, 0].tolist())
assert pooled.numpy()[0, 0].tolist() == [[4.0, 5.0], [7.0, 9.0]]
assert np.array_equal(to_winners[0, 0] == 1, np.isin(x[0, 0], [4, 5, 7, 9]))

# %% [markdown]
# ## Upsampling: one pixel becomes a block
#
# Repeated pixels all come from one, so that one gets the sum of their gradients.

# %%
small = np.array([[[[1, 2], [3, 4]]]], np.float32)
g = np.arange(16, dtype=np.float32).reshape(1, 1, 4, 4)
summed = gradient(lambda x: mg.upsample_nearest2d(x, scale_factor=2), small, g).numpy()
print("upsampling ", summed[0, 0].tolist())
assert summed[0, 0].tolist() == [
    [0 + 1 + 4 + 5, 2 + 3 + 6 + 7],
    [8 + 9 + 12 + 13, 10 + 11 + 14 + 15],
]

# %% [markdown]
# In the pictures: the activations in blue with their slopes in red; below, what goes into a layer, what
# comes out, and what it passes back.

# %%
figure, axes = plt.subplots(3, 4, figsize=(10, 7))
xs = np.linspace(-4, 4, 161, dtype=np.float32)
for axis, function in zip(axes[0], (mg.relu, mg.sigmoid, mg.tanh), strict=False):
    axis.plot(xs, function(mg.tensor(xs)), color="tab:blue")
    axis.plot(xs, gradient(function, xs), color="tab:red", lw=1)
    axis.set(title=function.__name__, ylim=(-1.2, 2.2))


def show(axis, array, title):
    size = max(abs(array.min()), abs(array.max()))
    axis.imshow(array, cmap="RdBu_r", vmin=-size, vmax=size)
    axis.set(title=title, xticks=[], yticks=[])


show(axes[0, 3], W.grad.numpy(), "linear: dL/dW = g x^T")
show(axes[1, 0], picture[0, 0], "convolution: x")
show(axes[1, 1], edges(mg.tensor(picture)).numpy()[0, 0], "y")
show(axes[1, 2], one_pixel[0, 0], "a gradient at one pixel")
show(axes[1, 3], spread[0, 0], "what is passed back")
show(axes[2, 0], x[0, 0], "max-pooling: x")
show(axes[2, 1], to_winners[0, 0], "passed back")
show(axes[2, 2], g[0, 0], "upsampling: g")
show(axes[2, 3], summed[0, 0], "passed back")
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "03_layers.png", dpi=120)
