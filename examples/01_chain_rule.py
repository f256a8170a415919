# %% [markdown]
# # 01 · The chain rule by hand
#
# A network is a long formula, and to train it one has to know in which direction each of its numbers
# makes the result better. That is a derivative, and there is one rule for all of them. Here it is done
# by hand, for a network of one neuron, and compared with what minigan says.
#
# A neuron takes x, weighs it, shifts it and squashes it; the loss says how far it is from the target t:
#
#     a = w x + b        y = tanh a        e = y - t        L = e^2

# %%
import math
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg

x, t = 1.5, 0.2  # what goes in, and what should come out
w, b = 0.8, -0.3  # what can be changed

a = w * x + b
y = math.tanh(a)
e = y - t
L = e**2
print(f"a = {a:.4f}   y = {y:.4f}   e = {e:.4f}   L = {L:.4f}")

# %% [markdown]
# ## Backwards, one link at a time
#
# How much does L change when e changes a little? That is dL/de = 2e. How much does e change with y? One
# for one. And y with a? By tanh's slope, 1 - y^2. The chain rule says that such factors multiply: if e
# moves L by 2e for each unit, and y moves e by 1, then y moves L by 2e times 1.
#
# So one goes from the loss to the front, and at each link multiplies what has arrived by that link's
# own slope. What has arrived is called the **gradient** of the loss with respect to that number.

# %%
dL_de = 2 * e
dL_dy = dL_de * 1
dL_da = dL_dy * (1 - y**2)
dL_dw = dL_da * x  # a = w x + b, so w moves a by x
dL_db = dL_da * 1
print(f"dL/de = {dL_de:.4f}   dL/dy = {dL_dy:.4f}   dL/da = {dL_da:.4f}")
print(f"dL/dw = {dL_dw:.4f}   dL/db = {dL_db:.4f}")

# %% [markdown]
# Each factor needed a number of the way forward: e, y and x. That is why an engine **saves** some
# numbers on the way forward, and why training takes more memory than using a network.
#
# Is it right? Nobody has to believe a formula: change w a little, and see how L changes.


# %%
def loss_at(w: float, b: float) -> float:
    """L as a function of what can be changed."""
    return (math.tanh(w * x + b) - t) ** 2


h = 1e-6
measured = (loss_at(w + h, b) - loss_at(w - h, b)) / (2 * h)
print(f"measured dL/dw = {measured:.4f}")
assert math.isclose(measured, dL_dw, rel_tol=1e-6)

# %% [markdown]
# ## The same, by the engine
#
# minigan does what was done above: forward it remembers which operation made which number, and
# `backward()` goes from the loss to the front.

# %%
W = mg.tensor(w, requires_grad=True, dtype=mg.float64)
B = mg.tensor(b, requires_grad=True, dtype=mg.float64)
loss = ((W * x + B).tanh() - t) ** 2
loss.backward()
print(f"minigan: dL/dw = {W.grad:.4f}   dL/db = {B.grad:.4f}")
assert math.isclose(float(W.grad), dL_dw, rel_tol=1e-12)
assert math.isclose(float(B.grad), dL_db, rel_tol=1e-12)

# %% [markdown]
# ## Two ways to the loss add up
#
# If a number is used twice, it moves the loss in two ways, and the two effects **add**. In
# f = u^2 + 3u the number u is used by the square and by the product: df/du = 2u + 3.

# %%
u = mg.tensor(2.0, requires_grad=True)
(u * u + 3.0 * u).backward()
print(f"df/du = {u.grad:.1f}")
assert float(u.grad) == 2 * 2.0 + 3.0

# %% [markdown]
# Look closer: in u * u it is even used twice by one product, so there are three ways, with the
# gradients 2, 2 and 3. `python -m minigan explain examples/01_chain_rule.py --pass 2` writes a page on
# which one sees the three arrive.
#
# ## What it is good for
#
# A gradient points to where the loss grows fastest. So one goes the other way, a little at a time:
# gradient descent, the subject of lesson 04. One neuron learns one number quickly.

# %%
path = [(w, L)]
for _ in range(12):
    a = w * x + b
    y = math.tanh(a)
    gradient = 2 * (y - t) * (1 - y**2)
    w, b = w - 0.2 * gradient * x, b - 0.2 * gradient
    path.append((w, loss_at(w, b)))
print(f"after 12 steps: L = {path[-1][1]:.6f}")
assert path[-1][1] < 1e-3 * path[0][1]

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3.4))
ws = np.linspace(-0.6, 1.6, 200)
left.plot(ws, [loss_at(v, -0.3) for v in ws], color="0.3")
left.plot(ws, L + dL_dw * (ws - 0.8), color="tab:red", label=f"slope dL/dw = {dL_dw:.2f}")
left.plot(0.8, L, "o", color="tab:red")
left.set(xlabel="w", ylabel="L", ylim=(-0.05, 0.7), title="The gradient is the slope")
left.legend()
right.semilogy([value for _, value in path], "o-", color="tab:blue")
right.set(xlabel="step", ylabel="L", title="Downhill")
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "01_chain_rule.png", dpi=120)
