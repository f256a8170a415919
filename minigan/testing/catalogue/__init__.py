"""Every operation, described once: how to call it, what it should give, and what it must refuse.

The project's tests/test_catalogue.py derives all else from these entries and fails for an operation
without one.
"""

from . import convolution, elementwise, images, matrices, reductions, shapes  # noqa: F401
from .draws import Call
from .entry import CATALOGUE, Bad, Entry

__all__ = ["CATALOGUE", "Bad", "Call", "Entry"]
