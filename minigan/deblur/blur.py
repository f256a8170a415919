"""The blur model of the library, I_B = h * I_S + n: convolution, noise, 8 bits, and its settings.

I_S is the sharp picture, h the blur kernel (point-spread function, PSF), * convolution, n sensor
noise and I_B the blurry picture. Pictures are float32 of shape (C, H, W) with values in [0, 1];
kernels are float32 of shape (rows, columns), both odd, and come from `minigan.deblur.kernels`. Whatever
is random takes a `numpy.random.Generator`: the same generator state gives the same bits.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from minigan.core.errors import ArgumentError, SettingError, ShapeError
from minigan.deblur.camera import jpeg, photon_noise
from minigan.deblur.checks import (
    FloatArray,
    check_exposure,
    check_image,
    check_kernel,
    check_not_negative,
    check_positive,
)
from minigan.deblur.degradation import Degraded
from minigan.deblur.kernels import (
    defocus_kernel,
    gaussian_kernel,
    gaussian_radius,
    kernel_radius,
    motion_kernel,
)

GAMMA = 2.2  # of the curve by which a camera encodes light, where nobody has measured it


def convolve(
    image: FloatArray, kernel: FloatArray, mode: Literal["valid", "same"] = "valid"
) -> FloatArray:
    """Convolve each channel of `image` with `kernel`, by the convolution theorem.

        (h * I)[y, x] = sum over i, j of h[i, j] I[y - i, x - j]  =  F^-1{ F(h) F(I) }

    This is true convolution: the kernel is flipped, unlike the cross-correlation that deep-learning
    libraries call convolution. "valid" keeps the pixels for which the kernel lies inside the image,
    (C, H - rows + 1, W - columns + 1); "same" mirrors the image at its borders (without repeating
    the border pixels) and returns its shape.

    Raises ShapeError unless image is (C, H, W) and kernel (rows, columns), both odd and, for
    "valid", no larger than the image; ArgumentError for another mode or arrays of integers.
    """
    image = check_image("convolve", "image", image)
    kernel = check_kernel("convolve", kernel)
    if mode not in ("valid", "same"):
        raise ArgumentError(f'convolve: mode must be "valid" or "same", got {mode!r}')
    rows, columns = kernel.shape
    if mode == "same":
        image = pad_reflect(image, rows // 2, columns // 2)
    height, width = image.shape[1:]
    if rows > height or columns > width:
        raise ShapeError(
            f"convolve: a {rows}x{columns} kernel needs an image at least as large in mode "
            f'"valid", got {height}x{width}'
        )
    # A transform of the image's own size wraps round at the borders, but only into the first
    # rows - 1 rows and columns - 1 columns, which are cut away: no zero padding is needed.
    size = (_fast_length(height), _fast_length(width))
    spectrum = np.fft.rfft2(image, s=size) * np.fft.rfft2(kernel, s=size)
    blurred = np.fft.irfft2(spectrum, s=size)[:, rows - 1 : height, columns - 1 : width]
    return blurred.astype(np.float32, copy=False)


def _fast_length(length: int) -> int:
    """Return the least n >= length without prime factors above 5, where the FFT is fastest."""
    while True:
        rest = length
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return length
        length += 1


def pad_reflect(image: FloatArray, rows: int, columns: int) -> FloatArray:
    """Mirror a (C, H, W) image at its borders, `rows` above and below, `columns` at each side."""
    return np.pad(image, ((0, 0), (rows, rows), (columns, columns)), mode="reflect")


def add_noise(image: FloatArray, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Return image + n, with n white Gaussian noise of standard deviation `sigma` (white is 1).

    Nothing is clipped here, so n has mean 0 everywhere; `quantize` clips. With sigma = 0 as many
    random numbers are drawn as otherwise, so a seed means the same kernels with and without noise.
    Raises ArgumentError for a negative sigma.
    """
    image = check_image("add_noise", "image", image)
    check_not_negative("add_noise", "sigma", sigma)
    noise = rng.standard_normal(image.shape, dtype=np.float32)
    noise *= sigma
    noise += image
    return noise


def quantize(image: FloatArray) -> FloatArray:
    """Take an image to 8 bits and back, as a file would: clip to [0, 1], round to k / 255.

    It rounds to the nearest level. Truncating, as a bare cast to uint8 does, would darken every
    picture by half a level on average.
    """
    image = check_image("quantize", "image", image)
    levels = np.rint(np.clip(image, 0, 1) * 255)
    return (levels / 255).astype(np.float32, copy=False)


def degrade(
    sharp: FloatArray,
    kernel: FloatArray,
    sigma: float,
    rng: np.random.Generator,
    eight_bit: bool = True,
    photon_gain: float = 0.0,
) -> tuple[FloatArray, FloatArray]:
    """Return the blurry picture h * I_S + n, and the part of `sharp` that it shows.

    The convolution is "valid": half a kernel is lost on each side, and no invented border enters
    the pair. Both results are (C, H - rows + 1, W - columns + 1); the second is a view of `sharp`.
    Without `eight_bit` the result is neither rounded nor clipped. With `photon_gain` above 0, the noise
    of light itself comes before that of the sensor.
    Raises what `convolve`, `photon_noise` and `add_noise` raise.
    """
    sharp, kernel = check_image("degrade", "sharp", sharp), check_kernel("degrade", kernel)
    blurry = convolve(sharp, kernel, "valid")
    if photon_gain:
        blurry = photon_noise(blurry, photon_gain, rng)
    blurry = add_noise(blurry, sigma, rng)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    centre = sharp[:, top : sharp.shape[1] - top, left : sharp.shape[2] - left]
    return (quantize(blurry) if eight_bit else blurry), centre


def average_frames(frames: Iterable[FloatArray], gamma: float = GAMMA) -> FloatArray:
    """The blurry picture of a long exposure: the mean of a video's successive frames, in linear light.

        I_B = g( mean_k g^-1(I_k) ),   g(x) = x^(1 / gamma)

    Light adds up, and encoded values do not: without g^-1, moving highlights come out too dark. From Nah
    et al., "Deep multi-scale convolutional neural network for dynamic scene deblurring" (CVPR 2017),
    equations 1 and 2, with their gamma of 2.2 for a camera whose curve is unknown. Their sharp picture is
    the frame in the middle.

    Frames are (C, H, W) in [0, 1] and all of one shape; float32 (C, H, W) comes back. Raises ShapeError
    for other shapes, ArgumentError without frames or unless gamma > 0.
    """
    check_positive("average_frames", "gamma", gamma)
    total, count = np.zeros(0), 0
    for frame in frames:
        frame = check_image("average_frames", "frame", frame)
        if count and frame.shape != total.shape:
            raise ShapeError(
                f"average_frames: frames must have one shape, got {total.shape} and {frame.shape}"
            )
        light = np.clip(frame, 0, 1).astype(np.float64) ** gamma
        total, count = (total + light if count else light), count + 1
    if not count:
        raise ArgumentError("average_frames: frames must hold at least one frame, got 0")
    return ((total / count) ** (1 / gamma)).astype(np.float32)


# ---------------------------------------------------------------------- settings


class DrawnKernel(NamedTuple):
    """A kernel and what was drawn to make it."""

    weights: FloatArray
    facts: dict[str, Any]


MODELS = ("motion", "defocus", "gaussian")


@dataclass(frozen=True)
class BlurSettings:
    """How pictures are blurred: kinds of kernels and their sizes in pixels, noise (white is 1), JPEG.

    min_length, max_length  of the trajectory of a shaking camera
    sigma                   standard deviation of the sensor's noise; with `max_sigma`, the least
    exposure                share of each trajectory that falls on the sensor; None draws it for each
                            kernel from `EXPOSURES`, so that slight blur, which a restorer must not
                            spoil, occurs as well
    models                  which of `MODELS`, with commas between, and how often: "motion,defocus" has
                            equal shares of both, "motion=3,defocus=1" has three of four moved
    min_radius, max_radius  of the disc of a lens out of focus
    min_spread, max_spread  standard deviation of a Gaussian
    max_sigma               None, or `sigma` is drawn for each picture, uniformly up to here
    photon_gain             noise that grows with the light: `camera.photon_noise`; 0 is none
    min_quality, max_quality  of JPEG, drawn for each picture; None leaves it uncompressed

    Sizes are drawn uniformly, both ends included. Raises ArgumentError for what makes no sense.
    """

    min_length: float = 4.0
    max_length: float = 12.0
    sigma: float = 2 / 255
    exposure: float | None = None
    models: str = "motion"
    min_radius: float = 0.5
    max_radius: float = 4.0
    min_spread: float = 0.5
    max_spread: float = 2.0
    max_sigma: float | None = None
    photon_gain: float = 0.0
    min_quality: int | None = None
    max_quality: int | None = None

    def __post_init__(self) -> None:
        where = "BlurSettings"
        for size in ("length", "radius", "spread"):
            low, high = getattr(self, f"min_{size}"), getattr(self, f"max_{size}")
            check_positive(where, f"min_{size}", low)
            check_positive(where, f"max_{size}", high)
            if low > high:
                raise ArgumentError(
                    f"{where}: min_{size} must not exceed max_{size}, got {low} and {high}"
                )
        check_not_negative(where, "sigma", self.sigma)
        check_not_negative(where, "photon_gain", self.photon_gain)
        check_exposure(where, self.exposure)
        if self.max_sigma is not None:
            check_not_negative(where, "max_sigma", self.max_sigma)
            if self.max_sigma < self.sigma:
                raise ArgumentError(
                    f"{where}: sigma must not exceed max_sigma, got {self.sigma} and {self.max_sigma}"
                )
        qualities = self.min_quality, self.max_quality
        if qualities != (None, None) and not _are_qualities(*qualities):
            raise ArgumentError(
                f"{where}: min_quality and max_quality must both be None, or whole numbers from 1 to 95 "
                f"in order, got {qualities[0]!r} and {qualities[1]!r}"
            )
        _shares(self.models)

    @property
    def margin(self) -> int:
        """How many pixels a sharp crop must carry on each side beyond what its blurry twin shows.

        A crop of P + 2 margin pixels becomes a pair of P pixels, whatever kernel is drawn.
        """
        radii = {
            "motion": kernel_radius(self.max_length),
            "defocus": math.ceil(self.max_radius),
            "gaussian": gaussian_radius(self.max_spread),
        }
        return max(radii[model] for model in _shares(self.models))

    def draw_kernel(self, rng: np.random.Generator) -> FloatArray:
        """Draw a kernel of 2 margin + 1 pixels square, its model by its share and its size uniform."""
        return self._drawn_kernel(rng).weights

    def draw(self, rng: np.random.Generator, sharp: FloatArray) -> Degraded:
        """Blur a sharp crop of P + 2 margin pixels by a kernel of its own: a pair of P pixels."""
        return self._photographed(rng, sharp, self._drawn_kernel(rng))

    def prepared(self, rng: np.random.Generator, kernels: int = 2000) -> PreparedBlur:
        """The same blur with kernels drawn beforehand.

        Drawing a kernel takes as long as blurring with it; some thousands of them, on crops that are
        flipped and turned, repeat so rarely that nothing is lost.
        """
        return PreparedBlur(self, [self._drawn_kernel(rng) for _ in range(kernels)])

    def _drawn_kernel(self, rng: np.random.Generator) -> DrawnKernel:
        shares = _shares(self.models)
        model = next(iter(shares))
        if len(shares) > 1:  # a single model draws nothing here
            model = str(rng.choice(list(shares), p=list(shares.values())))
        if model == "motion":
            length = float(rng.uniform(self.min_length, self.max_length))
            weights = motion_kernel(rng, length, self.exposure, radius=self.margin)
            return DrawnKernel(weights, {"model": model, "length": length})
        if model == "defocus":
            radius = float(rng.uniform(self.min_radius, self.max_radius))
            weights = defocus_kernel(radius, canvas=self.margin)
            return DrawnKernel(weights, {"model": model, "radius": radius})
        spread = float(rng.uniform(self.min_spread, self.max_spread))
        weights = gaussian_kernel(spread, canvas=self.margin)
        return DrawnKernel(weights, {"model": model, "spread": spread})

    def _photographed(
        self, rng: np.random.Generator, sharp: FloatArray, kernel: DrawnKernel
    ) -> Degraded:
        """Blur, photons, the sensor's noise, 8 bits, JPEG: in the order in which they come about."""
        sigma = self.sigma
        if self.max_sigma is not None:
            sigma = float(rng.uniform(self.sigma, self.max_sigma))
        facts = {**kernel.facts, "sigma": sigma}
        blurry, centre = degrade(sharp, kernel.weights, sigma, rng, photon_gain=self.photon_gain)
        if self.min_quality is not None and self.max_quality is not None:
            quality = int(rng.integers(self.min_quality, self.max_quality + 1))
            facts["jpeg_quality"], blurry = quality, jpeg(blurry, quality)
        return Degraded(blurry, centre, kernel.weights, facts)


@dataclass(frozen=True)
class PreparedBlur:
    """Blur by one of `kernels`, which were drawn beforehand: a `Degradation` as its settings are."""

    settings: BlurSettings
    kernels: Sequence[DrawnKernel]

    @property
    def margin(self) -> int:
        """That of the settings."""
        return self.settings.margin

    def draw(self, rng: np.random.Generator, sharp: FloatArray) -> Degraded:
        """Blur a sharp crop of P + 2 margin pixels by any of the kernels: a pair of P pixels."""
        kernel = self.kernels[int(rng.integers(len(self.kernels)))]
        return self.settings._photographed(rng, sharp, kernel)

    def prepared(self, rng: np.random.Generator) -> PreparedBlur:
        """Itself."""
        return self


def _shares(models: str) -> dict[str, float]:
    """What `BlurSettings.models` means: the probability of each model, in the order given."""
    weights: dict[str, float] = {}
    for part in str(models).split(","):
        name, _, weight = (word.strip() for word in part.partition("="))
        try:
            value = float(weight or 1)
        except ValueError:
            value = -1.0
        if name not in MODELS or name in weights or not 0 < value < math.inf:
            needed = (
                f"some of {', '.join(MODELS)}, each once, with commas between and positive weights: "
                "motion,defocus or motion=3,defocus=1"
            )
            raise SettingError("BlurSettings", "models", models, needed)
        weights[name] = value
    total = sum(weights.values())
    return {name: weight / total for name, weight in weights.items()}


def _are_qualities(low: object, high: object) -> bool:
    return isinstance(low, int) and isinstance(high, int) and 1 <= low <= high <= 95
