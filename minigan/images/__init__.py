"""Pictures as arrays: reading them, writing them, finding them, and laying them out in a sheet.

Networks and metrics take an image as a float32 array (C, H, W) with values in [0, 1]; C is 1 for grey
and 3 for red, green, blue. `read_image`, `read_picture` and `write_image` have that form.

Photographs that are restored stay in the whole numbers of their files, 8 or 16 bits, because floats
would take four times their memory. `read_levels` and `write_levels` have that form (`Levels`), and with
it what cameras and editors store besides: transparency, a colour profile, EXIF data.
"""

from minigan.images.finding import find_images
from minigan.images.formats import READ_SUFFIXES, WRITTEN_SUFFIXES
from minigan.images.levels import Header, Levels, Picture
from minigan.images.reading import (
    read_header,
    read_image,
    read_levels,
    read_picture,
    stored_size,
)
from minigan.images.sheet import image_grid, to_grey
from minigan.images.writing import check_image_path, losses, write_image, write_levels

__all__ = [
    "READ_SUFFIXES",
    "WRITTEN_SUFFIXES",
    "Header",
    "Levels",
    "Picture",
    "check_image_path",
    "find_images",
    "image_grid",
    "losses",
    "read_header",
    "read_image",
    "read_levels",
    "read_picture",
    "stored_size",
    "to_grey",
    "write_image",
    "write_levels",
]
