# %% [markdown]
# # 15 · Kernels like those of shaking hands
#
# A network learns to undo the blur that it is shown. So the blur in its training has to be like the blur
# of real photographs. Nobody has thousands of photographs both sharp and shaken; but one can shake a
# camera in the computer.
#
# Boracchi and Foi (2012) let a particle fly over the sensor while the shutter is open. It has a speed
# that does not change, and a direction that does: it trembles, is pulled back to where it started, and
# now and then jerks. Its path, drawn softly, is the kernel.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import astronaut

from minigan.deblur.blur import convolve
from minigan.deblur.kernels import defocus_kernel, gaussian_kernel, motion_kernel, motion_trajectory
from minigan.deblur.metrics import psnr

rng = np.random.default_rng(0)
path = motion_trajectory(rng, length=30.0)
moves = abs(np.diff(path))
print(
    f"{len(path)} positions, {moves.sum():.2f} pixels in all, "
    f"{abs(path).max():.1f} pixels at most from the start"
)
assert np.isclose(moves.sum(), 30.0)
assert np.allclose(moves, moves[0])  # the speed does not change

# %% [markdown]
# ## What every kernel has to be
#
# It is never negative, because light is not, and its sum is 1, because blur makes a picture neither
# brighter nor darker. Its centre of mass is in the middle: otherwise blurring would also **shift** the
# picture, and a network would be punished for every pixel that it cannot guess.

# %%
kernels = [motion_kernel(np.random.default_rng(i), 12.0, exposure=1.0) for i in range(100)]
radius = kernels[0].shape[0] // 2
offsets = np.arange(-radius, radius + 1)
for kernel in kernels:
    assert kernel.min() >= 0
    assert np.isclose(kernel.sum(), 1, atol=1e-5)
    centre = (kernel.sum(axis=0) @ offsets, kernel.sum(axis=1) @ offsets)
    assert np.allclose(centre, 0, atol=1e-4)
print("a hundred kernels: none negative, all of sum 1, all centred")

# %% [markdown]
# ## How long the shutter is open
#
# The same hand with a shorter exposure leaves the beginning of the same path. At a tenth of the time
# hardly anything is blurred.

# %%
photograph = astronaut()[20:276, 90:346].transpose(2, 0, 1).astype(np.float32) / 255
blurry = {}
for exposure in (0.1, 0.5, 1.0):
    kernel = motion_kernel(np.random.default_rng(5), 24.0, exposure=exposure)
    blurry[exposure] = kernel, convolve(photograph, kernel, mode="same")
scores = [psnr(np.clip(picture, 0, 1), photograph) for _, picture in blurry.values()]
print("PSNR at exposures 0.1, 0.5, 1:", [f"{score:.1f}" for score in scores])
assert scores[0] > scores[1] > scores[2]

# %% [markdown]
# ## Other blurs
#
# Not every blur is motion. A lens out of focus spreads a point evenly over a **disc**; many small causes
# together make a **Gaussian**. Twice a Gaussian is a wider Gaussian, the squares of whose spreads add:
# 3² + 4² = 5².

# %%
disc = defocus_kernel(4.0)
assert np.isclose(disc.max(), 1 / (np.pi * 4.0**2), rtol=1e-3)  # the same everywhere inside
plain = np.zeros((1, 81, 81), np.float32)
plain[0, 40, 40] = 1
twice = convolve(
    convolve(plain, gaussian_kernel(3.0), mode="same"), gaussian_kernel(4.0), mode="same"
)
once = convolve(plain, gaussian_kernel(5.0), mode="same")
print(f"twice and once differ by {abs(twice - once).max() / once.max():.1%} of the highest point")
assert abs(twice - once).max() < 0.02 * once.max()

# %% [markdown]
# `minigan deblur synthesize` writes a whole data set of such pairs, with the kernel of each.

# %%
figure, axes = plt.subplots(3, 6, figsize=(13, 6.8))
axes[0, 0].plot(path.real, path.imag, lw=0.8)
axes[0, 0].plot(0, 0, "ro", ms=4)
axes[0, 0].set(title="a path of 30 pixels", aspect="equal", xticks=[], yticks=[])
for axis, kernel in zip(axes.flat[1:12], kernels, strict=False):
    axis.imshow(kernel, cmap="magma")
    axis.set(xticks=[], yticks=[])
axes[0, 1].set_title("kernels of 12 pixels")
shown = [("sharp", None, photograph)] + [(f"exposure {e:g}", k, p) for e, (k, p) in blurry.items()]
shown += [("out of focus", disc, convolve(photograph, disc, mode="same"))]
wide = gaussian_kernel(3.0)
shown += [("Gaussian", wide, convolve(photograph, wide, mode="same"))]
for axis, (title, kernel, picture) in zip(axes[2], shown, strict=True):
    axis.imshow(np.clip(picture, 0, 1).transpose(1, 2, 0))
    if kernel is not None:
        inset = axis.inset_axes([0.66, 0.66, 0.33, 0.33])
        inset.imshow(kernel, cmap="magma")
        inset.set(xticks=[], yticks=[])
    axis.set(title=title, xticks=[], yticks=[])
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "15_blur_kernels.png", dpi=100)
