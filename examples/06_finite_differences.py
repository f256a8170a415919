# %% [markdown]
# # 06 · Finite differences, and why float64
#
# Lesson 01 checked a derivative by changing a number a little. Every gradient in minigan is checked in
# this way, by tests. It sounds simple, but there is a trap: **how little is a little?** Too much, and the
# function bends on the way. Too little, and the computer's rounding is all that one sees.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np

import minigan as mg

AT, TRUE = 1.0, np.cos(1.0)  # the slope of sin at 1


def errors(steps, dtype, symmetric):
    """How far the difference quotient of sin is from the truth, for each step h."""
    found = []
    for h in steps:
        x, h = dtype(AT), dtype(h)
        back = x - h if symmetric else x
        with np.errstate(invalid="ignore"):  # an h that float32 cannot add to 1 gives 0 / 0
            quotient = (np.sin(x + h) - np.sin(back)) / ((x + h) - back)
        found.append(abs(float(quotient) - TRUE))
    return np.array(found)


# %% [markdown]
# ## Two errors that pull in opposite directions
#
# The one-sided quotient (f(x + h) - f(x)) / h is wrong by h |f''| / 2. The symmetric one,
# (f(x + h) - f(x - h)) / 2h, by h² |f'''| / 6: its error falls twice as fast.

# %%
steps = np.array([1e-1, 1e-2, 1e-3])
one_sided, symmetric = (errors(steps, np.float64, both) for both in (False, True))
print("one-sided:", one_sided, " symmetric:", symmetric)
assert np.allclose(one_sided, steps * np.sin(1) / 2, rtol=0.05)
assert np.allclose(symmetric, steps**2 * np.cos(1) / 6, rtol=0.05)

# %% [markdown]
# But f itself is known only up to rounding, eps · |f|, where eps is 2e-16 in float64 and 1e-7 in float32.
# Divided by a small h, that error grows. The sum of both is smallest near h = eps^(1/3), where it is
# about eps^(2/3): **eleven digits in float64, and no more than four or five in float32**. So a wrong
# gradient may hide behind float32's rounding, and cannot in float64. That is why the checks run in
# float64, whatever the network is trained in.

# %%
hs = np.geomspace(1e-12, 0.5, 241)
curves = {
    (name, both): errors(hs, dtype, both)
    for name, dtype in (("float32", np.float32), ("float64", np.float64))
    for both in (False, True)
}
for (name, both), curve in curves.items():
    usable = hs > 10 * np.finfo(name).eps
    best = np.median(np.sort(curve[usable])[:5])
    print(f"{name}, {'symmetric' if both else 'one-sided'}: at best {best:.0e}")


def typical(curve, h):
    """The error near a step, without the luck of a single one."""
    near = abs(np.log(hs / h)) < 0.7
    return np.median(curve[near])


single, double = np.finfo(np.float32).eps, np.finfo(np.float64).eps
assert typical(curves["float64", True], double ** (1 / 3)) < 1e-10
assert 1e-6 < typical(curves["float32", True], single ** (1 / 3)) < 1e-4
assert typical(curves["float64", True], 1e-11) > 1e-7  # too small a step is worse than a large one

# %% [markdown]
# ## What the check is for
#
# `mg.gradcheck` compares the engine's gradient with symmetric differences, entry by entry, for any
# function. Here it meets an operation with a sign wrong. Its forward is right, and training with it
# would merely be a little slow, so nobody would look for the fault.


# %%
@mg.op
def swish(x):
    """x sigmoid(x)."""
    return x / (1 + np.exp(-x))


swish.vjps(
    x=lambda g, x: g * mg.sigmoid(x) * (1.0 - x * (1.0 - mg.sigmoid(x)))
)  # should be 1 + x ...

x = mg.tensor([0.3, -1.2], requires_grad=True, dtype=mg.float64)
try:
    mg.gradcheck(swish, x)
except mg.GradientMismatchError as error:
    print("found:", error)
    found = True
assert found

# %% [markdown]
# ## Where it cannot work
#
# At a kink there is no derivative, and the two sides tell different slopes. ReLU's slope at 0 is 0 by
# convention; the symmetric difference says 1/2. So checks keep their numbers away from kinks and ties.

# %%
h = 1e-6
quotient = (mg.relu(mg.tensor(h)) - mg.relu(mg.tensor(-h))) / (2 * h)
zero = mg.tensor(0.0, requires_grad=True)
print(
    f"at ReLU's kink: measured {quotient.item():.2f}, engine {mg.grad(mg.relu(zero), zero)[0].item()}"
)
assert np.isclose(quotient.item(), 0.5)

# %%
figure, axis = plt.subplots(figsize=(6.5, 4))
for (name, both), curve in curves.items():
    colour = {"float32": "tab:orange", "float64": "tab:blue"}[name]
    label = f"{name}, {'symmetric' if both else 'one-sided'}"
    axis.loglog(hs, np.maximum(curve, 1e-14), color=colour, lw=1.6 if both else 0.8, label=label)
axis.set(xlabel="h", ylabel="error of the slope", title="How little is a little")
axis.legend()
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "06_finite_differences.png", dpi=120)
