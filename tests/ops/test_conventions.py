"""What the catalogue leaves open: kinks and ties, extreme values, randomness, and the functions
that are composed of several operations.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.tensor import Tensor
from minigan.ops.elementwise import relu_grad
from minigan.ops.reduce import spread
from minigan.testing.catalogue.draws import Convolution, Windows, convolutions, pairs, windows

NAN, INF = math.nan, math.inf


def leaf(*values: float) -> Tensor:
    return mg.tensor(values, requires_grad=True, dtype=mg.float64)


def slope(function, *at: float) -> list[float]:
    """The derivative of an elementwise function at these points."""
    x = leaf(*at)
    return mg.grad(function(x).sum(), [x])[0].tolist()


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


# ---------------------------------------------------------------------- kinks and ties


def test_the_derivative_of_relu_at_0_is_0():
    assert slope(mg.relu, -1, -0.0, 0, 1) == [0, 0, 0, 1]


def test_the_derivative_of_leaky_relu_at_0_is_the_negative_slope():
    assert slope(lambda x: mg.leaky_relu(x, negative_slope=0.2), -1, 0, 1) == [0.2, 0.2, 1]


@pytest.mark.parametrize("negative_slope", [0.0, 0.2, 1.0, 2.0, -0.5])
def test_leaky_relu_of_infinities_is_that_of_its_definition(negative_slope):
    x = np.array([np.inf, 1e38, 2.0, 0.0, -0.0, -2.0, -1e38, -np.inf, np.nan], np.float32)
    with np.errstate(all="ignore"):
        expected = np.where(x > 0, x, np.float32(negative_slope) * x)
    found = mg.leaky_relu(Tensor(x), negative_slope=negative_slope).numpy()
    np.testing.assert_array_equal(found, expected)


def test_the_derivative_of_abs_at_0_is_0():
    assert slope(mg.abs, -2, -0.0, 0, 2) == [-1, 0, 0, 1]


def test_clip_passes_the_gradient_at_its_bounds():
    clipped = lambda x: mg.clip(x, min=-1, max=1)  # noqa: E731
    assert slope(clipped, -1.5, -1, 0, 1, 1.5) == [0, 1, 1, 1, 0]
    assert slope(lambda x: x.clip(min=0), -INF, 0, INF) == [0, 1, 1]


@pytest.mark.parametrize("function", [mg.maximum, mg.minimum])
def test_maximum_and_minimum_share_a_tie_evenly(function):
    a, b = leaf(1, 2, 3), leaf(3, 2, 1)
    g, h = mg.grad(function(a, b).sum(), [a, b])
    larger = [0, 0.5, 1] if function is mg.maximum else [1, 0.5, 0]
    assert (g.tolist(), h.tolist()) == (larger, larger[::-1])
    assert slope(lambda x: function(x, 2.0), 2) == [0.5]
    assert slope(lambda x: function(x, x), 2) == [1]


def test_max_shares_a_tie_evenly_along_its_axes():
    x = mg.tensor([[3.0, 3, 1], [3, 0, 0]], requires_grad=True)
    for axis, expected in (
        (None, [[1 / 3, 1 / 3, 0], [1 / 3, 0, 0]]),
        (1, [[0.5, 0.5, 0], [1, 0, 0]]),
        (0, [[0.5, 1, 1], [0.5, 0, 0]]),
    ):
        (g,) = mg.grad(x.max(axis=axis).sum(), [x])
        np.testing.assert_allclose(g.numpy(), expected, rtol=1e-6)


@pytest.mark.parametrize("value", [0.0, 7.0, -INF, NAN])
def test_max_pool_gives_a_tie_to_the_first_index(value):
    x = mg.tensor(np.full((1, 1, 4, 4), value), requires_grad=True)
    y, indices = mg.max_pool2d.with_aux(x, kernel_size=3, stride=2, padding=1)
    # Padding never wins: the first index of a corner window is the corner of the image.
    assert indices.tolist() == [[[[0, 1], [4, 5]]]]
    np.testing.assert_array_equal(y.numpy(), np.full((1, 1, 2, 2), value))
    y.sum().backward()
    assert np.flatnonzero(x.grad.numpy()).tolist() == [0, 1, 4, 5]


def test_nan_goes_through_relu_and_takes_the_gradient_with_it():
    x = leaf(NAN, -1, 1)
    y = mg.relu(x)
    assert math.isnan(y.tolist()[0])
    assert y.tolist()[1:] == [0, 1]
    assert slope(mg.relu, NAN, -1, 1) == [1, 0, 1]
    assert slope(mg.leaky_relu, NAN, 1)[1] == 1
    assert math.isnan(mg.leaky_relu(leaf(NAN)).item())


def test_relu_drops_an_infinite_gradient_instead_of_making_nan_of_it():
    assert relu_grad(leaf(INF, INF, NAN), leaf(0, 1, 0)).tolist() == [0, INF, 0]


def test_nan_wins_in_max_pool_wherever_it_stands_and_the_first_of_several():
    for where in np.ndindex(2, 2):
        x = np.array([[1.0, INF], [3.0, -INF]])
        x[where] = NAN
        y, indices = mg.max_pool2d.with_aux(x[None, None], kernel_size=2)
        assert math.isnan(y.item())
        assert indices.item() == where[0] * 2 + where[1]


def test_a_power_has_derivative_0_where_the_exponent_is_0_or_the_base_is():
    assert slope(lambda x: x**0, 0, 2) == [0, 0]
    assert slope(lambda x: x**2, 0, 3) == [0, 6]
    assert slope(lambda x: x**1, 0) == [1]
    base, exponent = leaf(0, 0, 2), leaf(2, 0, 0)
    g, h = mg.grad((base**exponent).sum(), [base, exponent])
    np.testing.assert_allclose(g.numpy(), [0, 0, 0])
    np.testing.assert_allclose(h.numpy(), [0, 0, math.log(2)])


def test_integer_powers_of_negative_numbers_have_derivatives_of_any_order():
    x = leaf(-2)
    y = x**3
    found = []
    for _ in range(4):
        (y,) = mg.grad(y, [x], create_graph=True)
        found.append(y.item())
        if not y.requires_grad:
            break
    assert found[:3] == [12, -12, 6]


# ---------------------------------------------------------------------- extreme values


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_activations_stay_finite_and_exact_far_out(dtype):
    x = mg.tensor([-1000.0, -50, 50, 1000], requires_grad=True, dtype=dtype)
    for function, expected in (
        (mg.sigmoid, [0, math.exp(-50), 1, 1]),
        (mg.tanh, [-1, -1, 1, 1]),
        (mg.softplus, [0, math.exp(-50), 50, 1000]),
    ):
        y = function(x)
        np.testing.assert_allclose(y.numpy(), expected, rtol=1e-6 if dtype == "float32" else 1e-12)
        (first,) = mg.grad(y.sum(), [x], create_graph=True)
        (second,) = mg.grad(first.sum(), [x])
        for g in (first, second):
            assert np.all(np.isfinite(g.numpy()))
    assert slope(mg.softplus, -1000, 1000) == [0, 1]


@pytest.mark.parametrize("shift", [-1000.0, 0.0, 1000.0])
def test_logsumexp_and_softmax_do_not_depend_on_a_shift(shift):
    x = leaf(*(np.array([0.0, 1.0, 2.0]) + shift))
    total = math.log(1 + math.e + math.e**2)
    assert mg.logsumexp(x, axis=0).item() - shift == pytest.approx(total, abs=1e-12)
    expected = np.exp(np.arange(3) - total)
    np.testing.assert_allclose(mg.softmax(x, axis=0).numpy(), expected, rtol=1e-12)
    np.testing.assert_allclose(mg.log_softmax(x, axis=0).numpy(), np.log(expected), rtol=1e-12)
    np.testing.assert_allclose(slope(lambda t: mg.logsumexp(t, axis=0), *x.tolist()), expected)


def test_logsumexp_takes_minus_infinity_for_probability_0():
    assert mg.logsumexp(leaf(-INF, -INF), axis=0).item() == -INF
    assert mg.logsumexp(leaf(-INF, 3), axis=0).item() == 3
    assert slope(lambda x: mg.logsumexp(x, axis=0), -INF, 3) == [0, 1]
    assert mg.log_softmax(leaf(-INF, 3), axis=0).tolist() == [-INF, 0]
    assert mg.softmax(leaf(-INF, 3), axis=0).tolist() == [0, 1]


def test_the_variance_of_large_numbers_does_not_cancel():
    x = mg.tensor(noise(1000) + 1e6, dtype=mg.float64)
    assert x.var().item() == pytest.approx(np.var(noise(1000), ddof=1), rel=1e-9)
    y = mg.normalize(mg.tensor(noise(4, 100) + 1000), axis=1)  # float32 holds 4 digits of the noise
    np.testing.assert_allclose(y.numpy().std(axis=1), 1, rtol=1e-3)


def test_log_and_sqrt_give_numpy_s_values_outside_their_domain():
    np.testing.assert_array_equal(mg.log(mg.tensor([-1.0, 0, 1])).numpy(), [NAN, -INF, 0])
    np.testing.assert_array_equal(mg.sqrt(mg.tensor([-1.0, 0, 4])).numpy(), [NAN, 0, 2])


# ---------------------------------------------------------------------- dropout


def test_dropout_drops_a_share_p_and_keeps_the_mean():
    n = 100_000
    y = mg.dropout(np.ones(n), p=0.3, generator=mg.Generator(1)).numpy()
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.7)}
    dropped = np.mean(y == 0)
    assert abs(dropped - 0.3) < 5 * math.sqrt(0.3 * 0.7 / n)
    assert abs(y.mean() - 1) < 0.01


def test_dropout_drops_neighbours_independently():
    kept = mg.dropout(np.ones((200, 200)), p=0.5, generator=mg.Generator(2)).numpy() > 0
    for a, b in ((kept[1:], kept[:-1]), (kept[:, 1:], kept[:, :-1]), (kept[:, 8:], kept[:, :-8])):
        assert abs(np.mean(a == b) - 0.5) < 5 * 0.5 / 200


def test_dropout_uses_the_same_mask_backward_in_every_order():
    x = mg.tensor(noise(50), requires_grad=True, dtype=mg.float64)
    y = mg.dropout(x, p=0.4)
    mask = y.numpy() / x.numpy()
    (g,) = mg.grad((y * y).sum(), [x], create_graph=True)
    np.testing.assert_allclose(g.numpy(), 2 * y.numpy() * mask)
    (h,) = mg.grad(g.sum(), [x])
    np.testing.assert_allclose(h.numpy(), 2 * mask * mask)


def test_dropout_draws_a_new_mask_each_time_and_the_same_from_the_same_seed():
    def draws(generator):
        return [mg.dropout(np.ones(64), generator=generator).tolist() for _ in range(3)]

    a, b = draws(mg.Generator(5)), draws(mg.Generator(5))
    assert a == b
    assert a[0] != a[1] != a[2] != a[0]
    mg.manual_seed(5)
    assert draws(None) == a
    assert draws(mg.Generator(6)) != a


def test_dropout_does_nothing_outside_training_and_everything_at_1():
    x = leaf(1, 2)
    assert mg.dropout(x, training=False) is x
    assert mg.dropout(x, p=0.0).tolist() == [1, 2]
    assert mg.dropout(leaf(INF, NAN), p=1.0).tolist() == [0, 0]


def test_dropout_scales_integers_without_rounding():
    y = mg.dropout(np.full(64, 3), p=0.75)
    assert y.dtype == np.float32
    assert set(y.tolist()) == {0, 12}


def test_random_numbers_have_the_moments_of_their_distributions():
    generator = mg.Generator(3)
    u, z = mg.rand(100, 1000, generator=generator), mg.randn(100, 1000, generator=generator)
    assert 0 <= u.numpy().min() < u.numpy().max() < 1
    assert abs(u.numpy().mean() - 0.5) < 0.005
    assert abs(z.numpy().mean()) < 0.02
    assert abs(z.numpy().std() - 1) < 0.01


# ---------------------------------------------------------------------- batch norm


def test_batch_norm_and_its_running_statistics_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    names = ("mean", "var", "weight", "bias")
    start = [noise(3, seed=i) for i in range(4)]
    start[1] = np.abs(start[1]) + 0.5
    ours = {n: mg.tensor(a, dtype=mg.float64) for n, a in zip(names, start, strict=True)}
    theirs = {n: torch.tensor(a) for n, a in zip(names, start, strict=True)}
    for i, training in enumerate((True, True, False)):
        x = noise(4, 3, 2, 5, seed=10 + i) * 3 + 1
        a = mg.batch_norm(
            mg.tensor(x, dtype=mg.float64), *ours.values(), training=training, momentum=0.3
        )
        b = torch.nn.functional.batch_norm(
            torch.tensor(x), *theirs.values(), training=training, momentum=0.3
        )
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-10, atol=1e-12)
        for name in ("mean", "var"):
            np.testing.assert_allclose(ours[name].numpy(), theirs[name].numpy(), rtol=1e-10)


@pytest.mark.parametrize("training", [True, False])
def test_the_gradients_of_batch_norm_agree_with_pytorch_to_second_order(training):
    torch = pytest.importorskip("torch")
    arrays = [noise(3, 2, 4, 2), noise(2, seed=1), noise(2, seed=2)]
    mean, var = noise(2, seed=3), np.abs(noise(2, seed=4)) + 0.5

    def ours(x, w, b):
        running = (mg.tensor(mean, dtype=mg.float64), mg.tensor(var, dtype=mg.float64))
        return mg.batch_norm(x, *running, w, b, training=training)

    def theirs(x, w, b):
        running = (torch.tensor(mean), torch.tensor(var))
        return torch.nn.functional.batch_norm(x, *running, w, b, training=training)

    assert_agree(torch, ours, theirs, arrays)


def test_instance_norm_agrees_with_pytorch_to_second_order():
    torch = pytest.importorskip("torch")
    arrays = [noise(2, 3, 4, 3), noise(3, seed=1), noise(3, seed=2)]
    f = torch.nn.functional
    assert_agree(
        torch, mg.instance_norm, lambda x, w, b: f.instance_norm(x, weight=w, bias=b), arrays
    )


# ---------------------------------------------------------------------- against PyTorch


def assert_agree(torch, ours, theirs, arrays) -> None:
    """Two functions of the same arrays: values, gradients, gradients of the squared gradients."""
    a = [mg.tensor(x, requires_grad=True, dtype=mg.float64) for x in arrays]
    b = [torch.tensor(x, requires_grad=True) for x in arrays]
    y, z = ours(*a), theirs(*b)
    np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-10)
    v = noise(*y.shape, seed=99)
    first = mg.grad(y, a, mg.Tensor(v), create_graph=True)
    first_torch = torch.autograd.grad(z, b, torch.tensor(v), create_graph=True)
    for g, h in zip(first, first_torch, strict=True):
        np.testing.assert_allclose(g.numpy(), h.detach().numpy(), rtol=1e-8, atol=1e-9)
    if not any(h.requires_grad for h in first_torch):
        return
    second = mg.grad(sum((g * g).sum() for g in first), a)
    second_torch = torch.autograd.grad(
        sum((h * h).sum() for h in first_torch), b, materialize_grads=True
    )
    for g, h in zip(second, second_torch, strict=True):
        np.testing.assert_allclose(g.numpy(), h.numpy(), rtol=1e-7, atol=1e-8)


@given(c=convolutions(), data=st.data())
def test_transposed_convolution_agrees_with_pytorch(c: Convolution, data):
    torch = pytest.importorskip("torch")
    extra = tuple(data.draw(st.integers(0, s - 1)) for s in c.how["stride"])
    how = {**c.how, "output_padding": extra}
    del how["upsample"]  # a transposed convolution has none
    sizes = [
        (n - 1) * s - 2 * p + d * (k - 1) + e + 1
        for n, s, p, d, k, e in zip(
            c.y[2:],
            *(how[name] for name in ("stride", "padding", "dilation")),
            c.weight[2:],
            extra,
            strict=True,
        )
    ]
    arrays = [noise(*c.y), noise(*c.weight, seed=1), noise(c.x[1], seed=2)]
    ours = lambda x, w, b: mg.conv_transpose2d(x, w, b, **how)  # noqa: E731
    if min(sizes) < 1:
        with pytest.raises(ShapeError, match="conv_transpose2d: x of shape"):
            ours(*arrays)
        return
    theirs = lambda x, w, b: torch.nn.functional.conv_transpose2d(x, w, b, **how)  # noqa: E731
    assert_agree(torch, ours, theirs, arrays)


@given(w=windows())
def test_average_pooling_agrees_with_pytorch(w: Windows):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    assert_agree(
        torch,
        lambda x: mg.avg_pool2d(x, **w.how) ** 2,
        lambda x: f.avg_pool2d(x, **w.how) ** 2,
        [noise(*w.x)],
    )


@given(side=pairs(1, 4), size=pairs(1, 7))
def test_bilinear_interpolation_agrees_with_pytorch(side, size):
    torch = pytest.importorskip("torch")
    f = torch.nn.functional
    assert_agree(
        torch,
        lambda x: mg.upsample_bilinear2d(x, size=size) ** 2,
        lambda x: f.interpolate(x, size=size, mode="bilinear", align_corners=False) ** 2,
        [noise(2, 2, *side)],
    )


@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((3,), (3,)),
        ((3,), (3, 2)),
        ((2, 3), (3,)),
        ((2, 3), (3, 4)),
        ((3,), (5, 3, 2)),
        ((5, 2, 3), (3,)),
        ((5, 2, 3), (3, 4)),
        ((4, 1, 2, 3), (5, 3, 2)),
        ((1, 3), (3, 1)),
    ],
)
def test_matmul_agrees_with_pytorch_for_vectors_matrices_and_stacks(a, b):
    torch = pytest.importorskip("torch")
    assert_agree(torch, mg.matmul, torch.matmul, [noise(*a), noise(*b, seed=1)])


def test_softmax_stack_and_flatten_agree_with_pytorch():
    torch = pytest.importorskip("torch")
    x, y = noise(2, 3, 4), noise(2, 3, 4, seed=1)
    for axis in (0, -1):
        assert_agree(
            torch,
            lambda t, axis=axis: mg.softmax(t, axis=axis),
            lambda t, axis=axis: t.softmax(axis),
            [x],
        )
    for axis in (0, 1, 3, -1, -4):
        assert_agree(
            torch,
            lambda s, t, axis=axis: mg.stack([s, t * t], axis=axis) ** 2,
            lambda s, t, axis=axis: torch.stack([s, t * t], axis) ** 2,
            [x, y],
        )
    for start, end in ((0, -1), (1, 2), (-2, -1), (1, 1)):
        assert_agree(
            torch,
            lambda t, start=start, end=end: mg.flatten(t, start, end) ** 2,
            lambda t, start=start, end=end: t.flatten(start, end) ** 2,
            [x],
        )


# ---------------------------------------------------------------------- nothing in, nothing out


def test_operations_take_batches_without_images():
    none = mg.tensor(np.ones((0, 2, 6, 6)), requires_grad=True)
    w = mg.tensor(np.ones((3, 2, 3, 3)), requires_grad=True)
    y = mg.conv2d(none, w, padding=1)
    y = mg.max_pool2d(mg.instance_norm(y), kernel_size=2)
    y = mg.upsample_nearest2d(mg.avg_pool2d(y, kernel_size=3), scale_factor=2)
    y = mg.dropout(mg.relu(mg.conv_transpose2d(y, w)))
    assert y.shape == (0, 2, 4, 4)
    y.sum().backward()
    assert not np.any(w.grad.numpy())
    assert none.grad.shape == none.shape


def test_a_linear_layer_without_inputs_gives_its_bias():
    x, w = mg.tensor(np.ones((2, 3, 0)), requires_grad=True), mg.tensor(np.ones((4, 0)))
    b = leaf(1, 2, 3, 4)
    y = mg.linear(x, w.requires_grad_(), b)
    assert y.shape == (2, 3, 4)
    y.sum().backward()
    assert (x.grad.shape, w.grad.shape, b.grad.tolist()) == ((2, 3, 0), (4, 0), [6, 6, 6, 6])


# ---------------------------------------------------------------------- wrong calls

IMAGE, WEIGHT = np.ones((1, 3, 6, 6)), np.ones((4, 3, 3, 3))
FLAT = mg.tensor(np.ones((2, 3)))


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mg.avg_pool2d(FLAT, kernel_size=2), ShapeError, r"avg_pool2d: .*\(2, 3\).*\(N, C"),
        (lambda: mg.avg_pool2d(IMAGE, kernel_size=9), ShapeError, "avg_pool2d: x is 6 x 6.*9 x 9"),
        (
            lambda: mg.avg_pool2d(IMAGE, kernel_size=2.0),
            ArgumentError,
            "avg_pool2d: kernel_size is",
        ),
        (lambda: mg.softmax(FLAT, axis=2), ShapeError, r"softmax: axis 2 .*\(2, 3\)"),
        (lambda: mg.flatten(FLAT, 1, 0), ArgumentError, r"flatten: start_axis 1 .*\(2, 3\)"),
        (lambda: mg.flatten(FLAT, 3), ShapeError, r"flatten: axis 3 .*\(2, 3\)"),
        (lambda: mg.instance_norm(FLAT), ShapeError, r"instance_norm: x has shape \(2, 3\)"),
        (lambda: mg.instance_norm(IMAGE, FLAT), ShapeError, r"instance_norm: weight .*\(3,\)"),
        (lambda: mg.batch_norm(IMAGE, None, None), ArgumentError, "batch_norm: .*running_mean"),
        (
            lambda: mg.batch_norm(IMAGE, FLAT, FLAT),
            ShapeError,
            r"batch_norm: running_mean .*\(3,\)",
        ),
        (
            lambda: mg.batch_norm(IMAGE[..., :1, :1], None, None, training=True),
            ShapeError,
            "batch_norm: .*more than one value",
        ),
        (
            lambda: mg.conv_transpose2d(IMAGE, WEIGHT),
            ShapeError,
            r"conv_transpose2d: x has shape \(1, 3, 6, 6\); .*\(N, 4, H, W\)",
        ),
        (
            lambda: mg.conv_transpose2d(IMAGE, IMAGE.transpose(1, 0, 2, 3), output_padding=1),
            ArgumentError,
            "conv_transpose2d: output_padding is",
        ),
        (
            lambda: mg.conv_transpose2d(IMAGE, IMAGE.transpose(1, 0, 2, 3), FLAT),
            ShapeError,
            r"conv_transpose2d: bias has shape \(2, 3\); it needs \(1,\)",
        ),
        (lambda: mg.matmul(FLAT, np.ones(4)), ShapeError, r"matmul: b has shape \(4,\).*3 rows"),
        (lambda: mg.matmul(np.ones(4), FLAT), ShapeError, r"matmul: .* a of shape \(4,\).*4 rows"),
        (
            lambda: mg.matmul(np.ones((2, 3, 3)), np.ones((4, 3, 3))),
            ShapeError,
            r"matmul: a has shape \(2, 3, 3\) and b has shape \(4, 3, 3\); .*broadcast",
        ),
        (lambda: mg.matmul(FLAT, 2.0), ShapeError, r"matmul: b has shape \(\)"),
        (lambda: mg.matmul(FLAT, None), ArgumentError, "matmul: b is None"),
        (lambda: mg.stack([]), ArgumentError, "stack: got no tensors"),
        (lambda: mg.stack([FLAT, FLAT[0]]), ShapeError, r"stack: tensor 1 has shape \(3,\)"),
        (lambda: mg.stack([FLAT], axis=3), ShapeError, "stack: axis 3"),
        (lambda: mg.stack([FLAT, "a"]), ArgumentError, r"stack: tensors\[1\] is 'a'"),
        (
            lambda: mg.concatenate(FLAT, FLAT, 1),
            ShapeError,
            r"concatenate: tensor 2 has shape \(\)",
        ),
        (lambda: mg.concatenate(FLAT, axis=0.5), ShapeError, "concatenate: axis 0.5"),
        (lambda: mg.conv2d(IMAGE, WEIGHT, 1), ShapeError, r"conv2d: bias has shape \(\)"),
        (lambda: mg.conv2d(IMAGE, WEIGHT[..., :0]), ShapeError, r"conv2d: weight .*\(4, 3, 3, 0\)"),
        (lambda: mg.conv2d(IMAGE, WEIGHT, stride=1.5), ArgumentError, "conv2d: stride is 1.5"),
        (lambda: mg.conv2d(IMAGE, None), ArgumentError, "conv2d: weight is None"),
        (
            lambda: mg.max_pool2d(IMAGE[:, :, :0], kernel_size=2, padding=1),
            ShapeError,
            "max_pool2d: x is 0 x 6",
        ),
        (lambda: mg.zero_pad2d(IMAGE, padding=None), ArgumentError, "zero_pad2d: padding is None"),
        (
            lambda: mg.upsample_bilinear2d(IMAGE, size=None),
            ArgumentError,
            "upsample_bilinear2d: size is None",
        ),
        (
            lambda: mg.upsample_nearest2d(IMAGE, scale_factor=1.5),
            ArgumentError,
            "upsample_nearest2d: scale_factor is 1.5",
        ),
        (lambda: FLAT.reshape(-2, -3), ArgumentError, r"reshape: shape is \(-2, -3\)"),
        (lambda: FLAT.reshape(-1, -1), ShapeError, r"reshape: shape \(-1, -1\) has 2 sizes of -1"),
        (lambda: FLAT.reshape(2.0, 3.0), ArgumentError, r"reshape: shape is \(2.0, 3.0\)"),
        (lambda: FLAT.transpose(0.0, 1.0), ArgumentError, r"transpose: axes is \(0.0, 1.0\)"),
        (lambda: FLAT.broadcast_to((2.0, 3)), ArgumentError, r"broadcast_to: shape is \(2.0, 3\)"),
        (lambda: FLAT.flip((0, 0)), ArgumentError, r"flip: axis \(0, 0\) .*twice"),
        (lambda: FLAT.flip(0.5), ShapeError, r"flip: axis 0.5 .*\(2, 3\)"),
        (lambda: FLAT.clip(min=FLAT), ArgumentError, "clip: min is a Tensor; it needs a number"),
        (lambda: FLAT.var(correction="a"), ArgumentError, "var: correction is 'a'"),
        (
            lambda: mg.leaky_relu(FLAT, negative_slope="a"),
            ArgumentError,
            "leaky_relu: negative_slope is 'a'",
        ),
        (lambda: mg.normalize(FLAT, axis=0, eps=None), ArgumentError, "normalize: eps is None"),
        (lambda: mg.dropout(FLAT, p=None), ArgumentError, "dropout: p is None"),
        (lambda: mg.cast(FLAT, dtype="real"), ArgumentError, "cast: dtype is 'real'"),
        (lambda: mg.linear(FLAT, np.ones((4, 3)), 0.5), ShapeError, r"linear: bias has shape \(\)"),
        (
            lambda: mg.where(FLAT > 0, FLAT, None),
            ArgumentError,
            "where: b is None; it needs numbers",
        ),
    ],
)
def test_a_wrong_call_gets_one_sentence_that_names_operation_and_argument(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 250


def test_masks_can_be_pooled():
    mask = mg.tensor(np.eye(4)[None, None] > 0)
    assert mg.max_pool2d(mask, kernel_size=2, padding=1).dtype == bool
    assert mg.max_pool2d(mask, kernel_size=2).tolist() == [[[[True, False], [False, True]]]]


def test_indices_of_any_integer_type_scatter():
    indices = np.zeros((1, 1, 2, 2), np.uint64)
    y = mg.scatter2d(np.ones((1, 1, 2, 2)), indices, input_size=2)
    assert y.tolist() == [[[[4, 0], [0, 0]]]]


def test_a_window_of_more_places_than_16_bits_count_has_its_maximum():
    x = np.zeros((1, 1, 1, 65540), np.float32)
    x[..., 65538] = 1
    y = mg.max_pool2d(Tensor(x), kernel_size=(1, 65538), stride=1)
    np.testing.assert_array_equal(y.numpy(), [[[[0, 1, 1]]]])


@pytest.mark.parametrize("axis", [(0, 1), (1,)])
def test_what_a_sums_adjoint_repeats_cannot_be_written_to(axis):
    """Its elements share memory: one written would be several."""
    total = Tensor(np.ones((2, 3))).sum(axis=axis)
    assert not spread(total, shape=(2, 3), axis=axis)._array.flags.writeable
