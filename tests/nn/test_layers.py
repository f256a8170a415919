"""Every layer against torch.nn's layer of the same name, made with the same arguments."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.core.errors import ArgumentError, MiniganError, ShapeError
from minigan.core.tensor import Tensor
from minigan.ops.random import default_generator


@pytest.fixture(autouse=True)
def the_default_generator_starts_at_0_and_goes_back():
    before = default_generator.get_state()
    mg.manual_seed(0)
    yield
    default_generator.set_state(before)


# name, positional arguments, keyword arguments, shape of the input
CASES = [
    ("Linear", (5, 3), {}, (4, 5)),
    ("Linear", (5, 3, False), {}, (4, 5)),
    ("Linear", (5, 3), {}, (2, 4, 5)),
    ("Conv2d", (3, 4, 3), {}, (2, 3, 6, 5)),
    ("Conv2d", (2, 4, (3, 2), 2, 1), {}, (2, 2, 7, 6)),
    ("Conv2d", (2, 4, 3, (2, 1), (0, 2), (1, 2)), {}, (1, 2, 7, 6)),
    ("Conv2d", (4, 6, 3), {"padding": 1, "groups": 2, "bias": False}, (2, 4, 5, 5)),
    ("Conv2d", (3, 6, 3, 2, 1, 1, 3, False), {}, (2, 3, 6, 6)),
    ("ConvTranspose2d", (3, 4, 3), {}, (2, 3, 4, 3)),
    ("ConvTranspose2d", (3, 2, 4, 2, 1), {}, (2, 3, 4, 3)),
    ("ConvTranspose2d", (4, 6, 3, 2, 1, 1, 2), {}, (1, 4, 3, 3)),
    ("ConvTranspose2d", (2, 2, (3, 2), (1, 3), 0, (0, 2), 1, False, 2), {}, (1, 2, 4, 3)),
    ("MaxPool2d", (2,), {}, (2, 3, 6, 5)),
    ("MaxPool2d", ((3, 2), (2, 1), (1, 0)), {}, (2, 3, 6, 5)),
    ("AvgPool2d", (2,), {}, (2, 3, 6, 5)),
    ("AvgPool2d", (3, 2, 1), {}, (2, 3, 6, 5)),
    ("Upsample", (), {"scale_factor": 2}, (2, 3, 3, 2)),
    ("Upsample", (), {"scale_factor": (3, 2)}, (2, 3, 3, 2)),
    ("Upsample", (), {"scale_factor": 2, "mode": "bilinear"}, (2, 3, 3, 2)),
    ("Upsample", (), {"scale_factor": (1, 3), "mode": "bilinear"}, (2, 3, 3, 2)),
    ("ReflectionPad2d", (2,), {}, (2, 3, 4, 5)),
    ("ReflectionPad2d", ((1, 2, 3, 0),), {}, (2, 3, 4, 5)),
    ("ZeroPad2d", (1,), {}, (2, 3, 4, 5)),
    ("ZeroPad2d", ((1, 2, 3, 0),), {}, (2, 3, 4, 5)),
    ("InstanceNorm2d", (3,), {}, (2, 3, 4, 5)),
    ("InstanceNorm2d", (3, 1e-2), {"affine": True}, (2, 3, 4, 5)),
    ("BatchNorm2d", (3,), {}, (4, 3, 2, 3)),
    ("BatchNorm2d", (3, 1e-2, 0.3, False), {}, (4, 3, 2, 3)),
    ("Flatten", (), {}, (2, 3, 4)),
    ("Flatten", (0, 1), {}, (2, 3, 4)),
    ("Unflatten", (1, (2, 3)), {}, (2, 6, 2)),
    ("Unflatten", (-1, (3, 2)), {}, (2, 6)),
    ("Unflatten", (), {"dim": -2, "unflattened_size": (-1, 2)}, (2, 6, 2)),
    ("ReLU", (), {}, (3, 4)),
    ("LeakyReLU", (), {}, (3, 4)),
    ("LeakyReLU", (0.2,), {}, (3, 4)),
    ("Sigmoid", (), {}, (3, 4)),
    ("Tanh", (), {}, (3, 4)),
]


def described(value) -> str | None:
    return repr(value).replace(" ", "") if isinstance(value, tuple | dict) else None


each_case = pytest.mark.parametrize(("name", "args", "kwargs", "shape"), CASES, ids=described)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def twins(name, args, kwargs, dtype="float64"):
    """Our layer and PyTorch's, both with PyTorch's initial values and our noise in the buffers."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    torch.manual_seed(0)
    theirs = getattr(torch.nn, name)(*args, **kwargs).to(getattr(torch, dtype))
    ours = getattr(nn, name)(*args, **kwargs)
    ours.to(dtype)
    ours.load_state_dict({key: t.numpy() for key, t in theirs.state_dict().items()})
    return torch, ours, theirs


def assert_near(actual: Tensor, expected, tolerance: float) -> None:
    expected = expected.detach().numpy()
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(actual.numpy(), expected, rtol=0, atol=tolerance * scale)


def test_every_layer_is_compared_with_pytorch():
    layers = {name for name in nn.__all__ if isinstance(getattr(nn, name), type)}
    assert layers - {name for name, *_ in CASES} == {"Module", "Sequential", "Dropout"}


@each_case
def test_the_state_has_the_keys_shapes_and_dtypes_of_pytorch(name, args, kwargs, shape):
    _, ours, theirs = twins(name, args, kwargs, "float32")
    expected = [(k, tuple(t.shape), t.numpy().dtype) for k, t in theirs.state_dict().items()]
    assert [(k, a.shape, a.dtype) for k, a in ours.state_dict().items()] == expected
    names = [k for k, _ in theirs.named_parameters()]
    assert [k for k, _ in ours.named_parameters()] == names


@each_case
def test_values_and_first_and_second_derivatives_are_those_of_pytorch(name, args, kwargs, shape):
    torch, ours, theirs = twins(name, args, kwargs)
    values = noise(*shape)
    x, z = mg.tensor(values, True, np.float64), torch.tensor(values, requires_grad=True)
    y, out = ours(x), theirs(z)
    assert_near(y, out, 1e-12)
    flow = noise(*y.shape, seed=1)
    a, b = [x, *ours.parameters()], [z, *theirs.parameters()]
    first = mg.grad(y, a, Tensor(flow), create_graph=True)
    expected = torch.autograd.grad(out, b, torch.tensor(flow), create_graph=True)
    for p, q in zip(first, expected, strict=True):
        assert_near(p, q, 1e-10)
    curved = [i for i, q in enumerate(expected) if q.requires_grad and first[i].requires_grad]
    if not curved:
        return
    weights = [noise(*first[i].shape, seed=i) for i in curved]
    second = mg.grad([first[i] for i in curved], a, [Tensor(w) for w in weights])
    expected = torch.autograd.grad(
        [expected[i] for i in curved],
        b,
        [torch.tensor(w) for w in weights],
        allow_unused=True,
        materialize_grads=True,
    )
    for p, q in zip(second, expected, strict=True):
        assert_near(p, q, 1e-9)


@each_case
def test_in_float32_everything_stays_float32_and_near_pytorch(name, args, kwargs, shape):
    torch, ours, theirs = twins(name, args, kwargs, "float32")
    values = noise(*shape).astype(np.float32)
    x, z = mg.tensor(values, requires_grad=True), torch.tensor(values, requires_grad=True)
    y, out = ours(x), theirs(z)
    assert_near(y, out, 1e-5)
    flow = noise(*y.shape, seed=1).astype(np.float32)
    y.backward(Tensor(flow))
    out.backward(torch.tensor(flow))
    for p, q in zip([x, *ours.parameters()], [z, *theirs.parameters()], strict=True):
        assert p.grad is not None
        assert_near(p.grad, q.grad, 1e-5)


# ---------------------------------------------------------------------- batch norm


def test_running_statistics_follow_pytorch_over_several_batches_and_serve_in_eval_mode():
    torch, ours, theirs = twins("BatchNorm2d", (3,), {"momentum": 0.3})
    for step in range(3):
        values = 2 * noise(4, 3, 2, 3, seed=step) + 1
        ours(mg.tensor(values, dtype=np.float64))
        theirs(torch.tensor(values))
    for key, expected in theirs.state_dict().items():
        np.testing.assert_allclose(ours.state_dict()[key], expected.numpy(), rtol=1e-12)
    ours.eval()
    theirs.eval()
    before = ours.state_dict()
    x, z = (make(noise(2, 3, 4, 4, seed=9)) for make in (Tensor, torch.tensor))
    x.requires_grad_()
    z.requires_grad_()
    y, out = ours(x), theirs(z)
    assert_near(y, out, 1e-12)
    (y * y).sum().backward()
    (out * out).sum().backward()
    pairs = zip([x, *ours.parameters()], [z, *theirs.parameters()], strict=True)
    for p, q in pairs:
        assert p.grad is not None
        assert_near(p.grad, q.grad, 1e-11)
    for key, value in before.items():
        np.testing.assert_array_equal(ours.state_dict()[key], value)


def test_eval_mode_uses_each_image_alone():
    norm = nn.BatchNorm2d(3).eval()
    x = noise(4, 3, 2, 2).astype(np.float32)
    whole = norm(mg.tensor(x)).numpy()
    np.testing.assert_array_equal(whole[1:2], norm(mg.tensor(x[1:2])).numpy())


def test_a_batch_that_is_refused_leaves_the_running_statistics_alone():
    norm = nn.BatchNorm2d(3)
    before = norm.state_dict()
    for shape in [(2, 4, 2, 2), (1, 3, 1, 1), (2, 3)]:
        with pytest.raises(ShapeError):
            norm(mg.tensor(np.ones(shape)))
    for key, value in before.items():
        np.testing.assert_array_equal(norm.state_dict()[key], value)


def test_running_statistics_are_not_part_of_the_graph():
    norm = nn.BatchNorm2d(2)
    x = mg.tensor(noise(3, 2, 2, 2), requires_grad=True)
    loss = norm(x).sum()
    norm(x)  # moves the statistics on, which the graph of the first pass must not mind
    loss.backward()
    assert not norm.running_mean.requires_grad


# ---------------------------------------------------------------------- dropout


def test_dropout_in_eval_mode_is_the_identity():
    x = mg.tensor(noise(3, 4))
    assert nn.Dropout(0.5).eval()(x) is x


def test_dropout_keeps_its_share_scales_it_and_its_gradient_uses_the_same_mask():
    layer = nn.Dropout(0.3)
    x = mg.tensor(np.ones(100_000), requires_grad=True)
    y = layer(x)
    kept = y.numpy() != 0
    assert abs(kept.mean() - 0.7) < 0.01
    np.testing.assert_array_equal(y.numpy()[kept], np.float32(1 / 0.7))
    y.sum().backward()
    assert x.grad is not None
    np.testing.assert_array_equal(x.grad.numpy(), y.numpy())


def test_dropout_draws_another_mask_each_time_and_the_same_ones_from_the_same_seed():
    x = mg.tensor(np.ones(64))

    def masks(generator) -> list[list[float]]:
        layer = nn.Dropout(0.5, generator=generator)
        return [layer(x).tolist() for _ in range(3)]

    first = masks(mg.Generator(5))
    assert first == masks(mg.Generator(5))
    assert first != masks(mg.Generator(6))
    assert first[0] != first[1] != first[2] != first[0]


@pytest.mark.parametrize(("p", "expected"), [(0, 1.0), (1, 0.0)])
def test_dropout_of_nothing_keeps_all_and_of_everything_keeps_nothing(p, expected):
    assert set(nn.Dropout(p)(mg.tensor(np.ones(1000))).tolist()) == {expected}


# ---------------------------------------------------------------------- initial values


@pytest.mark.parametrize(
    ("name", "args", "fan"),
    [
        ("Linear", (100, 200), 100),
        ("Conv2d", (20, 40, 5), 20 * 25),
        ("Conv2d", (20, 40, (3, 5), 1, 0, 1, 4), 5 * 15),
        ("ConvTranspose2d", (40, 20, 5), 20 * 25),
        ("ConvTranspose2d", (40, 40, 3, 1, 0, 0, 4), 10 * 9),
    ],
)
def test_initial_values_are_uniform_with_the_bound_of_pytorch(name, args, fan):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    torch.manual_seed(0)
    ours = [getattr(nn, name)(*args) for _ in range(20)]
    theirs = [getattr(torch.nn, name)(*args) for _ in range(20)]
    bound = fan**-0.5
    for part in ("weight", "bias"):
        a = np.concatenate([getattr(layer, part).numpy().ravel() for layer in ours]) / bound
        b = np.concatenate([getattr(layer, part).detach().numpy().ravel() for layer in theirs])
        b /= bound
        assert a.dtype == np.float32
        levels = np.linspace(0, 1, 21)
        allowed = 4 / np.sqrt(a.size)  # a quantile in [-1, 1] deviates by at most 1 / sqrt(n)
        np.testing.assert_allclose(np.quantile(a, levels), 2 * levels - 1, atol=allowed)
        np.testing.assert_allclose(np.quantile(a, levels), np.quantile(b, levels), atol=allowed)
        assert max(np.abs(a).max(), np.abs(b).max()) <= 1.000001


@pytest.mark.parametrize("affine", [False, True])
def test_an_instance_norm_that_rectifies_is_one_followed_by_relu(affine):
    x = Tensor(np.random.default_rng(0).standard_normal((2, 3, 4, 5)))
    plain, fused = (nn.InstanceNorm2d(3, affine=affine, relu=relu) for relu in (False, True))
    if affine:
        for layer in (plain, fused):
            layer.bias.copy_(np.array([-0.5, 0.0, 0.5]))
    np.testing.assert_array_equal(fused(x).numpy(), mg.relu(plain(x)).numpy())
    assert repr(fused).endswith("relu=True)")


@pytest.mark.parametrize("layer", [nn.BatchNorm2d(3), nn.InstanceNorm2d(3, affine=True)])
def test_norms_begin_with_weight_1_and_bias_0(layer):
    assert layer.weight.tolist() == [1, 1, 1]
    assert layer.bias.tolist() == [0, 0, 0]


def test_the_same_seed_gives_the_same_weights_and_the_next_layer_others():
    def weights():
        mg.manual_seed(7)
        return [layer.weight.tolist() for layer in (nn.Linear(3, 3), nn.Linear(3, 3))]

    first, second = weights()
    assert [first, second] == weights()
    assert first != second


def test_kaiming_normal_keeps_the_variance_through_relu_layers():
    for slope in (0.0, 0.2):
        x = noise(500, 400)
        for _ in range(4):
            x = x @ nn.init.kaiming_normal((400, 400), slope).T
            x = np.where(x > 0, x, slope * x)
        assert 0.8 < np.mean(x * x) < 1.25


def test_normal_initial_values_have_the_deviation_asked_for():
    w = nn.init.normal((200, 200), 0.02, mg.Generator(1))
    assert w.dtype == np.float32
    assert abs(w.std() - 0.02) < 0.0005
    assert abs(w.mean()) < 0.0005


# ---------------------------------------------------------------------- Sequential


def test_sequential_applies_its_layers_in_order_and_names_them_by_number():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")
    ours = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Sequential(nn.Linear(4, 2)))
    theirs = torch.nn.Sequential(
        torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Sequential(torch.nn.Linear(4, 2))
    )
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    x = noise(5, 3).astype(np.float32)
    assert_near(ours(mg.tensor(x)), theirs(torch.tensor(x)), 1e-6)


def test_sequential_can_be_counted_indexed_and_iterated():
    layers = [nn.Linear(2, 2), nn.ReLU(), nn.Linear(2, 1)]
    net = nn.Sequential(*layers)
    assert len(net) == 3
    assert list(net) == layers
    assert net[0] is layers[0]
    assert net[-1] is layers[2]


def test_sequential_of_many_layers_keeps_their_order_beyond_ten():
    net = nn.Sequential(*(nn.LeakyReLU(i) for i in range(12)))
    assert [layer.negative_slope for layer in net] == list(range(12))


# ---------------------------------------------------------------------- bad calls

BAD = [
    (lambda: nn.Sequential([nn.ReLU()]), "Sequential: layer 0 is of type list; it needs a Module"),
    (lambda: nn.Sequential(nn.ReLU(), mg.relu), "Sequential: layer 1 is of type Op"),
    (lambda: nn.Linear(0, 2), "Linear: in_features is 0; it needs a positive integer"),
    (lambda: nn.Linear(2, 1.5), "Linear: out_features is 1.5; it needs a positive integer"),
    (lambda: nn.Conv2d(3, -1, 3), "Conv2d: out_channels is -1; it needs a positive integer"),
    (lambda: nn.Conv2d(3, 4, 3, groups=2), "Conv2d: got 3 input and 4 output channels in 2 groups"),
    (lambda: nn.Conv2d(3, 4, 0), "Conv2d: kernel_size is 0; it needs one or two integers"),
    (lambda: nn.ConvTranspose2d(4, 3, 3, groups=2), "ConvTranspose2d: got 4 input and 3 output"),
    (lambda: nn.BatchNorm2d(0), "BatchNorm2d: num_features is 0; it needs a positive integer"),
    (lambda: nn.InstanceNorm2d(2.0), "InstanceNorm2d: num_features is 2.0"),
    (lambda: nn.Dropout(1.5), "Dropout: p is 1.5; it needs a probability from 0 to 1"),
    (
        lambda: nn.Upsample(2, "cubic"),
        "Upsample: mode is 'cubic'; it needs 'nearest' or 'bilinear'",
    ),
    (lambda: nn.Unflatten(2, (1, 2))(mg.rand(2, 2)), "Unflatten: axis 2 does not exist in shape"),
    (
        lambda: nn.Linear(3, 2)(mg.rand(2, 4)),
        "linear: x has shape (2, 4); for weight of shape (2, 3)",
    ),
    (lambda: nn.Conv2d(3, 2, 3)(mg.rand(1, 2, 5, 5)), "conv2d: x has shape (1, 2, 5, 5)"),
    (lambda: nn.BatchNorm2d(2)(mg.rand(2, 3, 4, 4)), "batch_norm: running_mean has shape (2,)"),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_a_wrong_call_is_told_in_one_sentence(call, message):
    with pytest.raises(MiniganError) as caught:
        call()
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_position_that_means_something_else_in_pytorch_is_not_taken():
    with pytest.raises(TypeError):
        nn.InstanceNorm2d(3, 1e-5, True)  # PyTorch's third argument is the momentum
    with pytest.raises(TypeError):
        nn.Dropout(0.5, True)  # PyTorch's second argument is `inplace`


def test_layers_take_what_numpy_gives_as_sizes():
    n = np.int64(3)
    assert nn.Conv2d(n, n, n)(mg.rand(1, 3, 4, 4)).shape == (1, 3, 2, 2)
    with pytest.raises(ArgumentError):
        nn.Linear(np.int64(-3), 2)
