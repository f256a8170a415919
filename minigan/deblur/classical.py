"""Restorers from before deep learning: what a network must beat to be worth its training.

The inverse filter, Wiener and Richardson-Lucy are told the true blur kernel, which nobody has for
a photograph of their own. Unsharp masking and the least-squares filter are blind, as a network is.

Every function takes and returns float32 pictures of shape (C, H, W) in [0, 1], treats each channel
alike and by itself, and raises ShapeError or ArgumentError for arrays that are no picture or no
kernel (see `minigan.deblur.blur`). Borders are handled in one way for all that know the kernel: the
picture is mirrored outwards by twice the kernel's size, restored, and cut back, because what the
blur carried in from outside the picture is unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from minigan.core.errors import ArgumentError, ShapeError, require
from minigan.deblur.blur import FloatArray, check_image, check_kernel, convolve, pad_reflect

Plane = NDArray[np.float32]  # one channel, (H, W)

# The best, or within 0.15 dB of the best, of a sweep over 200 colour crops of 64x64 pixels, one
# from each training photograph of BSDS500 (Arbelaez et al. 2011), blurred by `BlurSettings()` and,
# for heavier blur, `BlurSettings(exposure=1)`. Mean PSNR / SSIM there; the blurry crops have
# 33.39 dB / .877 and 28.95 / .793.
WIENER_BALANCE = 0.006  # of .001 to .02: 35.02 / .921 and 31.29 / .882
RICHARDSON_LUCY_ITERATIONS = 8  # of 4 to 20: 34.73 / .913 and 31.16 / .874
UNSHARP_RADIUS = 1.5  # of .5 to 3, together with
UNSHARP_AMOUNT = 0.2  # of .1 to .8: 33.71 / .880 and 29.31 / .800

# Below this share of its strength, a frequency is lost: float32 leaves nothing of it to divide.
EXTINCT = 1e-6
# A quarter of an 8-bit level: where Richardson-Lucy predicts less, its quotient is noise.
DARK = 1e-3


def inverse_filter(blurry: FloatArray, kernel: FloatArray) -> FloatArray:
    """Divide the blur out: F^-1{ F(I_B) / H } with H = F(h), the exact answer if I_B = h * I_S.

    It is ruined by noise: I_B = h * I_S + n becomes I_S + F^-1{ F(n) / H }, and H is small at most
    high frequencies. Frequencies with |H| < `EXTINCT` are left out.
    Source: Gonzalez and Woods, "Digital Image Processing", section "Inverse filtering".
    """

    def restore(plane: Plane, kernel: FloatArray) -> Plane:
        transfer = np.fft.rfft2(_origin_at_corner(kernel, plane.shape))
        spectrum = np.zeros_like(transfer)
        np.divide(np.fft.rfft2(plane), transfer, out=spectrum, where=np.abs(transfer) > EXTINCT)
        return np.fft.irfft2(spectrum, s=plane.shape).astype(np.float32, copy=False)

    return _restore_planes("inverse_filter", restore, blurry, kernel)


def wiener(blurry: FloatArray, kernel: FloatArray, balance: float = WIENER_BALANCE) -> FloatArray:
    """Divide the blur out where it left a signal, and smooth elsewhere.

        F^-1{ conj(H) F(I_B) / (|H|^2 + balance |D|^2) },  D the transfer function of the Laplacian

    A larger `balance` (above 0) means more smoothing. Wiener's filter (1949), in the form of Hunt
    ("The application of constrained least squares estimation to image restoration by digital
    computer", IEEE Transactions on Computers, 1973), as scikit-image computes it.
    """
    if not balance > 0:
        raise ArgumentError(f"wiener: balance must be above 0, got {balance!r}")
    restoration = require("skimage.restoration", "deblur", "run the Wiener filter")
    return _restore_planes(
        "wiener",
        lambda plane, kernel: restoration.wiener(plane, kernel, balance, clip=False),
        blurry,
        kernel,
    )


def richardson_lucy(
    blurry: FloatArray, kernel: FloatArray, iterations: int = RICHARDSON_LUCY_ITERATIONS
) -> FloatArray:
    """Raise the likelihood of I_B under Poisson noise, `iterations` times, starting from grey.

        I <- I (h~ * (I_B / (h * I))),  h~ the kernel turned by 180 degrees

    The picture stays positive and gains detail slowly, so stopping early is what keeps the noise
    down. Richardson (J. Opt. Soc. Am. 62, 1972), Lucy (Astron. J. 79, 1974); scikit-image computes
    it.
    """
    if iterations < 1:
        raise ArgumentError(f"richardson_lucy: iterations must be at least 1, got {iterations!r}")
    restoration = require("skimage.restoration", "deblur", "run Richardson-Lucy")
    return _restore_planes(
        "richardson_lucy",
        # Without the threshold the quotient can overflow near the rim of the mirrored picture,
        # where scikit-image sees black, and one NaN spreads through the FFT over all of it.
        lambda plane, kernel: restoration.richardson_lucy(
            plane, kernel, iterations, clip=False, filter_epsilon=DARK
        ),
        blurry,
        kernel,
    )


def unsharp_mask(
    blurry: FloatArray, radius: float = UNSHARP_RADIUS, amount: float = UNSHARP_AMOUNT
) -> FloatArray:
    """Add back what a Gaussian blur takes away: I + amount (I - g * I), g of sigma `radius`.

    Source: Petrou and Petrou, "Image Processing: The Fundamentals" (2010), page 357; scikit-image
    computes it. `radius` is in pixels and must not be negative.
    """
    blurry = check_image("unsharp_mask", "blurry", blurry)
    if not radius >= 0:
        raise ArgumentError(f"unsharp_mask: radius must not be below 0, got {radius!r}")
    filters = require("skimage.filters", "deblur", "sharpen with an unsharp mask")
    return _to_picture(filters.unsharp_mask(blurry, radius, amount, channel_axis=0))


class LeastSquaresFilter:
    """The best linear filter that does not know the kernel: one small kernel w, fitted to pairs.

    Over all pixels of all training pairs, `fit` minimises

        mean (p . w - s)^2 + ridge |w - d|^2

    where p is the `size` x `size` window of the blurry picture round a pixel, s the sharp value of
    that pixel, and d the filter that changes nothing. The minimum solves the normal equations
    (mean p p^T + ridge I) w = mean p s + ridge d. The colour channels share one w. The ridge pulls
    towards d, not towards 0, so that few or flat data leave a picture alone, not darken it.

    `kernel` is the fitted filter, float32 (size, size), in the sense of `blur.convolve`.
    Raises ArgumentError unless size is odd and positive, and ridge above 0.
    """

    def __init__(self, size: int = 9, ridge: float = 1e-5) -> None:
        if size < 1 or size % 2 == 0:
            raise ArgumentError(f"LeastSquaresFilter: size must be odd and positive, got {size!r}")
        if not ridge > 0:
            raise ArgumentError(f"LeastSquaresFilter: ridge must be above 0, got {ridge!r}")
        self.size = size
        self.ridge = ridge
        self.kernel: FloatArray | None = None
        self._gram = np.zeros((size * size, size * size))  # sum of p p^T
        self._moment = np.zeros(size * size)  # sum of p s
        self._pixels = 0

    def fit(self, pairs: Iterable[tuple[FloatArray, FloatArray]]) -> Self:
        """Take in (blurry, sharp) pairs and solve for the filter; further calls add to the data.

        Only windows that lie inside a picture count. One channel at a time is unfolded into its
        windows, so pass crops: memory is 8 size^2 bytes for each pixel of the largest channel.
        Raises ArgumentError without any pair, ShapeError if a pair differs in shape or a picture
        is smaller than the filter.
        """
        for blurry, sharp in pairs:
            self._add(
                check_image("LeastSquaresFilter.fit", "blurry", blurry),
                check_image("LeastSquaresFilter.fit", "sharp", sharp),
            )
        if not self._pixels:
            raise ArgumentError("LeastSquaresFilter.fit: pairs must hold at least one pair, got 0")
        unchanged = np.zeros(self.size * self.size)
        unchanged[unchanged.size // 2] = 1
        weights = np.linalg.solve(
            self._gram / self._pixels + self.ridge * np.eye(unchanged.size),
            self._moment / self._pixels + self.ridge * unchanged,
        )
        # w weighs the window as it lies, which is correlation; convolution wants it turned.
        self.kernel = weights[::-1].reshape(self.size, self.size).astype(np.float32)
        return self

    def _add(self, blurry: FloatArray, sharp: FloatArray) -> None:
        if blurry.shape != sharp.shape:
            raise ShapeError(
                "LeastSquaresFilter.fit: blurry and sharp must have the same shape, got "
                f"{blurry.shape} and {sharp.shape}"
            )
        if min(blurry.shape[1:]) < self.size:
            raise ShapeError(
                f"LeastSquaresFilter.fit: a picture must be at least {self.size}x{self.size} "
                f"pixels, got {blurry.shape[1]}x{blurry.shape[2]}"
            )
        rim = self.size // 2
        height, width = blurry.shape[1:]
        for plane, target in zip(blurry, sharp, strict=True):
            windows = sliding_window_view(plane.astype(np.float64), (self.size, self.size))
            windows = windows.reshape(-1, self.size * self.size)
            self._gram += windows.T @ windows
            self._moment += windows.T @ target[rim : height - rim, rim : width - rim].ravel()
            self._pixels += len(windows)

    def __call__(self, blurry: FloatArray) -> FloatArray:
        """Filter a picture, mirrored at its borders. Raises ArgumentError before `fit`."""
        if self.kernel is None:
            raise ArgumentError("LeastSquaresFilter: call fit with training pairs before using it")
        return _to_picture(convolve(blurry, self.kernel, "same"))


def _restore_planes(
    where: str,
    restore: Callable[[Plane, FloatArray], Plane],
    blurry: FloatArray,
    kernel: FloatArray,
) -> FloatArray:
    """Mirror the borders outwards, restore each channel, cut the borders off, clip to [0, 1]."""
    blurry, kernel = check_image(where, "blurry", blurry), check_kernel(where, kernel)
    rows, columns = (2 * side for side in kernel.shape)
    height, width = blurry.shape[1:]
    padded = pad_reflect(blurry, rows, columns)
    planes = np.stack([restore(plane, kernel) for plane in padded])
    return _to_picture(planes[:, rows : rows + height, columns : columns + width])


def _to_picture(values: NDArray[np.floating]) -> FloatArray:
    return np.clip(values, 0, 1).astype(np.float32)


def _origin_at_corner(kernel: FloatArray, shape: tuple[int, ...]) -> Plane:
    """Put the kernel on a plane of zeros with its centre at pixel (0, 0), wrapping round.

    There the discrete Fourier transform has its origin; anywhere else, H would also shift.
    """
    plane = np.zeros(shape, dtype=np.float32)
    plane[: kernel.shape[0], : kernel.shape[1]] = kernel
    return np.roll(plane, (-(kernel.shape[0] // 2), -(kernel.shape[1] // 2)), axis=(0, 1))
