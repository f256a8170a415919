"""Writing TIFF with EXIF data, by tifffile: Pillow writes no such data beside compressed pixels."""

from __future__ import annotations

import os
import struct
from pathlib import Path
from typing import Any

import numpy as np

from minigan.core.errors import require
from minigan.images.exif import ORIENTATION, loaded, tables, texts

_LONG = 4  # TIFF 6.0, section 2: a number of 32 bits


def write_tiff(
    path: str | os.PathLike[str],
    levels: np.ndarray,
    profile: bytes | None,
    exif: bytes | None,
    dpi: tuple[float, float] | None = None,
) -> None:
    """Write uint8 or uint16 (H, W, C), C = 2 or 4 with alpha, in strips that zlib has compressed.

    tifffile does not write the pointers to the tables of EXIF. So it writes a number of no meaning in
    their places, with the tag before theirs, and both become what they should be in the end.
    """
    tifffile = require("tifffile", "deblur", "write TIFF")
    channels = levels.shape[-1]
    data = None if exif is None else loaded(exif)
    found = {} if data is None else tables(data)
    entries: list[tuple[int, str, int, Any, bool]] = [(ORIENTATION, "H", 1, 1, True)]
    entries += [(table - 1, "I", 1, 0, True) for table in found]
    if data is not None:
        entries += [(tag, "s", 0, text, True) for tag, text in texts(data).items()]
    tifffile.imwrite(
        path,
        levels[:, :, 0] if channels == 1 else levels,
        byteorder="<",
        photometric="rgb" if channels > 2 else "minisblack",
        planarconfig="contig" if channels > 1 else None,
        extrasamples=["unassalpha"] if channels in (2, 4) else None,
        compression="zlib",
        predictor=True,
        rowsperstrip=max(1, (1 << 18) // (levels[0].nbytes)),
        metadata=None,
        software=False,
        iccprofile=profile,
        resolution=dpi,
        resolutionunit=None if dpi is None else "INCH",
        extratags=entries,
    )
    if found:
        with tifffile.TiffFile(path) as file:
            places = {table: file.pages[0].tags[table - 1].offset for table in found}
        _append(Path(path), found, places)


def _append(path: Path, found: dict[int, dict[int, Any]], places: dict[int, int]) -> None:
    """Put the tables at the file's end, and pointers to them in their places."""
    plugin = require("PIL.TiffImagePlugin", "deblur", "write EXIF data")
    with path.open("r+b") as file:
        for table, entries in found.items():
            directory = plugin.ImageFileDirectory_v2(prefix=b"II")
            directory.update(entries)
            start = file.seek(0, os.SEEK_END)
            start += start % 2  # TIFF 6.0, section 2: tables begin at even places
            file.seek(start)
            file.write(directory.tobytes(start))
            file.seek(places[table])
            file.write(struct.pack("<HHLL", table, _LONG, 1, start))
