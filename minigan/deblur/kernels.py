"""Blur kernels: the path of a shaking camera, a lens out of focus, a Gaussian.

A kernel is float32 (rows, columns), both odd, non-negative, with the sum 1, and its centre of mass lies
at its central pixel: blurring changes no brightness and moves nothing. Whatever is random takes a
`numpy.random.Generator`: the same generator state gives the same bits.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from minigan.core.errors import ArgumentError
from minigan.deblur.checks import FloatArray, check_exposure, check_positive

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
    check_positive("motion_trajectory", "length", length)
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
    check_positive("kernel_radius", "length", length)
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
    check_exposure("motion_kernel", exposure)
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


def defocus_kernel(radius: float, *, canvas: int | None = None) -> FloatArray:
    """The disc that a point becomes when the lens is out of focus: float32, 2 canvas + 1 pixels square.

    In geometrical optics a lens with a round aperture spreads a point evenly over a disc, the circle of
    confusion (Potmesil and Chakravarty, "A lens and aperture camera model for synthetic image
    generation", SIGGRAPH 1981, section 3). Each pixel gets the exact share of the disc's area that lies
    in it, so a `radius` in pixels may be any fraction, and the rim has no steps.

    `canvas` asks for more than ceil(radius) pixels on each side of the central one. Raises ArgumentError
    unless radius > 0 and the canvas holds the disc.
    """
    check_positive("defocus_kernel", "radius", radius)
    canvas = _canvas("defocus_kernel", f"a disc of radius {radius}", math.ceil(radius), canvas)
    edges = np.arange(2 * canvas + 2, dtype=np.float64) - canvas - 0.5
    corner = _disc_area(edges[:, None], edges[None, :], radius)
    shares = np.diff(np.diff(corner, axis=0), axis=1).clip(0)
    return (shares / shares.sum()).astype(np.float32)


def _disc_area(
    x: NDArray[np.float64], y: NDArray[np.float64], radius: float
) -> NDArray[np.float64]:
    """The area of the disc round (0, 0) that lies between (0, 0) and (x, y), signed like x y.

    Where the corner lies in the disc, x y. Otherwise the rectangle up to the column in which its upper
    side leaves the disc, and from there the area under the circle, of which an antiderivative is
    (t sqrt(r^2 - t^2) + r^2 arcsin(t / r)) / 2.
    """
    a, b = np.minimum(np.abs(x), radius), np.minimum(np.abs(y), radius)

    def under_the_circle(t: NDArray[np.float64]) -> NDArray[np.float64]:
        return (t * np.sqrt((radius - t) * (radius + t)) + radius**2 * np.arcsin(t / radius)) / 2

    leaves = np.minimum(np.sqrt((radius - b) * (radius + b)), a)  # b is at most the radius
    area = leaves * b + under_the_circle(a) - under_the_circle(leaves)
    return np.sign(x) * np.sign(y) * area


def gaussian_radius(spread: float) -> int:
    """Pixels of a Gaussian that are kept on each side: three standard deviations, 99.7 % of a line."""
    check_positive("gaussian_radius", "spread", spread)
    return math.ceil(3 * spread)


def gaussian_kernel(spread: float, *, canvas: int | None = None) -> FloatArray:
    """A Gaussian of standard deviation `spread` in pixels: float32, 2 canvas + 1 pixels square.

    Each pixel gets the Gaussian's integral over it, a difference of error functions, which also holds for
    spreads far below a pixel; beyond `gaussian_radius` it is cut off and divided by its sum.

    `canvas` asks for a larger one. Raises ArgumentError unless spread > 0 and the canvas is large enough.
    """
    radius = gaussian_radius(spread)
    canvas = _canvas("gaussian_kernel", f"a Gaussian of spread {spread}", radius, canvas)
    edges = (np.arange(2 * radius + 2) - radius - 0.5) / (math.sqrt(2) * spread)
    line = np.diff([math.erf(edge) for edge in edges])
    kernel = np.pad(np.outer(line, line), canvas - radius)
    return (kernel / kernel.sum()).astype(np.float32)


def _canvas(where: str, what: str, needed: int, given: int | None) -> int:
    """The radius of the canvas: what is needed, or more where more was asked for."""
    if given is not None and given < needed:
        raise ArgumentError(
            f"{where}: {what} needs a canvas of at least {needed} pixels, got {given}"
        )
    return needed if given is None else given
