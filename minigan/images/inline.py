"""Pictures inside addresses, for pages of one file."""

from __future__ import annotations

import base64
import io

import numpy as np

from minigan.core.errors import require


def png_address(levels: np.ndarray) -> str:
    """Bytes (H, W, C), C = 1 or 3, or (H, W), as a PNG file inside an address."""
    pillow = require("PIL.Image", "deblur", "put pictures into a page")
    stream = io.BytesIO()
    grey = levels.ndim == 3 and levels.shape[2] == 1
    pillow.fromarray(levels[:, :, 0] if grey else levels).save(stream, "PNG", optimize=True)
    return address_of_png(stream.getvalue())


def address_of_png(file: bytes) -> str:
    """A PNG file inside an address."""
    return f"data:image/png;base64,{base64.b64encode(file).decode('ascii')}"
