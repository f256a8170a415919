"""Each operation of the table, run by onnxruntime at sizes of all kinds, gives what minigan gives."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest

import minigan as mg
from minigan import nn, ops
from minigan.core.errors import ArgumentError, MissingExtraError
from minigan.core.graph import no_grad
from minigan.export import Graph, for_any_size
from minigan.export.graph import examples
from minigan.export.operations import OPERATIONS
from minigan.export.record import record
from minigan.ops.matrix import matrix_product, matrix_transpose

AXES = ("batch", 3, "height", "width")


def exported(network, parameters=None, axes=AXES, inputs=None) -> bytes:
    """The ONNX file of a network on images, or on inputs of other axes."""

    def build(example):
        g = Graph()
        y = g.run(network, {g.input("x", axes): example}, parameters or {})
        g.output(y, "y", [f"axis {i}" for i in range(network(mg.tensor(example)).ndim)])
        return g

    return for_any_size(build, inputs or examples((2, 4), 3, (12, 20), (8, 16))).model("t", "0", {})


def run(content: bytes, x: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def agrees(network, parameters=None, sizes=((1, 3, 8, 8), (3, 3, 16, 12))) -> None:
    """The file's results are the network's, at sizes that it was not recorded at."""
    content = exported(network, parameters)
    for i, size in enumerate(sizes):
        x = np.random.default_rng(i).standard_normal(size).astype(np.float32)
        with no_grad():
            expected = network(mg.tensor(x)).numpy()
        found = run(content, x)
        assert found.shape == expected.shape
        assert np.abs(found - expected).max() <= 1e-5 * max(1, np.abs(expected).max())


def weight(*shape, seed=1):
    values = np.random.default_rng(seed).standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
    return mg.tensor(values.astype(np.float32))


W, B = weight(4, 3, 3, 3), weight(4)
P = weight(1, 3, 1, 1)


def positive(x):
    return x * x + 0.1


def as_floats(booleans):
    return booleans.to("float32")


# For each operation of the table, functions of images (N, 3, H, W) that use it.
CASES = {
    "abs": [ops.abs],
    "add": [lambda x: x + 1, lambda x: x + P, lambda x: 2.5 + x],
    "alias": [lambda x: x.alias()],
    "broadcast_to": [lambda x: x.mean(axis=3, keepdims=True).broadcast_to((*x.shape[:3], 5))],
    "cast": [lambda x: (x * 9).to("int32").to("float32")],
    "clip": [
        lambda x: x.clip(-0.5, 0.5),
        lambda x: x.clip(min=0),
        lambda x: ops.clip(x, max=0.25),
        lambda x: ops.clip(x),
    ],
    "concatenate": [
        lambda x: ops.concatenate(x, x * 2, axis=1),
        lambda x: ops.concatenate(x, x, x, axis=-1),
    ],
    "conv2d": [
        lambda x: ops.conv2d(x, W, B),
        lambda x: ops.conv2d(x, W, stride=2, padding=1),
        lambda x: ops.conv2d(x, W, B, stride=(1, 2), padding=(2, 0), dilation=(2, 1)),
        lambda x: ops.conv2d(x, W, B, padding=1, upsample=2),
        lambda x: ops.conv2d(x, W, padding=1, upsample=(1, 3)),
        lambda x: ops.conv2d(x, weight(6, 1, 2, 2), groups=3),
    ],
    "conv2d_dx": [
        lambda x: ops.conv_transpose2d(
            x, weight(3, 4, 3, 3), B, stride=2, padding=1, output_padding=1
        ),
        lambda x: ops.conv_transpose2d(x, weight(3, 2, 2, 3), groups=3, stride=(1, 2), dilation=2),
        lambda x: ops.conv_transpose2d(x, weight(3, 4, 4, 4), stride=2, padding=(1, 0)),
    ],
    "conv2d_relu": [lambda x: ops.conv2d_relu(x, W, B, padding=1, upsample=2)],
    "cos": [ops.cos],
    "div": [lambda x: x / 3, lambda x: 1 / positive(x), lambda x: x / P],
    "eq": [lambda x: as_floats(ops.relu(x) == 0)],
    "exp": [ops.exp],
    "flip": [lambda x: x.flip(3), lambda x: x.flip((1, 2))],
    "ge": [lambda x: as_floats(x >= 0)],
    "getitem": [
        lambda x: x[:, 1:],
        lambda x: x[:, 0],
        lambda x: x[..., 1:-1, ::2],
        lambda x: x[:, -1, 2],
        lambda x: x[:],
        lambda x: x[..., ::-1],
        lambda x: x[:, :, 5:1:-2],
    ],
    "gt": [lambda x: as_floats(x > 0.1)],
    "le": [lambda x: as_floats(x <= 0.1)],
    "leaky_relu": [lambda x: ops.leaky_relu(x, negative_slope=0.2)],
    "linear": [
        lambda x: ops.linear(x.mean(axis=(2, 3)), weight(5, 3), weight(5)),
        lambda x: ops.linear(x.mean(axis=(2, 3)), weight(5, 3)),
        lambda x: ops.linear(x.transpose(0, 2, 3, 1), weight(5, 3), weight(5)),
        lambda x: ops.linear(x.transpose(0, 2, 3, 1), weight(5, 3)),
    ],
    "log": [lambda x: ops.log(positive(x))],
    "log_softmax": [lambda x: ops.log_softmax(x, axis=1), lambda x: ops.softmax(x, axis=-1)],
    "logsumexp": [lambda x: ops.logsumexp(x, axis=1, keepdims=True)],
    "lt": [lambda x: as_floats(x < P)],
    "matrix_product": [lambda x: matrix_product(x, matrix_transpose(x))],
    "matrix_transpose": [matrix_transpose],
    "max": [lambda x: x.max(axis=(1, 2)), lambda x: x.max(axis=3, keepdims=True)],
    "max_pool2d": [
        lambda x: ops.max_pool2d(x, kernel_size=2),
        lambda x: ops.max_pool2d(x, kernel_size=3, stride=2, padding=1),
    ],
    "maximum": [lambda x: ops.maximum(x, 0.2)],
    "mean": [lambda x: x.mean(axis=(2, 3), keepdims=True), lambda x: x.mean(axis=1)],
    "minimum": [lambda x: ops.minimum(P, x)],
    "mul": [lambda x: 0.5 * x, lambda x: x * P],
    "ne": [lambda x: as_floats(ops.relu(x) != 0)],
    "neg": [lambda x: -x],
    "normalize": [
        ops.instance_norm,
        lambda x: ops.instance_norm(x, relu=True, eps=1e-3),
        lambda x: ops.instance_norm(x, weight(3), weight(3), relu=True),
        lambda x: ops.normalize(x, axis=(1, 2, 3)),
        lambda x: ops.normalize(x, axis=1, relu=True),
    ],
    "pow": [lambda x: x**2, lambda x: positive(x) ** 0.5],
    "reflection_pad2d": [lambda x: ops.reflection_pad2d(x, padding=(1, 2, 3, 4))],
    "relu": [ops.relu],
    "reshape": [
        ops.flatten,
        lambda x: ops.flatten(x, 2),
        lambda x: ops.flatten(x, 0, 1),
        lambda x: x.reshape(x.shape[0], 3, -1),
        lambda x: ops.flatten(x, 1, 2),
        lambda x: x[:, :2].reshape(x.shape[0], 1, 2, *x.shape[2:]),
    ],
    "sigmoid": [ops.sigmoid],
    "sign": [ops.sign],
    "sin": [ops.sin],
    "softplus": [ops.softplus],
    "sqrt": [lambda x: ops.sqrt(positive(x))],
    "sub": [lambda x: x - 0.5, lambda x: 1 - x],
    "sum": [lambda x: x.sum(), lambda x: x.sum(axis=1, keepdims=True)],
    "sum_pool2d": [
        lambda x: ops.sum_pool2d(x, kernel_size=(2, 3), padding=1),
        lambda x: ops.avg_pool2d(x, kernel_size=2),
    ],
    "tanh": [ops.tanh],
    "transpose": [lambda x: x.transpose(0, 3, 1, 2)],
    "upsample_bilinear2d": [nn.Upsample(2, "bilinear"), nn.Upsample((1, 3), "bilinear")],
    "upsample_nearest2d": [nn.Upsample(2), nn.Upsample((3, 1))],
    "where": [lambda x: ops.where(x > 0, x, 0.5)],
    "zero_pad2d": [lambda x: ops.zero_pad2d(x, padding=(1, 0, 2, 3))],
}


def test_every_entry_of_the_table_has_a_case():
    assert CASES.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", CASES)
def test_an_operation_in_onnx_gives_what_it_gives_here(name):
    for function in CASES[name]:
        calls, _ = record(function, mg.rand(2, 3, 8, 8))
        assert name in [call.op.name for call in calls]
        agrees(function)


def layers(*several) -> nn.Sequential:
    network = nn.Sequential(*several)
    rng = np.random.default_rng(3)
    for name, t in network.named_tensors():
        if name.endswith("running_var"):
            t.copy_(rng.random(t.shape) + 0.5)
        elif t.dtype.kind == "f":
            t.copy_(rng.standard_normal(t.shape) * 0.1)
    return network


def test_a_network_of_all_kinds_of_layers():
    network = layers(
        nn.ReflectionPad2d(3),
        nn.Conv2d(3, 6, 7),
        nn.InstanceNorm2d(6, relu=True),
        nn.Conv2d(6, 8, 3, stride=2, padding=1),
        nn.BatchNorm2d(8),
        nn.LeakyReLU(0.2),
        nn.Dropout(0.5),
        nn.Conv2d(8, 8, 3, padding=2, dilation=2, groups=4),
        nn.InstanceNorm2d(8, affine=True),
        nn.MaxPool2d(2),
        nn.Upsample(2, "bilinear"),
        nn.Conv2d(8, 6, 3, padding=1, upsample=2, relu=True),
        nn.ConvTranspose2d(6, 4, 3, stride=2, padding=1, output_padding=1),
        nn.AvgPool2d(2),
        nn.ZeroPad2d(1),
        nn.Conv2d(4, 3, 3),
        nn.Tanh(),
    ).eval()
    agrees(lambda x: (x + network(x)).clip(-1, 1), dict(network.named_tensors()))


def test_a_network_that_ends_in_numbers():
    network = layers(
        nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Flatten(2), nn.Unflatten(1, (2, 2)), nn.Sigmoid()
    )
    agrees(lambda x: network(x).mean(axis=-1))


def test_parameters_keep_their_names_and_unused_results_are_left_out():
    network = layers(nn.Conv2d(3, 2, 1))

    def with_waste(x):
        network(x * 2)
        return network(x)

    import onnx

    graph = onnx.load_from_string(exported(with_waste, dict(network.named_tensors()))).graph
    assert [node.op_type for node in graph.node] == ["Conv", "Identity"]
    assert [t.name for t in graph.initializer] == ["0.weight", "0.bias"]


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x * x.shape[2], "mul_1 depends on the size"),
        (lambda x: x.reshape(1, -1), "reshape_1"),
        (lambda x: x[:, :, : x.shape[2] // 2], "getitem_1"),
        (lambda x: x * x.detach(), "mul_1"),
        (lambda x: x + mg.rand(1, 3, 1, 1), "add_1"),
        (lambda x: x * float(x.mean()), "values outside the recorded operations"),
        (lambda x: ops.upsample_bilinear2d(x, size=(24, 48)), "upsample_bilinear2d"),
        (lambda x: ops.upsample_bilinear2d(x, size=(25, 31)), "no whole multiple of"),
        (lambda x: x if x.shape[0] == 2 else x * 2, "depends on the size"),
    ],
)
def test_what_holds_for_one_size_only_is_refused(function, words):
    with pytest.raises(ArgumentError, match=words):
        exported(function)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: ops.dropout(x), "the operation dropout_masked has no counterpart in ONNX here"),
        (lambda x: x.var(axis=1), "the operation var has no counterpart"),
        (lambda x: x[:, [0, 2]], "getitem with arrays or None in its index"),
        (lambda x: x[:, None], "getitem with arrays or None"),
        (lambda x: mg.rand(2), "does not depend on its input"),
        (lambda x: x.detach(), "does not depend on its input"),
    ],
)
def test_what_has_no_counterpart_is_named(function, words):
    with pytest.raises(ArgumentError, match=words):
        exported(function)


def test_what_the_checker_refuses_is_one_sentence():
    g = Graph()
    g.output(g.add("Relu", "nowhere"), "y", [1])
    with pytest.raises(ArgumentError, match=r"checker refuses the graph: .*nowhere"):
        g.model("t", "0", {})


def test_recording_leaves_an_observer_as_it_was():
    from minigan.core.graph import mode

    def fails(x):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        record(fails, mg.rand(2))
    assert mode.observer is None


def test_without_onnx_it_says_how_to_install_it(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'minigan\[onnx\]'"):
        Graph()
