"""Before and after on one picture: both whole, and below, at full size, the place with most detail."""

from __future__ import annotations

import numpy as np

from minigan.core.errors import require
from minigan.images import Levels

SIDE = 800  # pixels: how wide and high each of the two is at most
_MARGIN, _CAPTION = 8, 28
_GRAIN = 8  # pixels: detail is what differs between squares of this side; within them is noise, too


def comparison(before: Levels, after: Levels) -> Levels:
    """The two pictures side by side, each with its caption, in 8 bits; the transparency is left out.

    Pictures larger than `SIDE` are shown smaller, and so both look alike: there, a second row shows a
    part of each at full size.
    """
    pictures = [before.values, after.values]
    height, width = before.values.shape[:2]
    rows = [[_smaller(values) for values in pictures]]
    if max(height, width) > SIDE:
        part = min(SIDE, width, rows[0][0].shape[1]), min(SIDE * 3 // 4, height)
        top, left = _most_detail(after.values, part[1], part[0])
        cut = slice(top, top + part[1]), slice(left, left + part[0])
        rows.append([_as_8_bits(values[cut]) for values in pictures])
    sheet = _sheet(rows)
    return Levels(_captioned(sheet, rows[0][0].shape[1]), None, before.profile)


def _as_8_bits(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else (values // 257).astype(np.uint8)


def _smaller(values: np.ndarray) -> np.ndarray:
    """The picture within `SIDE` pixels, as means of squares of pixels."""
    factor = -(-max(values.shape[:2]) // SIDE)
    if factor == 1 or min(values.shape[:2]) < factor:
        return _as_8_bits(values)
    return np.rint(_means(values, factor)).astype(np.uint8)


def _means(values: np.ndarray, side: int) -> np.ndarray:
    """The means of squares of pixels, 255 for white; row by row of them, to save memory."""
    height, width, channels = values.shape
    columns = width // side
    means = np.empty((height // side, columns, channels), np.float32)
    for i, row in enumerate(means):
        strip = values[i * side : (i + 1) * side, : columns * side]
        strip.reshape(side, columns, side, channels).mean(axis=(0, 2), out=row, dtype=np.float32)
    means *= np.float32(255 / np.iinfo(values.dtype).max)
    return means


def _most_detail(values: np.ndarray, height: int, width: int) -> tuple[int, int]:
    """Top and left of the part of this size with the most detail, on a coarse grid."""
    squares = _means(values, _GRAIN).sum(axis=2)
    if min(squares.shape) < 2:
        return 0, 0
    detail = np.abs(np.diff(squares, axis=0))[:, :-1] + np.abs(np.diff(squares, axis=1))[:-1]
    h, w = (min(max(n // _GRAIN, 1), m) for n, m in zip((height, width), detail.shape, strict=True))
    sums = np.pad(detail, ((1, 0), (1, 0))).cumsum(0, np.float64).cumsum(1)
    sums = sums[h:] - sums[: len(sums) - h]
    sums = sums[:, w:] - sums[:, : sums.shape[1] - w]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    bottom, right = values.shape[0] - height, values.shape[1] - width
    return min(int(top) * _GRAIN, bottom), min(int(left) * _GRAIN, right)


def _sheet(rows: list[list[np.ndarray]]) -> np.ndarray:
    """White, with room for captions above, and the pictures in their places."""
    widest = max(picture.shape[1] for row in rows for picture in row)
    height = _CAPTION + sum(row[0].shape[0] + _MARGIN for row in rows)
    channels = rows[0][0].shape[2]
    sheet = np.full((height, 2 * widest + 3 * _MARGIN, channels), 255, np.uint8)
    top = _CAPTION
    for row in rows:
        for place, picture in enumerate(row):
            left = _MARGIN + place * (widest + _MARGIN)
            sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture
        top += row[0].shape[0] + _MARGIN
    return sheet


def _captioned(sheet: np.ndarray, width: int) -> np.ndarray:
    pillow = require("PIL.Image", "deblur", "draw captions")
    fonts = require("PIL.ImageFont", "deblur", "draw captions")
    draw = require("PIL.ImageDraw", "deblur", "draw captions")
    image = pillow.fromarray(sheet[:, :, 0] if sheet.shape[2] == 1 else sheet)
    for place, caption in enumerate(("before", "restored")):
        left = _MARGIN + place * (width + _MARGIN)
        draw.Draw(image).text((left, 4), caption, fill=0, font=fonts.load_default(18))
    return np.atleast_3d(np.asarray(image))
