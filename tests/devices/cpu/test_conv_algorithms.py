"""Every algorithm of convolution on the CPU: its results, its rounding, and when it is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan import nn, optim
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.gradcheck import gradcheck, gradgradcheck
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu import conv, direct, winograd
from minigan.devices.cpu.conv_choice import ALGORITHMS, CALLS

OPERATIONS = ("conv2d", "conv2d_dx", "conv2d_dw")
NAMES = [a.name for a in ALGORITHMS]
ONCE = {"upsample": (1, 1)}
ALGORITHM = {a.name: a for a in ALGORITHMS}


def numbers(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape)


@st.composite
def convolutions(draw, most=40):
    """x, weight, bias and settings that at least two algorithms can do."""
    kernel = draw(st.sampled_from([(3, 3), (3, 3), (1, 1), (2, 5), (4, 4), (7, 7)]))
    stride = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3)]))
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    sides = [
        draw(st.integers(max(1, k - 2 * p), most)) for k, p in zip(kernel, padding, strict=True)
    ]
    channels = st.one_of(st.integers(1, 5), st.integers(15, 18))
    x = numbers(0, draw(st.integers(1, 3)), draw(channels), *sides)
    weight = numbers(1, draw(channels), x.shape[1], *kernel)
    if draw(st.booleans()):  # channels innermost in memory
        x = np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    how = {"stride": stride, "padding": padding, "dilation": (1, 1), "groups": 1}
    how["upsample"] = draw(st.sampled_from([(1, 1), (1, 1), (2, 2), (1, 3)]))
    return x, weight, numbers(2, len(weight)), how


def three_calls(x, weight, bias, how):
    """Each operation of the family on these arrays: (operation, arrays, settings)."""
    y = mg.conv2d.forward(x, weight, **how)
    grad = numbers(3, *y.shape)
    return [
        (mg.conv2d, (x, weight, bias), how),
        (mg.conv2d_dx, (grad, weight), {"input_size": x.shape[2:], **how}),
        (mg.conv2d_dw, (x, grad), {"kernel_size": weight.shape[2:], **how}),
    ]


def computed(operation, arrays, how, dtype, name):
    with mg.use_kernels(**dict.fromkeys(OPERATIONS, name)):
        return operation(*(Tensor(a.astype(dtype, order="K")) for a in arrays), **how).numpy()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(drawn=convolutions())
def test_it_computes_what_the_definition_says(name, dtype, drawn):
    for operation, arrays, how in three_calls(*drawn):
        expected = operation.forward(*arrays, **how)
        call = CALLS[operation.name](*(a.astype(dtype) for a in arrays), **how)
        if ALGORITHM[name].cannot(call):
            with pytest.raises(ShapeError, match=f"{operation.name}: {name} cannot compute"):
                computed(operation, arrays, how, dtype, name)
            continue
        actual = computed(operation, arrays, how, dtype, name)
        assert actual.dtype == dtype
        assert actual.shape == expected.shape
        scale = np.abs(expected).max(initial=1e-9)
        np.testing.assert_allclose(
            actual / scale, expected / scale, atol=4e-5 if dtype == np.float32 else 1e-12
        )


@pytest.mark.parametrize("turn", [0, 1000])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("dilation", [(1, 1), (2, 1)])
@pytest.mark.parametrize("stride", [(1, 1), (2, 2), (1, 3)])
def test_the_direct_form_does_not_depend_on_how_much_it_unfolds_at_once(
    monkeypatch, stride, dilation, groups, turn
):
    """Row by row, image by image, by the kernel turned round or by adding up: the same numbers."""
    how = {"stride": stride, "padding": (1, 2), "dilation": dilation, "groups": groups, **ONCE}
    x, weight = numbers(0, 3, 6, 11, 9), numbers(1, 3, 6 // groups, 3, 4)
    calls = three_calls(x, weight, numbers(2, 3), how)
    at_once = [computed(*call, np.float64, "direct") for call in calls]
    monkeypatch.setattr(direct, "_UNFOLDED_BYTES", 1)
    monkeypatch.setattr(direct, "_FEW_PIXELS", 0)
    monkeypatch.setattr(direct, "_CHEAP_TURN", turn)
    by_row = [computed(*call, np.float64, "direct") for call in calls]
    for expected, found in zip(at_once, by_row, strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("name", ["unfold", "direct"])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_two_orders_go_through_it(name, stride):
    x, weight, bias = (
        mg.tensor(numbers(i, *shape), dtype="float64", requires_grad=True)
        for i, shape in enumerate([(2, 3, 5, 4), (2, 3, 3, 3), (2,)])
    )
    taken = dict.fromkeys(OPERATIONS if stride == 1 else ("conv2d", "conv2d_dw"), name)

    def convolved(x, weight, bias):
        with mg.use_kernels(**taken):
            return mg.conv2d(x, weight, bias, stride=stride, padding=1)

    with mg.use_kernels(**taken):
        gradcheck(convolved, [x, weight, bias])
        gradgradcheck(convolved, [x, weight, bias])


# ---------------------------------------------------------------------- Winograd's rounding


def test_winograd_rounds_a_few_times_as_much_as_the_direct_form():
    """As winograd.py states it: in the root mean square, some 3.5 times."""
    x, weight = numbers(0, 2, 64, 32, 32), numbers(1, 64, 64, 3, 3) / 24
    how = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1, **ONCE}
    for operation, arrays, settings in three_calls(x, weight, np.zeros(64), how):
        expected = computed(operation, arrays, settings, np.float64, "direct")

        def error(name, operation=operation, arrays=arrays, settings=settings, expected=expected):
            found = computed(operation, arrays, settings, np.float32, name) - expected
            return np.sqrt(np.mean(found**2) / np.mean(expected**2))

        assert error("winograd") < 5 * error("direct")
        assert error("winograd") < 2e-6


def test_its_transforms_filter_exactly_what_they_say():
    """A^T [(G g) * (B^T d)] is the filter of 3 taps over 6 inputs, in one dimension."""
    at, g, bt, *_ = (m.astype(np.float64) for m in winograd.transforms())
    d, taps = numbers(0, winograd.INPUTS), numbers(1, winograd.TAPS)
    expected = np.correlate(d, taps)
    np.testing.assert_allclose(at @ ((g @ taps) * (bt @ d)), expected, atol=2e-6)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf, 3e38])
def test_an_infinity_reaches_no_further_than_its_neighbours(odd):
    """Winograd's tiles would have spread it; all zeros beside it stay zeros."""
    x, weight = np.zeros((2, 16, 9, 9), np.float32), np.ones((16, 16, 3, 3), np.float32)
    x[0, 3, 4, 4] = odd
    y = mg.conv2d(Tensor(x), Tensor(weight), padding=1).numpy()
    near = np.zeros(y.shape, bool)
    near[0, :, 3:6, 3:6] = True
    assert (y[~near] == 0).all()
    np.testing.assert_array_equal(y[near], np.float32(odd))
    # Of the weight gradient, only the channel in which it stands.
    grad = np.ones_like(y)
    dw = mg.conv2d_dw(Tensor(x), Tensor(grad), kernel_size=3, padding=1).numpy()
    assert (np.delete(dw, 3, axis=1) == 0).all()
    np.testing.assert_array_equal(dw[:, 3], np.float32(odd))


def test_an_image_of_many_chunks_counts_each_once():
    x, weight = numbers(0, 1, 16, 201, 180), numbers(1, 16, 16, 3, 3)
    how = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1, **ONCE}
    assert len(winograd._plan(x.shape, (1, 1), 16).chunks) >= 4
    for operation, arrays, settings in three_calls(x, weight, np.zeros(16), how):
        expected = computed(operation, arrays, settings, np.float64, "direct")
        found = computed(operation, arrays, settings, np.float32, "winograd")
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=2e-5)


@pytest.mark.parametrize("threshold", [0, 10**6])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (12, 8), (70, 66)])
def test_winograd_doubles_an_image_in_its_transforms(monkeypatch, size, threshold):
    """The same numbers as with the doubled image, which is never made, in both ways."""
    monkeypatch.setattr(winograd, "_TILES_FOR_PARITIES", threshold)
    x, weight, bias = numbers(0, 2, 17, *size), numbers(1, 18, 17, 3, 3), numbers(2, 18)
    how = {"stride": (1, 1), "padding": (1, 1), "dilation": (1, 1), "groups": 1, "upsample": (2, 2)}
    calls = three_calls(x, weight, bias, how)
    expected = [computed(*call, np.float64, "direct") for call in calls]
    for name in ("upsample_nearest2d", "sum_pool2d"):
        monkeypatch.delattr(conv, name)
    (_, arrays, how), _, _ = calls
    calls.append((mg.conv2d_relu, arrays, how))
    expected.append(np.maximum(expected[0], 0))
    for call, right in zip(calls, expected, strict=True):
        found = computed(*call, np.float32, "winograd")
        assert found.shape == right.shape
        scale = np.abs(right).max()
        np.testing.assert_allclose(found / scale, right / scale, atol=2e-5)


def test_kernels_for_parities_are_for_images_that_are_large_beside_the_weight(monkeypatch):
    made = []
    of_parities = winograd._of_parities
    monkeypatch.setattr(winograd, "_of_parities", lambda w: made.append(1) or of_parities(w))
    weight = Tensor(np.zeros((16, 16, 3, 3), np.float32))
    for size, expected in ((40, []), (100, [1])):
        mg.conv2d(Tensor(np.zeros((1, 16, size, size), np.float32)), weight, padding=1, upsample=2)
        assert made == expected


@pytest.mark.parametrize(("upsample", "padding"), [((2, 2), (0, 2)), ((1, 3), (1, 1))])
def test_what_winograd_does_not_double_is_upsampled_before(upsample, padding):
    x, weight = numbers(0, 1, 16, 9, 8), numbers(1, 16, 16, 3, 3)
    how = {"stride": (1, 1), "padding": padding, "dilation": (1, 1), "groups": 1}
    for operation, arrays, settings in three_calls(
        x, weight, numbers(2, 16), how | {"upsample": upsample}
    ):
        expected = computed(operation, arrays, settings, np.float64, "direct")
        found = computed(operation, arrays, settings, np.float32, "winograd")
        scale = np.abs(expected).max()
        np.testing.assert_allclose(found / scale, expected / scale, atol=2e-5)


@pytest.mark.parametrize("name", ["winograd", "direct"])
@pytest.mark.parametrize("threshold", [0, 10**6])
def test_an_infinity_in_a_doubled_image_is_computed_directly(monkeypatch, name, threshold):
    monkeypatch.setattr(winograd, "_TILES_FOR_PARITIES", threshold)
    x, weight = np.zeros((1, 16, 5, 5), np.float32), np.ones((16, 16, 3, 3), np.float32)
    x[0, 3, 2, 2] = np.inf
    with mg.use_kernels(conv2d=name):
        y = mg.conv2d(Tensor(x), Tensor(weight), padding=1, upsample=2).numpy()
    near = np.zeros(y.shape, bool)
    near[0, :, 3:7, 3:7] = True
    np.testing.assert_array_equal(y, np.where(near, np.float32(np.inf), 0))


# ---------------------------------------------------------------------- the choice


def plan(operation, *shapes, **how):
    return mg.which_kernel(operation, *(Tensor(np.zeros(s, np.float32)) for s in shapes), **how)


@pytest.mark.parametrize(
    ("taken", "shapes", "how"),
    [
        ("winograd", [(4, 64, 16, 16), (64, 64, 3, 3)], {"padding": 1}),
        ("direct", [(4, 64, 16, 16), (64, 64, 3, 3)], {"padding": 1, "stride": 2}),
        ("direct", [(4, 64, 16, 16), (64, 32, 3, 3)], {"padding": 1, "groups": 2}),
        ("direct", [(4, 8, 16, 16), (64, 8, 3, 3)], {"padding": 1}),
        ("direct", [(4, 64, 4, 4), (64, 64, 3, 3)], {}),
        ("unfold", [(4, 3, 16, 16), (64, 3, 7, 7)], {"padding": 3}),
        ("unfold", [(4, 64, 16, 16), (3, 64, 7, 7)], {"padding": 3}),
        ("unfold", [(4, 3, 16, 16), (64, 3, 4, 4)], {"stride": 2}),
        ("direct", [(4, 64, 16, 16), (1, 64, 4, 4)], {"stride": 2}),
        ("direct", [(4, 64, 16, 16), (3, 64, 1, 1)], {}),
    ],
)
def test_the_algorithm_is_chosen_by_shape(taken, shapes, how):
    found = plan(mg.conv2d, *shapes, **how)
    assert found.choices[0].taken.name == taken
    assert f"conv2d: {taken} is taken" in str(found)
    assert set(found.choices[0].others) == set(NAMES) - {taken}


def test_gradients_choose_for_themselves():
    y, w, x = (2, 256, 7, 7), (256, 128, 4, 4), (2, 128, 8, 8)
    assert plan(mg.conv2d_dw, x, y, kernel_size=4, padding=1).choices[0].taken.name == "direct"
    forward = plan(mg.conv2d, x, w, padding=1).choices[0]
    assert forward.taken.name == "direct"
    strided = plan(mg.conv2d_dx, (2, 256, 4, 4), w, input_size=8, stride=2, padding=1).choices[0]
    assert strided.taken.name == "direct"
    assert "with a stride" in strided.others["winograd"]
    square = plan(mg.conv2d_dx, (2, 64, 8, 8), (64, 32, 3, 3), input_size=8, padding=1)
    assert square.choices[0].taken.name == "winograd"


def test_exact_and_float64_never_take_winograd():
    x, w = (4, 64, 16, 16), (64, 64, 3, 3)
    with mg.exact():
        assert plan(mg.conv2d, x, w).choices[0].others["winograd"] == "exact() forbids it"
        with mg.exact(False):
            assert plan(mg.conv2d, x, w).choices[0].taken.name == "winograd"
    doubles = mg.which_kernel(mg.conv2d, np.zeros(x), np.zeros(w))
    assert "float64" in doubles.choices[0].others["winograd"]


def test_exact_and_use_kernels_hold_in_the_threads_of_workers():
    def taken(_):
        return plan(mg.conv2d, (4, 64, 16, 16), (64, 64, 3, 3)).choices[0].taken.name

    with workers(2) as pool:
        with mg.exact():
            assert pool.map(taken, [0, 1, 2]) == ["direct"] * 3
        with mg.use_kernels(conv2d="unfold"):
            assert pool.map(taken, [0, 1]) == ["unfold"] * 2
        assert pool.map(taken, [0, 1]) == ["winograd"] * 2


def test_what_is_asked_for_and_cannot_be_had_is_said():
    x, w = (Tensor(np.zeros(s, np.float32)) for s in [(1, 4, 8, 8), (4, 4, 3, 3)])
    with (
        mg.use_kernels(conv2d="winograd"),
        pytest.raises(
            ShapeError, match=r"conv2d: winograd cannot .* it is for 3 x 3 kernels at str"
        ),
    ):
        mg.conv2d(x, w, stride=2)
    with (
        pytest.raises(ArgumentError, match=r"no variant 'wino'; it has .*unfold, winograd, direct"),
        mg.use_kernels(conv2d="wino"),
    ):
        pass


@pytest.mark.parametrize("name", NAMES)
def test_no_image_gives_no_image(name):
    x, w = np.zeros((0, 16, 8, 8), np.float32), np.zeros((16, 16, 3, 3), np.float32)
    chosen = {} if name == "winograd" else {"conv2d": name, "conv2d_dw": name}
    with mg.use_kernels(**chosen):
        assert mg.conv2d(Tensor(x), Tensor(w), padding=1).shape == (0, 16, 8, 8)
        dw = mg.conv2d_dw(Tensor(x), Tensor(x), kernel_size=3, padding=1)
        np.testing.assert_array_equal(dw.numpy(), np.zeros_like(w))


@pytest.mark.parametrize("by", ["gradients", "backward"])
@pytest.mark.parametrize(
    "layer", [nn.Conv2d(16, 24, 3, padding=1), nn.Conv2d(3, 8, 5), nn.ConvTranspose2d(6, 8, 4, 2)]
)
def test_weights_gradients_and_adams_state_lie_alike_in_memory(layer, by):
    """Then Adam passes over them as one axis, and a convolution multiplies by them as they are."""
    channels = 0 if isinstance(layer, nn.ConvTranspose2d) else 1
    x = numbers(0, 2, layer.weight.shape[channels], 16, 16)
    adam = optim.Adam(layer.parameters())
    if by == "backward":
        (layer(mg.tensor(x)) ** 2).mean().backward()
    else:
        with workers(1) as pool:
            pool.gradients(
                lambda x: ((layer(mg.tensor(x)) ** 2).mean(), {}), layer.parameters(), [x]
            )
    adam.step()
    weight = layer.weight
    arrays = weight.numpy(), weight.grad.numpy(), adam.state["mean"][0], adam.state["square"][0]
    assert {a.strides for a in arrays} == {weight.numpy().strides}
    assert weight.numpy().transpose(2, 3, 1, 0).flags.c_contiguous
