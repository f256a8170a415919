"""Each variant of each operation, at sizes that are no multiple of a tile; and how one is chosen."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Tensor
from minigan.devices.emulator.device import checking
from minigan.devices.launch import variants
from minigan.devices.launch.conv import Problem as Conv
from minigan.devices.launch.kernel import launches
from minigan.devices.launch.matmul import Problem as Matmul
from minigan.devices.launch.variants import REGISTRY, choose, use_kernels

VARIANTS = [(operation, v.name) for operation, all_ in REGISTRY.items() for v in all_]
FEW = settings(max_examples=5)


def numbers(seed, *shape):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


@st.composite
def convolutions(draw):
    """Arrays and settings of a convolution with all that makes indices go wrong."""
    few, size = st.integers(1, 3), st.integers(1, 9)
    groups, kernel = draw(few), (draw(few), draw(few))
    how = {
        "stride": (draw(few), draw(few)),
        "padding": (draw(st.integers(0, 2)), draw(st.integers(0, 2))),
        "dilation": (draw(st.integers(1, 2)), draw(st.integers(1, 2))),
        "groups": groups,
    }
    reach = [d * (k - 1) + 1 for d, k in zip(how["dilation"], kernel, strict=True)]
    height, width = (r + draw(size) for r in reach)
    x = numbers(0, draw(st.integers(1, 2)), groups * draw(few), height, width)
    weight = numbers(1, groups * draw(st.integers(1, 20)), x.shape[1] // groups, *kernel)
    return x, weight, how


@st.composite
def products(draw):
    """Two stacks of matrices, some transposed, some shared by all places."""
    m, n, k = (draw(st.integers(1, 70)) for _ in range(3))
    stack = draw(st.sampled_from([(), (2,), (2, 3)]))
    a, b = numbers(0, *stack, m, k), numbers(1, *draw(st.sampled_from([(), stack])), k, n)
    if draw(st.booleans()):
        a = np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2)
    if draw(st.booleans()):
        b = np.swapaxes(np.swapaxes(b, -1, -2).copy(), -1, -2)
    return a, b


def calls(operation, data):
    """A call of an operation as a function of the device, and its arrays."""
    if operation == "matmul":
        return mg.ops.matrix.matrix_product, data.draw(products()), {}
    x, weight, how = data.draw(convolutions())
    y = mg.conv2d(Tensor(x), Tensor(weight), **how).numpy()
    grad = numbers(2, *y.shape)
    if operation == "conv2d":
        return mg.conv2d, (x, weight, numbers(3, len(weight))), how
    if operation == "conv2d_dx":
        return mg.conv2d_dx, (grad, weight), {"input_size": x.shape[2:], **how}
    return mg.conv2d_dw, (x, grad), {"kernel_size": weight.shape[2:], **how}


@pytest.mark.parametrize(("operation", "name"), VARIANTS)
@FEW
@given(data=st.data())
def test_variants_agree_with_the_cpu(operation, name, data):
    function, arrays, how = calls(operation, data)
    expected = function(*map(Tensor, arrays), **how).numpy()
    scale = max(1.0, np.abs(expected).max())
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        on_device = [Tensor(a.astype(dtype, order="K"), None, None, "emulator") for a in arrays]
        with use_kernels(**{operation: name}), launches() as log:
            try:
                actual = function(*on_device, **how)
            except ShapeError:  # the tiles would be mostly empty: a test of its own
                return
        np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=tolerance * scale)
        assert name.split("_")[0] in {launch.symbol.rpartition("_")[2] for launch in log}


@pytest.mark.parametrize(("operation", "name"), VARIANTS)
@settings(max_examples=2)
@given(data=st.data())
def test_the_checker_finds_nothing_in_any_variant(operation, name, data):
    function, arrays, how = calls(operation, data)
    arrays = [Tensor(a.astype(np.float32), None, None, "emulator") for a in arrays]
    with use_kernels(**{operation: name}), checking() as reports:
        try:
            function(*arrays, **how)
        except ShapeError:
            return
    assert reports
    assert [str(f) for _, report in reports for f in report.findings] == []


def test_large_problems_use_every_part_of_the_tiles():
    """Several blocks each way, and a weight gradient in several parts, with the preferred variants."""
    x, weight = numbers(0, 2, 20, 24, 21), numbers(1, 70, 20, 3, 3)
    how = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 1), "groups": 1}
    on = [Tensor(a, None, None, "emulator") for a in (x, weight)]
    with launches() as log:
        y = mg.conv2d(*on, **how)
        grad = Tensor(numbers(2, *y.shape), None, None, "emulator")
        dx = mg.conv2d_dx(grad, on[1], input_size=(24, 21), **how)
        dw = mg.conv2d_dw(on[0], grad, kernel_size=(3, 3), **how)
    symbols = [launch.symbol for launch in log]
    assert symbols == ["conv2d_v3", "conv2d_dx_v3", "conv2d_dw_v3", "sum_parts"]
    cpu = Tensor(grad.numpy())
    for ours, theirs in (
        (y, mg.conv2d(Tensor(x), Tensor(weight), **how)),
        (dx, mg.conv2d_dx(cpu, Tensor(weight), input_size=(24, 21), **how)),
        (dw, mg.conv2d_dw(Tensor(x), cpu, kernel_size=(3, 3), **how)),
    ):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-11)


# ---------------------------------------------------------------------- the choice


def test_the_choice_says_why_the_others_are_not_taken():
    choice = choose("matmul", Matmul(1, 4, 4, 4))
    assert choice.taken.name == "v2_shared"
    assert choice.others == {
        "v3_registers": "its tiles would be mostly empty",
        "v1_naive": "v2_shared is preferred",
    }
    assert choose("matmul", Matmul(1, 64, 64, 64)).taken.name == "v3_registers"


def test_a_variant_asked_for_is_taken_in_the_block_and_no_longer():
    small = Matmul(1, 4, 4, 4)
    with use_kernels(matmul="v1_naive"):
        assert choose("matmul", small).taken.name == "v1_naive"
        assert choose("matmul", small).others["v2_shared"] == "v1_naive is asked for"
        with use_kernels(conv2d="v1_naive"):
            assert choose("matmul", small).taken.name == "v1_naive"
    assert choose("matmul", small).taken.name == "v2_shared"


def test_a_variant_that_cannot_do_the_shape_is_refused_with_its_reason():
    with use_kernels(matmul="v3_registers"), pytest.raises(ShapeError, match="mostly empty"):
        choose("matmul", Matmul(1, 4, 4, 4))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"conv2d": "v9"}, "no variant 'v9'; it has v3_registers"),
        ({"relu": "v1"}, "relu has no variants"),
    ],
)
def test_names_that_do_not_exist_are_refused(names, words):
    with pytest.raises(ArgumentError, match=words), use_kernels(**names):
        pass


def test_flops_and_elements_are_those_of_the_formulas():
    assert Matmul(2, 3, 4, 5).flops == 2 * 2 * 3 * 4 * 5
    assert Matmul(2, 3, 4, 5).elements == 2 * (15 + 20 + 12)
    conv = Conv(2, 3, 8, 8, 5, 6, 6, 3, 3, 1, 1, 0, 0, 1, 1, 1)
    assert conv.flops == 2 * (2 * 36) * 5 * 27
    assert conv.elements == 2 * 3 * 64 + 2 * 36 * 5 + 5 * 27
    assert variants.REGISTRY.keys() == {"matmul", "conv2d", "conv2d_dx", "conv2d_dw"}
