"""What else the networks can learn on the same pairs, trainer and tables: other ways to spoil a picture.

deblur    the input is blurred and noisy (`minigan.deblur.blur.BlurSettings`)
superres  the input is a smaller picture, enlarged again by bicubic interpolation
sketch    the input is a drawing of the edges, grey on white
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from minigan.core.errors import ArgumentError, SettingError, require
from minigan.core.tensor import Array
from minigan.deblur.blur import BlurSettings, quantize
from minigan.deblur.degradation import Degradation, Degraded
from minigan.images import Levels, to_grey
from minigan.images.levels import as_levels

# By task, what a table calls the input itself.
INPUTS = {"deblur": "blurry input", "superres": "bicubic", "sketch": "the sketch"}
SCALES = 2, 4  # of super-resolution


def degradation_of(task: str, blur: BlurSettings, scale: int) -> Degradation:
    """How a task makes inputs of sharp pictures. Raises ArgumentError for one that there is not."""
    if task == "deblur":
        return blur
    if task == "superres":
        return Downscaling(scale)
    if task == "sketch":
        return Sketching()
    raise ArgumentError(f"there is no task {task!r}; it needs one of {', '.join(INPUTS)}")


@dataclass(frozen=True)
class Downscaling:
    """Super-resolution: pictures of 1 / scale of the size, enlarged again, both by bicubic interpolation.

    The smaller picture is rounded to 8 bits, as a file would be. (Pillow widens the cubic when it makes
    pictures smaller, so that nothing aliases.)
    """

    scale: int = 2

    def __post_init__(self) -> None:
        if self.scale not in SCALES:
            raise SettingError("super-resolution", "scale", self.scale, "2 or 4")

    @property
    def margin(self) -> int:
        """The two small pixels beyond the border that the cubic reaches for, and their own two."""
        return 4 * self.scale

    def draw(self, rng: np.random.Generator, sharp: Array) -> Degraded:
        """Of a sharp crop (3, P + 2 margin, Q + 2 margin), P and Q multiples of the scale, the middle."""
        height, width = (n // self.scale for n in sharp.shape[1:])
        small = quantize(resized(sharp, (height, width)))
        large = quantize(resized(small, sharp.shape[1:]))
        inside = np.s_[:, self.margin : -self.margin, self.margin : -self.margin]
        return Degraded(large[inside], sharp[inside], None, {"scale": self.scale})

    def prepared(self, rng: np.random.Generator) -> Downscaling:
        """Itself: nothing is costly."""
        return self


@dataclass(frozen=True)
class Sketching:
    """Sketch to photo: the edges of the luma, dark on white, in three equal channels.

    1 - min(1, STRENGTH |gradient|), of the luma smoothed by a Gaussian of 1 pixel, where the gradient is
    Sobel's (1 from black to white over two pixels).
    """

    @property
    def margin(self) -> int:
        """How far the smoothing (4 deviations) and the gradient look."""
        return 5

    def draw(self, rng: np.random.Generator, sharp: Array) -> Degraded:
        """A sharp crop (3, P + 2 margin, Q + 2 margin); nothing is drawn."""
        inside = np.s_[:, self.margin : -self.margin, self.margin : -self.margin]
        return Degraded(sketch(sharp)[inside], sharp[inside])

    def prepared(self, rng: np.random.Generator) -> Sketching:
        """Itself: nothing is costly."""
        return self


STRENGTH = 4.0


def sketch(picture: Array) -> Array:
    """The edges of a picture (3, H, W) in [0, 1], dark on white, rounded to 8 bits: the same shape."""
    filters = require("skimage.filters", "deblur", "draw sketches")
    luma = filters.gaussian(to_grey(picture)[0], 1.0, mode="reflect")
    edges = filters.sobel(luma, mode="reflect") * np.sqrt(2)
    drawing = quantize((1 - STRENGTH * edges).astype(np.float32)[None])
    return np.repeat(drawing, 3, axis=0)


def as_input(levels: Levels, task: str, enlargement: int) -> Levels:
    """What the restorer of a task gets of a picture as its file held it.

    For super-resolution it is enlarged by bicubic interpolation, its transparency with it; a sketch gets
    three channels, because its photograph will have colours.
    """
    if task == "sketch" and levels.values.shape[2] == 1:
        return replace(levels, values=np.repeat(levels.values, 3, axis=2))
    if enlargement == 1:
        return levels
    alpha = levels.alpha
    if alpha is not None:
        alpha = _enlarged(alpha[:, :, None], enlargement)[:, :, 0]
    return replace(levels, values=_enlarged(levels.values, enlargement), alpha=alpha)


def _enlarged(values: Array, times: int) -> Array:
    """Whole numbers (H, W, C), enlarged."""
    white = np.float32(np.iinfo(values.dtype).max)
    height, width, _ = values.shape
    large = [
        as_levels(resized(channel[None] / white, (times * height, times * width))[0], values.dtype)
        for channel in np.moveaxis(values, 2, 0)
    ]
    return np.stack(large, axis=2)


def resized(picture: Array, size: tuple[int, ...]) -> Array:
    """A picture (C, H, W) by bicubic interpolation at another (height, width), float32; not clipped."""
    pillow = require("PIL.Image", "deblur", "resize pictures")
    height, width = size
    channels = [
        pillow.fromarray(np.ascontiguousarray(channel, np.float32)).resize(
            (width, height), pillow.Resampling.BICUBIC
        )
        for channel in picture
    ]
    return np.stack([np.asarray(channel) for channel in channels])
