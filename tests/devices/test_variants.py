"""Each variant of each operation, at sizes that are no multiple of a tile; and how one is chosen."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minigan as mg
import minigan.ops  # enters the variants
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.gradcheck import gradcheck, gradgradcheck
from minigan.core.tensor import Tensor
from minigan.devices.choice import choices, use_kernels
from minigan.devices.emulator.device import checking
from minigan.devices.launch import matmul, variants
from minigan.devices.launch.conv_problem import Problem as Conv
from minigan.devices.launch.kernel import launches
from minigan.devices.launch.matmul import Problem as Matmul
from minigan.devices.launch.variants import REGISTRY, choose

VARIANTS = [(operation, v.name) for operation, all_ in REGISTRY.items() for v in all_]
EXACT = [
    (operation, v.name)
    for operation, all_ in REGISTRY.items()
    for v in all_
    if v.tolerance == "sum"
]
TENSOR_CORES = sorted(set(VARIANTS) - set(EXACT))
CONVOLUTIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
FAMILIES = {"matmul": ("matmul",), **dict.fromkeys(CONVOLUTIONS, CONVOLUTIONS)}
FEW = settings(max_examples=5)
MATMUL = mg.ops.matrix.matrix_product


def numbers(seed, *shape):
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


@st.composite
def convolutions(draw, most=20):
    """Arrays and settings of a convolution with all that makes indices go wrong."""
    few, size = st.integers(1, 3), st.integers(1, min(most, 9))
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
    weight = numbers(1, groups * draw(st.integers(1, most)), x.shape[1] // groups, *kernel)
    return x, weight, how


@st.composite
def dense_convolutions(draw, kernels, most_outputs, most):
    """Convolutions with stride 1, for the variants that are made for those."""
    kernel, small = draw(st.sampled_from(kernels)), st.integers(1, min(most, 9))
    height, width = (draw(st.integers(kernel, kernel + 4 * most)) for _ in range(2))
    x = numbers(0, draw(st.integers(1, 2)), draw(small), height, width)
    outputs = draw(st.integers(1, most_outputs))
    padding = (draw(st.integers(0, kernel)), draw(st.integers(0, kernel - 1)))
    how = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    return x, numbers(1, outputs, x.shape[1], kernel, kernel), how


@st.composite
def products(draw, most=20):
    """Two stacks of matrices, some transposed, some shared by all places."""
    m, n, k = (draw(st.integers(1, 4 * most)) for _ in range(3))
    stack = draw(st.sampled_from([(), (2,), (2, 3)]))
    a, b = numbers(0, *stack, m, k), numbers(1, *draw(st.sampled_from([(), stack])), k, n)
    if draw(st.booleans()):
        a = np.swapaxes(np.swapaxes(a, -1, -2).copy(), -1, -2)
    if draw(st.booleans()):
        b = np.swapaxes(np.swapaxes(b, -1, -2).copy(), -1, -2)
    return a, b


def calls(operation, name, data, most=20):
    """A call that this variant can do, of sizes up to `most`: the function, its arrays and settings."""
    if operation == "matmul":
        return MATMUL, data.draw(products(most)), {}
    drawn = {
        "v6_winograd": dense_convolutions([3], most, most),
        "v7_thin": dense_convolutions([3, 7], 4 if operation == "conv2d_dw" else most, most),
    }.get(name, convolutions(most))
    return call_of(operation, *data.draw(drawn))


def call_of(operation, x, weight, how):
    """A convolution or one of its gradients: the function, its arrays and settings."""
    y = mg.conv2d(Tensor(x), Tensor(weight), **how).numpy()
    grad = numbers(2, *y.shape)
    if operation == "conv2d":
        return mg.conv2d, (x, weight, numbers(3, len(weight))), how
    if operation == "conv2d_dx":
        return mg.conv2d_dx, (grad, weight), {"input_size": x.shape[2:], **how}
    return mg.conv2d_dw, (x, grad), {"kernel_size": weight.shape[2:], **how}


def on_emulator(arrays, dtype):
    return [Tensor(a.astype(dtype, order="K"), None, None, "emulator") for a in arrays]


def tf32(x):
    """x rounded to 10 bits of mantissa, to the nearest, ties away from zero."""
    bits = np.asarray(x, np.float32).view(np.uint32)
    return ((bits + 0x1000) & 0xFFFFE000).view(np.float32).astype(np.float64)


def computed(operation, name, function, arrays, how):
    """The result of one variant, which really ran."""
    with use_kernels(**{operation: name}), launches() as log, choices() as taken:
        result = function(*arrays, **how).numpy()
    assert (operation, name) in {(c.operation, c.taken.name) for c in taken}
    assert next(v for v in REGISTRY[operation] if v.name == name).kernel.symbol in {
        launch.symbol for launch in log
    }
    return result


@pytest.mark.parametrize(("operation", "name"), EXACT)
@FEW
@given(data=st.data())
def test_variants_agree_with_the_cpu(operation, name, data):
    function, arrays, how = calls(operation, name, data)
    expected = function(*map(Tensor, arrays), **how).numpy()
    scale = max(1.0, np.abs(expected).max())
    for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
        actual = computed(operation, name, function, on_emulator(arrays, dtype), how)
        np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize(("operation", "name"), EXACT)
@settings(max_examples=2)
@given(data=st.data())
def test_variants_agree_with_finite_differences(operation, name, data):
    """The operations of a family are each other's gradients: in this variant too, to second order."""
    function, arrays, how = calls(operation, name, data, most=3)
    leaves = [Tensor(a).requires_grad_() for a in arrays]
    family = FAMILIES[operation]
    forced = {op: name for op in family if name in {v.name for v in REGISTRY[op]}}

    def on_device(*inputs):
        return function(*(x.to("emulator") for x in inputs), **how).to("cpu")

    with use_kernels(**forced):
        assert gradcheck(on_device, leaves)
        assert gradgradcheck(on_device, leaves)


@pytest.mark.parametrize(("operation", "name"), VARIANTS)
@settings(max_examples=2)
@given(data=st.data())
def test_the_checker_finds_nothing_in_any_variant(operation, name, data):
    function, arrays, how = calls(operation, name, data)
    with checking() as reports:
        computed(operation, name, function, on_emulator(arrays, np.float32), how)
    assert [str(f) for _, report in reports for f in report.findings] == []


@pytest.mark.parametrize(("operation", "name"), VARIANTS)
def test_the_checker_finds_nothing_over_several_tiles_each_way(operation, name):
    """Sums long enough for every stage of a pipeline, and rows and columns that end within a tile."""
    if operation == "matmul":
        function, arrays, how = MATMUL, (numbers(0, 70, 50), numbers(1, 50, 70)), {}
    else:
        outputs, kernel = {"v7_thin": (3 if operation == "conv2d_dw" else 20, 7)}.get(name, (20, 3))
        x, weight = numbers(0, 2, 6, 9, 11), numbers(1, outputs, 6, kernel, kernel)
        how = {"stride": (1, 1), "padding": (1, 2), "dilation": (1, 1), "groups": 1}
        function, arrays, how = call_of(operation, x, weight, how)
    with checking() as reports:
        actual = computed(operation, name, function, on_emulator(arrays, np.float32), how)
    assert [str(f) for _, report in reports for f in report.findings] == []
    expected = function(*map(Tensor, arrays), **how).numpy()
    tolerance = 5e-3 if (operation, name) in TENSOR_CORES else 2e-5
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * np.abs(expected).max())


# ---------------------------------------------------------------------- tensor cores


@pytest.mark.parametrize(("operation", "name"), TENSOR_CORES)
@FEW
@given(data=st.data())
def test_tensor_cores_are_exact_on_integers_that_tf32_holds(operation, name, data):
    function, arrays, how = calls(operation, name, data)
    arrays = [np.rint(4 * a) for a in arrays]
    expected = function(*map(Tensor, arrays), **how).numpy()
    actual = computed(operation, name, function, on_emulator(arrays, np.float32), how)
    np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize(("operation", "name"), TENSOR_CORES)
@FEW
@given(data=st.data())
def test_tensor_cores_round_their_operands_and_nothing_else(operation, name, data):
    """Against float64 on operands rounded the same way; the bias is not rounded."""
    function, arrays, how = calls(operation, name, data)
    arrays = [a.astype(np.float32).astype(float) for a in arrays]
    rounded = [tf32(a) for a in arrays[:2]] + arrays[2:]
    expected = function(*map(Tensor, rounded), **how).numpy()
    actual = computed(operation, name, function, on_emulator(arrays, np.float32), how)
    scale = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=0, atol=2e-5 * scale)


@FEW
@given(data=st.data())
def test_the_three_convolutions_on_tensor_cores_are_adjoint_to_each_other(data):
    """<y, conv2d(x, w)> = <x, conv2d_dx(y, w)> = <w, conv2d_dw(x, y)>, on operands that TF32 holds."""
    x, weight, how = data.draw(convolutions())
    y = numbers(2, *mg.conv2d(Tensor(x), Tensor(weight), **how).shape)
    x, weight, y = (tf32(a).astype(np.float32) for a in (x, weight, y))
    on = {k: Tensor(a, None, None, "emulator") for k, a in (("x", x), ("w", weight), ("y", y))}
    with use_kernels(conv2d="v5_tf32", conv2d_dx="v5_tf32_small", conv2d_dw="v5_tf32"):
        forward = mg.conv2d(on["x"], on["w"], **how).numpy()
        dx = mg.conv2d_dx(on["y"], on["w"], input_size=x.shape[2:], **how).numpy()
        dw = mg.conv2d_dw(on["x"], on["y"], kernel_size=weight.shape[2:], **how).numpy()
    products = [np.vdot(a.astype(float), b) for a, b in ((y, forward), (x, dx), (weight, dw))]
    scale = np.linalg.norm(y.astype(float)) * np.linalg.norm(forward.astype(float))
    np.testing.assert_allclose(products, products[0], rtol=0, atol=1e-5 * max(1.0, scale))


# ---------------------------------------------------------------------- large problems


def test_large_problems_use_every_part_of_the_tiles():
    """Several blocks each way, and a weight gradient in several parts, with the preferred variants."""
    x, weight = numbers(0, 2, 20, 24, 21), numbers(1, 70, 20, 3, 3)
    how = {"stride": (2, 1), "padding": (1, 2), "dilation": (1, 1), "groups": 1}
    assert symbols_of_the_family(x, weight, how) == [
        "conv2d_v4_small",
        "conv2d_dx_v4_small",
        "conv2d_dw_v4_small",
        "sum_parts",
    ]


def test_layers_of_images_and_of_many_channels_get_kernels_of_their_own():
    same = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1}
    many = numbers(0, 1, 33, 9, 10), numbers(1, 34, 33, 3, 3)
    transforms = ["winograd_filter", "winograd_input", "matmul_v2", "winograd_output"]
    assert symbols_of_the_family(*many, same) == [*transforms, *transforms, "conv2d_dw_v4_small"]
    last = numbers(0, 1, 8, 40, 10), numbers(1, 3, 8, 7, 7)
    wide = same | {"padding": (3, 3)}
    thin = ["conv2d_thin", "conv2d_thin", "conv2d_dw_thin", "sum_parts"]
    assert symbols_of_the_family(*last, wide) == thin


def symbols_of_the_family(x, weight, how):
    """What is launched for a convolution and both gradients; their results are those of the CPU."""
    on = on_emulator([x, weight], np.float64)
    size, kernel = x.shape[2:], weight.shape[2:]
    with launches() as log:
        y = mg.conv2d(*on, **how)
        grad = Tensor(numbers(2, *y.shape), None, None, "emulator")
        dx = mg.conv2d_dx(grad, on[1], input_size=size, **how)
        dw = mg.conv2d_dw(on[0], grad, kernel_size=kernel, **how)
    cpu = Tensor(grad.numpy())
    for ours, theirs in (
        (y, mg.conv2d(Tensor(x), Tensor(weight), **how)),
        (dx, mg.conv2d_dx(cpu, Tensor(weight), input_size=size, **how)),
        (dw, mg.conv2d_dw(Tensor(x), cpu, kernel_size=kernel, **how)),
    ):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), rtol=0, atol=1e-11)
    return [launch.symbol for launch in log]


# ---------------------------------------------------------------------- the choice

FLOAT, DOUBLE = np.dtype("float32"), np.dtype("float64")


def chosen(operation, problem, dtype=FLOAT, capability=90):
    return choose(operation, problem, SimpleNamespace(capability=capability), dtype)


def test_the_choice_says_why_the_others_are_not_taken():
    choice = chosen("matmul", Matmul(1, 4, 4, 4))
    assert choice.taken.name == "v2_shared"
    assert choice.others == {
        "v4_pipelined": "its tiles would be half empty",
        "v4_pipelined_small": "its tiles would be mostly empty",
        "v3_registers": "its tiles would be mostly empty",
        "v1_naive": "v2_shared is preferred",
        "v5_tf32": "it rounds to TF32, which is for the user to decide",
        "v5_tf32_small": "it rounds to TF32, which is for the user to decide",
    }


@pytest.mark.parametrize(
    ("problem", "name"),
    [
        (Matmul(1, 64, 64, 64), "v4_pipelined_small"),
        (
            Matmul(1, 1024, 1024, 64),
            "v4_pipelined_small",
        ),  # 64 tiles of 128 for 132 multiprocessors
        (Matmul(1, 2048, 1152, 64), "v4_pipelined"),
    ],
)
def test_large_tiles_are_for_large_matrices(problem, name):
    assert chosen("matmul", problem).taken.name == name


def test_a_variant_asked_for_is_taken_in_the_block_and_no_longer():
    small = Matmul(1, 4, 4, 4)
    with use_kernels(matmul="v1_naive"):
        assert chosen("matmul", small).taken.name == "v1_naive"
        assert chosen("matmul", small).others["v2_shared"] == "v1_naive is asked for"
        with use_kernels(conv2d="v1_naive"):
            assert chosen("matmul", small).taken.name == "v1_naive"
    assert chosen("matmul", small).taken.name == "v2_shared"


def test_a_variant_asked_for_is_taken_though_it_be_unwise():
    with use_kernels(matmul="v3_registers"):
        assert chosen("matmul", Matmul(1, 4, 4, 4)).taken.name == "v3_registers"


def test_tensor_cores_are_taken_only_where_asked_for():
    large = Matmul(1, 4096, 4096, 4096)
    assert chosen("matmul", large).taken.tolerance == "sum"
    with use_kernels(matmul="v5_tf32"):
        assert chosen("matmul", large).taken.tolerance == "tf32"
        with pytest.raises(ShapeError, match="computes in float32, not in float64"):
            chosen("matmul", large, DOUBLE)
        with pytest.raises(ShapeError, match="needs compute capability 80, and the GPU has 75"):
            chosen("matmul", large, capability=75)


def test_a_variant_that_cannot_do_the_shape_is_refused_with_its_reason():
    strided = Conv(1, 64, 8, 8, 64, 4, 4, 3, 3, 2, 2, 1, 1, 1, 1, 1)
    for name in ("v6_winograd", "v7_thin"):
        with use_kernels(conv2d=name), pytest.raises(ShapeError, match=f"{name}: it is for .*stri"):
            chosen("conv2d", strided)
    with use_kernels(conv2d="v6_winograd"), pytest.raises(ShapeError, match="workspace of"):
        chosen("conv2d", Conv(1, 256, 1024, 1024, 256, 1024, 1024, 3, 3, 1, 1, 1, 1, 1, 1, 1))


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ({"conv2d": "v9"}, "no variant 'v9'; it has v7_thin, v6_winograd, v4_pipelined"),
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


@pytest.mark.parametrize("stack", [(), (3,)])
def test_more_rows_and_matrices_than_a_grid_counts_take_several_launches(monkeypatch, stack):
    monkeypatch.setattr(matmul, "_MOST_ROWS", 20)
    monkeypatch.setattr(matmul, "_MOST_MATRICES", 2)
    for rows in (20, 50):
        a, b = numbers(0, *stack, rows, 7), numbers(1, 7, 5)
        with launches() as log:
            c = MATMUL(*on_emulator([a, b], np.float64)).numpy()
        np.testing.assert_allclose(c, a @ b, rtol=1e-12, atol=1e-12)
        matrices = math.prod(stack)
        expected = -(-matrices // 2) if rows == 20 else matrices * 3
        assert len(log) == expected


def test_a_product_larger_than_a_kernel_counts_is_refused():
    a = np.broadcast_to(np.float32(0), (50_000, 1))
    a = Tensor(a, None, None, "emulator")
    with pytest.raises(ShapeError, match=r"matrix_product: an array of shape \(50000, 50000\)"):
        MATMUL(a, a.T)
