"""Networks as ONNX, the format that other programs run: a recorded run, written down as its graph.

record.py      what a network does, call by call
operations.py  the table: each operation of minigan as nodes of ONNX
graph.py       a graph that is being put together, and the model it becomes
"""

from minigan.export.graph import Graph, for_any_size

__all__ = ["Graph", "for_any_size"]
