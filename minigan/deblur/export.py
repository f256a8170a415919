"""A deblurring model as an ONNX file for pictures of any size, which needs nothing of minigan to run.

    blurry (N, 3, H, W) in [0, 1]  ->  restored (N, 3, H, W) in [0, 1]

The generator takes sides that are multiples of its scale. So the graph continues the picture by its
mirror image, as far as `minigan deblur restore` does, and cuts the result: without instance norm both
give the same, to rounding. With instance norm the statistics here are those of the whole picture;
restoring computes them on tiles of the size of the training crops.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from minigan.core.tensor import Array
from minigan.deblur.model import KIND, Model
from minigan.deblur.networks import SCALE, fixed_noise
from minigan.deblur.networks.parts import NOISE_PERIOD
from minigan.deblur.tiles import tiling_for
from minigan.export import Graph, for_any_size
from minigan.export.graph import examples

_AXES = ("batch", 3, "height", "width")
# Sides of the examples that the generator is recorded with, in its coarsest pixels.
_ROWS, _COLUMNS = (8, 10), (9, 7)


def onnx_model(model: Model, version: str) -> bytes:
    """The content of an ONNX file; `version` is minigan's, for the record.

    Raises ArgumentError where the generator has an operation that ONNX lacks, MissingExtraError without
    the package onnx.
    """
    rim = tiling_for(model, (model.crop, model.crop)).rim
    generator = model.generator.eval()
    parameters = dict(generator.named_tensors())
    noise_channels = model.generator_settings.noise_channels

    def build(example: Array) -> Graph:
        g = Graph()
        x = g.input("blurry", _AXES)
        sizes = [g.add("Shape", x, start=axis, end=axis + 1) for axis in (2, 3)]
        positions = [_positions(g, size, rim) for size in sizes]
        y = x
        for axis, size, places in zip((2, 3), sizes, positions, strict=True):
            y = g.add("Gather", y, _mirrored(g, places, size), axis=axis)
        inputs = {y: example[:, :3]}
        if noise_channels:
            inputs[_noise(g, x, noise_channels, positions)] = example[:, 3:]
        y = g.run(generator, inputs, parameters)
        first = g.constant([rim])
        for axis, size in zip((2, 3), sizes, strict=True):
            y = g.add("Slice", y, first, g.add("Add", first, size), g.constant([axis]))
        y = g.add("Clip", y, g.constant(0, "f4"), g.constant(1, "f4"))
        g.output(y, "restored", _AXES)
        return g

    rows, columns = (tuple(SCALE * n for n in side) for side in (_ROWS, _COLUMNS))
    graph = for_any_size(build, examples((2, 4), 3 + noise_channels, rows, columns))
    return graph.model("deblurring", version, _facts(model, version))


def _positions(g: Graph, size: str, rim: int) -> str:
    """The rows (or columns) that the generator sees: -rim ... a multiple of its scale + rim."""
    whole = g.add(
        "Div", g.add("Add", g.add("Squeeze", size), g.constant(SCALE - 1)), g.constant(SCALE)
    )
    end = g.add("Add", g.add("Mul", whole, g.constant(SCALE)), g.constant(rim))
    return g.add("Range", g.constant(-rim), end, g.constant(1))


def _mirrored(g: Graph, positions: str, size: str) -> str:
    """Positions folded into the picture, which is mirrored beyond its border, however far out.

    They have the period 2 (size - 1), and in its second half run backwards. A side of one pixel has the
    period 1.
    """
    one = g.constant(1)
    turning = g.add("Mul", g.add("Sub", g.add("Squeeze", size), one), g.constant(2))
    folded = g.add("Mod", positions, g.add("Max", turning, one))
    return g.add("Min", folded, g.add("Sub", turning, folded))


def _noise(g: Graph, x: str, channels: int, positions: Sequence[str]) -> str:
    """The noise images that the generator is used with, repeated over the picture and the batch."""
    period = np.arange(NOISE_PERIOD)
    y = g.constant(fixed_noise(channels, period, period)[None], np.float32, "noise")
    for axis, places in zip((2, 3), positions, strict=True):
        y = g.add("Gather", y, g.add("Mod", places, g.constant(NOISE_PERIOD)), axis=axis)
    batch = g.add("Shape", x, start=0, end=1)
    return g.add("Expand", y, g.add("Concat", batch, g.constant([1, 1, 1]), axis=0))


_TASKS = {
    "deblur": "sharpens photographs",
    "superres": "gives detail to pictures enlarged {scale} times by bicubic interpolation",
    "sketch": "makes photographs of drawings of edges, dark on white, in three equal channels",
}


def _facts(model: Model, version: str) -> dict[str, str]:
    """What is known of the model, as the file's metadata holds it."""
    return {
        "kind": KIND,
        "minigan": version,
        "input": "blurry: float32 (batch, 3, height, width), RGB in [0, 1], any height and width",
        "output": "restored: the same shape, clipped to [0, 1]",
        "generator": json.dumps(asdict(model.generator_settings)),
        "task": _TASKS[model.task].format(scale=model.scale),
        **({"trained on blur": json.dumps(asdict(model.blur))} if model.task == "deblur" else {}),
        "training": json.dumps(dict(model.notes)),
    }
