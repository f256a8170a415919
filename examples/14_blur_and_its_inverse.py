# %% [markdown]
# # 14 · Blur, and why it cannot simply be undone
#
# When a camera shakes, every point of the scene draws the same little path on the sensor. That path is
# the **blur kernel** h, and the blurry picture is the sharp one with every point replaced by it:
#
#     I_B = h * I_S + n          (* is convolution, n the sensor's noise)
#
# If one knows h, can one not divide it out again? In the Fourier domain convolution is a product, so
# F(I_B) = H F(I_S), and I_S = F^-1{ F(I_B) / H }. It is worth seeing why nobody does this.

# %%
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from skimage.data import camera

from minigan.deblur.blur import add_noise, convolve, quantize
from minigan.deblur.classical import inverse_filter, richardson_lucy, wiener
from minigan.deblur.kernels import gaussian_kernel, motion_kernel
from minigan.deblur.metrics import psnr

sharp = camera()[60:252, 140:332].astype(np.float32)[None] / 255  # (1, 192, 192), values 0 to 1
h = motion_kernel(np.random.default_rng(7), 12.0, exposure=1.0)


def blurred(picture, kernel):
    """Convolved as if the picture repeated beyond its borders, so that nothing is lost at them."""
    spectrum = np.fft.rfft2(picture) * np.fft.rfft2(centred(kernel, picture.shape[1:]))
    return np.fft.irfft2(spectrum, s=picture.shape[1:])


def centred(kernel, shape):
    """The kernel on a canvas of the picture's size, its middle at the corner (0, 0)."""
    canvas = np.zeros(shape)
    canvas[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.roll(canvas, [-(n // 2) for n in kernel.shape], axis=(0, 1))


def divided(picture, kernel):
    """F^-1{ F(I_B) / H }."""
    H = np.fft.rfft2(centred(kernel, picture.shape[1:]))
    return np.fft.irfft2(np.fft.rfft2(picture) / H, s=picture.shape[1:])


# %% [markdown]
# ## Without noise it works
#
# In float64, with the kernel known, and no noise: perfectly.

# %%
clean = blurred(sharp.astype(np.float64), h.astype(np.float64))
back = divided(clean, h.astype(np.float64))
print(f"blurry {psnr(clean, sharp):.1f} dB; divided, off by {abs(back - sharp).max():.0e} at most")
assert abs(back - sharp).max() < 1e-9

# %% [markdown]
# ## A little noise ruins it
#
# H says how much of each frequency the blur lets through, and of some it lets through next to nothing.
# Dividing by next to nothing makes whatever else is there enormous. Rounding to the 256 levels of a file
# already costs most of the precision; the noise of a sensor, here two of those levels, makes the result
# far worse than the blurry picture.

# %%
H = abs(np.fft.rfft2(centred(h, sharp.shape[1:])))
print(
    f"|H| runs from {H.min():.1e} to {H.max():.2f}: noise is magnified up to {1 / H.min():.0f} times"
)
rounded = quantize(clean.astype(np.float32))
noisy = quantize(add_noise(clean.astype(np.float32), 2 / 255, np.random.default_rng(1)))
for name, picture in (("8 bits", rounded), ("8 bits and noise", noisy)):
    result = np.clip(divided(picture.astype(np.float64), h.astype(np.float64)), 0, 1)
    print(f"{name}: blurry {psnr(picture, sharp):.1f} dB, divided {psnr(result, sharp):.1f} dB")
assert psnr(result, sharp) < psnr(noisy, sharp) - 5

# %% [markdown]
# What comes out is I_S + F^-1{ F(n) / H }, the sharp picture plus magnified noise, exactly:

# %%
n = noisy - clean
ruined = divided(noisy.astype(np.float64), h.astype(np.float64))
foretold = sharp + divided(n.astype(np.float64), h.astype(np.float64))
assert np.allclose(ruined, foretold, atol=1e-6)

# %% [markdown]
# ## What helps, if the kernel is known
#
# Wiener's filter divides only where the signal is stronger than the noise, and lets the rest be.
# Richardson and Lucy start from the blurry picture and correct it step by step, and stop early. Both are
# told h, which nobody has for a photograph of their own.

# %%
blurry = quantize(add_noise(convolve(sharp, h, mode="same"), 2 / 255, np.random.default_rng(1)))
tried = {
    "blurry": blurry,
    "inverse filter": inverse_filter(blurry, h),
    "Wiener": wiener(blurry, h),
    "Richardson-Lucy": richardson_lucy(blurry, h),
}
scores = {name: psnr(np.clip(picture, 0, 1), sharp) for name, picture in tried.items()}
print(", ".join(f"{name} {score:.1f} dB" for name, score in scores.items()))
assert scores["inverse filter"] < scores["blurry"] - 5
assert min(scores["Wiener"], scores["Richardson-Lucy"]) > scores["blurry"] + 1

# %% [markdown]
# ## And if it is not known
#
# Then the problem has more than one answer, even without noise. One blurry picture, and several pairs
# of a kernel and a sharp picture that give **exactly** this:
#
# - nothing was blurred: the kernel is one point, and the scene is soft by itself;
# - the true pair;
# - kernel and scene both shifted, in opposite directions;
# - the blur in two parts, of which one belongs to the kernel and the other to the scene.

# %%
point = np.zeros((3, 3))
point[1, 1] = 1
first, second = (gaussian_kernel(spread).astype(np.float64) for spread in (1.0, 1.5))
size = first.shape[0] + second.shape[0] - 1  # of the two one after the other: their convolution
both = np.fft.irfft2(
    np.fft.rfft2(first, s=(size, size)) * np.fft.rfft2(second, s=(size, size)), s=(size, size)
)
scene = sharp.astype(np.float64)
observed = blurred(scene, both)
shifted = np.roll(np.pad(both, 2), 2, axis=1)
PAIRS = {
    "a point, a soft scene": (point, observed),
    "the true pair": (both, scene),
    "both shifted": (shifted, np.roll(scene, -2, axis=2)),
    "half in the kernel": (first, blurred(scene, second)),
    "the other half": (second, blurred(scene, first)),
}
for name, (kernel, picture) in PAIRS.items():
    difference = abs(blurred(picture, kernel) - observed).max()
    print(f"{name:22} differs by {difference:.1e}")
    assert difference < 1e-12

# %% [markdown]
# No amount of care tells these apart, from the blurry picture alone. What can is knowing **what
# photographs look like**, and what shaking hands do. That is what a network learns from examples:
# blur many sharp photographs with kernels like real ones (lesson 15), and let it learn the way back
# (lesson 16).

# %%
figure, axes = plt.subplots(2, 5, figsize=(14, 6))
for axis, (name, picture) in zip(axes[0], {"sharp": sharp, **tried}.items(), strict=False):
    score = f", {scores[name]:.1f} dB" if name in scores else ""
    axis.imshow(np.clip(picture[0], 0, 1), cmap="gray", vmin=0, vmax=1)
    axis.set(title=name + score, xticks=[], yticks=[])
for axis, (name, (kernel, picture)) in zip(axes[1], PAIRS.items(), strict=True):
    axis.imshow(picture[0], cmap="gray", vmin=0, vmax=1)
    inset = axis.inset_axes([0.68, 0.68, 0.3, 0.3])
    inset.imshow(kernel, cmap="magma")
    inset.set(xticks=[], yticks=[])
    axis.set(title=name, xticks=[], yticks=[])
axes[1, 0].set_ylabel("all five give the same blur")
figure.tight_layout()
out = Path("runs/lessons")
out.mkdir(parents=True, exist_ok=True)
figure.savefig(out / "14_blur_and_its_inverse.png", dpi=100)
