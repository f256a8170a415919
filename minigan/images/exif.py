"""EXIF data: how a photograph is turned, and what is said of it that stays true when it is restored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minigan.core.errors import require

if TYPE_CHECKING:
    from PIL.Image import Exif
    from PIL.Image import Image as PillowImage

# Tags of the EXIF standard (CIPA DC-008), which it shares with TIFF.
DESCRIPTION, ORIENTATION, PHOTO, PLACE = 0x010E, 0x0112, 0x8769, 0x8825
_TEXTS = (
    DESCRIPTION,
    0x010F,  # make
    0x0110,  # model
    0x0131,  # software
    0x0132,  # date and time
    0x013B,  # artist
    0x8298,  # copyright
)
_WIDTH, _HEIGHT = 0xA002, 0xA003
_INTEROPERABILITY = 0xA005  # points to a table of its own, which is not kept


def orientation_of(image: PillowImage) -> int:
    """How the stored picture is to be turned, 1 to 8; 1, not at all, where the data are damaged."""
    try:
        found = image.getexif().get(ORIENTATION, 1)
        return found if found in range(1, 9) else 1
    except Exception:  # unreadable notes about a picture do not make the picture unreadable
        return 1


def kept_exif(image: PillowImage, height: int, width: int) -> bytes | None:
    """The EXIF data of a picture for its restored twin, upright, or None where there are none.

    Kept are the texts (date, camera, author and the like), the table of the exposure and the place. A
    preview, which shows the picture as it was, is not.
    """
    pillow = require("PIL.Image", "deblur", "read pictures")
    try:
        found, kept = image.getexif(), pillow.Exif()
        for tag in _TEXTS:
            if found.get(tag):
                kept[tag] = found[tag]
        for table in (PHOTO, PLACE):
            entries = dict(found.get_ifd(table))
            entries.pop(_INTEROPERABILITY, None)
            if entries:
                kept[table] = entries
        if not len(kept):
            return None
        if {_WIDTH, _HEIGHT} & set(kept.get(PHOTO, {})):
            kept[PHOTO] |= {_WIDTH: width, _HEIGHT: height}
        kept[ORIENTATION] = 1
        return kept.tobytes()
    except Exception:  # damaged notes are lost; the picture is not
        return None


def loaded(exif: bytes) -> Exif:
    """The tables of EXIF data."""
    data = require("PIL.Image", "deblur", "read pictures").Exif()
    data.load(exif)
    return data


def texts(data: Exif) -> dict[int, str]:
    """The entries of the first table that are text."""
    return {tag: value for tag in _TEXTS if isinstance(value := data.get(tag), str)}


def tables(data: Exif) -> dict[int, dict[int, Any]]:
    """The tables of exposure and place, those that there are."""
    return {tag: dict(entries) for tag in (PHOTO, PLACE) if (entries := data.get_ifd(tag))}
