"""A backward pass as a page that one can step through."""

from minigan.explain.record import recording
from minigan.explain.tracing import Trace, trace

__all__ = ["Trace", "recording", "trace"]
