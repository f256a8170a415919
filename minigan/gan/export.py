"""A generator of pictures as an ONNX file: noise (N, 1, L, K) -> pictures (N, 1, S, S) in [0, 1].

The noise is drawn by whoever runs it, from the standard normal distribution.
"""

from __future__ import annotations

import json
from dataclasses import asdict

from minigan import nn
from minigan.core.tensor import Array
from minigan.export import Graph, for_any_size
from minigan.export.graph import examples
from minigan.gan.run import KIND
from minigan.gan.train import GanSettings


def onnx_model(settings: GanSettings, network: nn.Module, version: str) -> bytes:
    """The content of an ONNX file; `version` is minigan's, for the record.

    Raises MissingExtraError without the package onnx.
    """
    parameters = dict(network.eval().named_tensors())
    size = settings.size

    def build(example: Array) -> Graph:
        g = Graph()
        noise = g.input("noise", ("batch", 1, *settings.noise_shape))
        y = g.run(network, {noise: example}, parameters)
        g.output(y, "pictures", ("batch", 1, size, size))
        return g

    graph = for_any_size(build, examples((2, 5), 1, *settings.noise_shape))
    facts = {
        "kind": KIND,
        "minigan": version,
        "input": "noise: float32, from the standard normal distribution",
        "output": "pictures: grey, in [0, 1]",
        "training": json.dumps(asdict(settings)),
    }
    return graph.model("pictures", version, facts)
