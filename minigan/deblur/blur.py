"""The blur model of the library, I_B = h * I_S + n: camera shake, convolution, noise, 8 bits.

I_S is the sharp picture, h the blur kernel (point-spread function, PSF), * convolution, n sensor
noise and I_B the blurry picture. Pictures are float32 of shape (C, H, W) with values in [0, 1];
kernels are float32 of shape (rows, columns), both odd. Only NumPy is needed. Whatever is random
takes a `numpy.random.Generator`: the same generator state gives the same bits.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from minigan.core.errors import ArgumentError, ShapeError

FloatArray = NDArray[np.float32]

# The ranges of the forces that shake the camera, from the code published with "DeblurGAN" (Kupyn et
# al., CVPR 2018), which takes its trajectories from Boracchi and Foi.
SHAKINESS = (0.01, 0.009, 0.008, 0.007, 0.005, 0.003)
MAX_PULL = 0.7  # towards the starting point, per pixel of distance
MAX_JERK_RATE = 0.2  # times the shakiness: the probability of a jerk at one step
MAX_TREMOR = 10.0  # standard deviation of the Gaussian push, in steps
# The shutter may close before the hand has gone the whole way.
EXPOSURES = (0.1, 0.5, 1.0)


def motion_trajectory(
    rng: np.random.Generator, length: float, steps: int = 2000
) -> NDArray[np.complex128]:
    """Draw the path of a shaking camera: `steps` positions x + iy in pixels, starting at 0.

    Boracchi and Foi, "Modeling the performance of image restoration from motion blur" (IEEE TIP
    21(8), 2012). A particle goes `length` pixels in steps - 1 moves of one size. Before each move,
    with d its direction (|d| = 1), x its position, U uniform in [0, 1) and N standard normal,

        d <- d + 2 d exp(i (pi + U - 1/2))  with probability p e: a jerk that turns it about
             + e (g (N + iN) - c x)         a tremor, and a pull back to the start
        d <- d / |d|

    e is drawn from `SHAKINESS`; c, p and g, once for the path, uniformly from 0 to `MAX_PULL`,
    `MAX_JERK_RATE` and `MAX_TREMOR`. (The sources write the velocity, v = d length / (steps - 1).)
    The forces act once per move, so `steps` belongs to the model: with fewer, paths are straighter.

    Raises ArgumentError unless length > 0 and steps >= 2.
    """
    _check_positive("motion_trajectory", "length", length)
    if steps < 2:
        raise ArgumentError(f"motion_trajectory: steps must be at least 2, got {steps}")
    moves = steps - 1
    step = length / moves
    shakiness = float(rng.choice(SHAKINESS))
    pull = shakiness * MAX_PULL * rng.random()
    jerk_probability = shakiness * MAX_JERK_RATE * rng.random()
    tremor = shakiness * MAX_TREMOR * rng.random()
    angle = 2 * math.pi * rng.random()

    jerks = rng.random(moves) < jerk_probability
    turns = 1 + jerks * 2 * np.exp(1j * (np.pi + rng.random(moves) - 0.5))
    pushes = tremor * (rng.standard_normal(moves) + 1j * rng.standard_normal(moves))

    # Each move depends on the one before. Python's own complex numbers go through such a loop
    # several times faster than NumPy's scalars.
    position = 0j
    direction = complex(math.cos(angle), math.sin(angle))
    path = [position]
    for turn, push in zip(turns.tolist(), pushes.tolist(), strict=True):
        direction = turn * direction + push - pull * position
        direction /= abs(direction)
        position += step * direction
        path.append(position)
    return np.array(path)


def kernel_radius(length: float) -> int:
    """Return the radius in pixels of a square that holds every kernel of trajectory `length`.

    No point of a path of length L is farther than L/2 from the path's centre of mass: the mean
    distance along the path from any of its points to the others is at most L/2.
    """
    _check_positive("kernel_radius", "length", length)
    return math.ceil(length / 2)


def motion_kernel(
    rng: np.random.Generator,
    length: float,
    exposure: float | None = None,
    *,
    radius: int | None = None,
) -> FloatArray:
    """Draw a camera-shake kernel: float32, (2 radius + 1, 2 radius + 1), non-negative, sum 1.

    A trajectory of `length` pixels is drawn, and the share `exposure` of it, from its start, falls
    on the sensor; without `exposure` the share is drawn from `EXPOSURES`. The same generator state
    therefore gives the same path at each exposure. The kernel's centre of mass lies at its
    central pixel, so that blurring moves nothing, and a picture restored from it sits where the
    sharp one sits.

    `radius` asks for a larger canvas than `kernel_radius(length)`, the default.
    Raises ArgumentError unless length > 0, 0 < exposure <= 1 and radius is large enough.
    """
    needed = kernel_radius(length)
    radius = needed if radius is None else radius
    if radius < needed:
        raise ArgumentError(
            f"motion_kernel: a trajectory of {length} pixels needs a radius of at least {needed}, "
            f"got {radius}"
        )
    _check_exposure("motion_kernel", exposure)
    path = motion_trajectory(rng, length)
    share = float(rng.choice(EXPOSURES)) if exposure is None else exposure
    exposed = path[: max(1, round(share * len(path)))]
    return _splat(exposed - exposed.mean(), radius)


def _splat(points: NDArray[np.complex128], radius: int) -> FloatArray:
    """Share the weight of each point between its four pixels, bilinearly, and divide by the sum.

    Bilinear weights keep the centre of mass. Dividing by the sum, and doing nothing else (no
    stretching from the minimum to the maximum, as some ports do), keeps a picture's brightness.
    """
    # One more pixel on each side takes what rounding pushes over the rim: weights of some 1e-16.
    size = 2 * (radius + 1) + 1
    x, y = points.real + radius + 1, points.imag + radius + 1
    column, row = np.floor(x).astype(np.intp), np.floor(y).astype(np.intp)
    right, below = x - column, y - row
    canvas = np.zeros(size * size)
    for row_step, row_weight in ((0, 1 - below), (1, below)):
        for column_step, column_weight in ((0, 1 - right), (1, right)):
            pixel = (row + row_step) * size + column + column_step
            canvas += np.bincount(pixel, row_weight * column_weight, minlength=size * size)
    kernel = canvas.reshape(size, size)[1:-1, 1:-1]
    return (kernel / kernel.sum()).astype(np.float32)


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
    _check_not_negative("add_noise", "sigma", sigma)
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
) -> tuple[FloatArray, FloatArray]:
    """Return the blurry picture h * I_S + n, and the part of `sharp` that it shows.

    The convolution is "valid": half a kernel is lost on each side, and no invented border enters
    the pair. Both results are (C, H - rows + 1, W - columns + 1); the second is a view of `sharp`.
    Without `eight_bit` the result is neither rounded nor clipped.
    Raises what `convolve` and `add_noise` raise.
    """
    sharp, kernel = check_image("degrade", "sharp", sharp), check_kernel("degrade", kernel)
    blurry = add_noise(convolve(sharp, kernel, "valid"), sigma, rng)
    top, left = kernel.shape[0] // 2, kernel.shape[1] // 2
    centre = sharp[:, top : sharp.shape[1] - top, left : sharp.shape[2] - left]
    return (quantize(blurry) if eight_bit else blurry), centre


@dataclass(frozen=True)
class BlurSettings:
    """How pictures are blurred: trajectory lengths in pixels, noise (white is 1), exposure.

    `exposure` is the share of each trajectory that falls on the sensor; None draws it for each
    kernel from `EXPOSURES`, so that slight blur, which a restorer must not spoil, occurs as well.
    Raises ArgumentError unless 0 < min_length <= max_length, sigma >= 0 and 0 < exposure <= 1.
    """

    min_length: float = 4.0
    max_length: float = 12.0
    sigma: float = 2 / 255
    exposure: float | None = None

    def __post_init__(self) -> None:
        _check_positive("BlurSettings", "min_length", self.min_length)
        _check_positive("BlurSettings", "max_length", self.max_length)
        _check_not_negative("BlurSettings", "sigma", self.sigma)
        _check_exposure("BlurSettings", self.exposure)
        if self.min_length > self.max_length:
            raise ArgumentError(
                f"BlurSettings: min_length must not exceed max_length, got {self.min_length} and "
                f"{self.max_length}"
            )

    @property
    def margin(self) -> int:
        """How many pixels a sharp crop must carry on each side beyond what its blurry twin shows.

        A crop of P + 2 margin pixels becomes a pair of P pixels, whatever kernel is drawn.
        """
        return kernel_radius(self.max_length)

    def draw_kernel(self, rng: np.random.Generator) -> FloatArray:
        """Draw a kernel of 2 margin + 1 pixels square, its trajectory's length uniform."""
        length = float(rng.uniform(self.min_length, self.max_length))
        return motion_kernel(rng, length, self.exposure, radius=self.margin)


def check_image(where: str, name: str, image: Any) -> FloatArray:
    """Return `image` as float32, or say which shape or type `where` wanted for `name`.

    Raises ShapeError unless it is (C, H, W) with something in it, ArgumentError if its values are
    not floating-point: 0 to 255 in bytes would pass for a very bright picture.
    """
    array = np.asarray(image)
    if array.ndim != 3 or array.size == 0:
        raise ShapeError(f"{where}: {name} must have shape (C, H, W), got {array.shape}")
    if not np.issubdtype(array.dtype, np.floating):
        raise ArgumentError(
            f"{where}: {name} must hold floating-point values in [0, 1], got {array.dtype}"
        )
    return array.astype(np.float32, copy=False)


def check_kernel(where: str, kernel: Any) -> FloatArray:
    """Return `kernel` as float32, or raise ShapeError unless it is (rows, columns), both odd.

    Only an odd kernel has a central pixel; an even one would shift the picture by half a pixel.
    """
    array = np.asarray(kernel)
    if array.ndim != 2 or array.shape[0] % 2 == 0 or array.shape[1] % 2 == 0:
        raise ShapeError(
            f"{where}: kernel must have an odd number of rows and of columns, got {array.shape}"
        )
    return array.astype(np.float32, copy=False)


def _check_positive(where: str, name: str, value: float) -> None:
    if not (value > 0 and math.isfinite(value)):
        raise ArgumentError(f"{where}: {name} must be finite and above 0, got {value!r}")


def _check_not_negative(where: str, name: str, value: float) -> None:
    if not (value >= 0 and math.isfinite(value)):
        raise ArgumentError(f"{where}: {name} must be finite and not below 0, got {value!r}")


def _check_exposure(where: str, exposure: float | None) -> None:
    if exposure is not None and not 0 < exposure <= 1:
        raise ArgumentError(f"{where}: exposure must be None or in (0, 1], got {exposure!r}")
