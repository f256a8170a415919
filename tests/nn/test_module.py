"""Module: the tree of parameters, its modes, its state, and its repr."""

from __future__ import annotations

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.core.errors import ArgumentError, DeviceError, MiniganError, ShapeError


class Block(nn.Module):
    """Two layers, a parameter and a buffer of its own, and attributes that are neither."""

    buffers = ("mean",)

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Conv2d(2, 2, 1, bias=False), nn.BatchNorm2d(2))
        self.scale = nn.parameter(np.ones(3, np.float32))
        self.mean = mg.tensor(np.zeros(3))
        self.last = nn.Linear(3, 1)
        self.without = None
        self.width = 3

    def forward(self, x):
        return self.last(x * self.scale)


PARAMETERS = [
    "scale",
    "inner.0.weight",
    "inner.1.weight",
    "inner.1.bias",
    "last.weight",
    "last.bias",
]
BUFFERS = [
    "mean",
    "inner.1.running_mean",
    "inner.1.running_var",
    "inner.1.num_batches_tracked",
]


def unchanged(module: nn.Module, before: dict) -> bool:
    after = module.state_dict()
    return all(np.array_equal(after[key], before[key]) for key in before | after)


# ---------------------------------------------------------------------- the tree


def test_parameters_and_buffers_are_known_by_their_paths():
    block = Block()
    assert [name for name, _ in block.named_parameters()] == PARAMETERS
    assert {name for name, _ in block.named_tensors()} == {*PARAMETERS, *BUFFERS}
    assert all(p.requires_grad for p in block.parameters())
    assert not any(t.requires_grad for n, t in block.named_tensors() if n in BUFFERS)


def test_the_order_of_names_is_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no oracle")

    class Theirs(torch.nn.Module):
        def __init__(self):
            super().__init__()
            conv = torch.nn.Conv2d(2, 2, 1, bias=False)
            self.inner = torch.nn.Sequential(conv, torch.nn.BatchNorm2d(2))
            self.scale = torch.nn.Parameter(torch.ones(3))
            self.register_buffer("mean", torch.zeros(3))
            self.last = torch.nn.Linear(3, 1)

    assert list(Block().state_dict()) == list(Theirs().state_dict())
    assert [n for n, _ in Theirs().named_parameters()] == PARAMETERS


def test_modules_are_listed_parents_first():
    names = [name for name, _ in Block().named_modules()]
    assert names == ["", "inner", "inner.0", "inner.1", "last"]
    assert [name for name, _ in Block().children()] == ["inner", "last"]


def test_a_buffer_of_one_module_may_have_the_name_of_a_parameter_of_another():
    class Other(nn.Module):
        def __init__(self):
            super().__init__()
            self.mean = nn.parameter(np.ones(2, np.float32))
            self.block = Block()

    names = [name for name, _ in Other().named_parameters()]
    assert "mean" in names
    assert "block.mean" not in names


def test_a_shared_parameter_is_trained_once_and_saved_under_both_names():
    first, second = nn.Linear(2, 2), nn.Linear(2, 2)
    second.weight = first.weight
    net = nn.Sequential(first, second)
    assert [name for name, _ in net.named_parameters()] == ["0.weight", "0.bias", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    net.load_state_dict(net.state_dict())
    again = nn.Sequential(first, nn.Tanh(), first)
    assert len(again.parameters()) == 2


def test_a_parameter_keeps_its_shape_and_lies_in_c_order():
    assert nn.parameter(np.array(2.0)).shape == ()
    array = np.ones((2, 3), np.float32)
    assert nn.parameter(array)._array is array
    assert nn.parameter(np.asfortranarray(array))._array.flags.c_contiguous


def test_a_replaced_layer_replaces_its_parameters():
    block = Block()
    block.last = nn.Linear(3, 5)
    assert dict(block.named_parameters())["last.weight"].shape == (5, 3)
    block.last = None
    assert not any(name.startswith("last") for name, _ in block.named_tensors())


# ---------------------------------------------------------------------- modes


def test_train_and_eval_reach_the_whole_tree_and_return_the_module():
    block = Block()
    assert all(module.training for _, module in block.named_modules())
    assert block.eval() is block
    assert not any(module.training for _, module in block.named_modules())
    assert block.train() is block
    assert all(module.training for _, module in block.named_modules())


def test_requires_grad_freezes_the_parameters_and_thaws_them_but_not_the_buffers():
    block = Block()
    assert block.requires_grad_(False) is block
    assert not any(t.requires_grad for _, t in block.named_tensors())
    assert not block(mg.rand(2, 3)).requires_grad
    block.requires_grad_()
    assert [n for n, t in block.named_tensors() if t.requires_grad] == [
        n for n, _ in block.named_tensors() if n in PARAMETERS
    ]


def test_zero_grad_forgets_all_gradients():
    block = Block()
    block(mg.rand(2, 3)).sum().backward()
    assert block.scale.grad is not None
    block.zero_grad()
    assert all(p.grad is None for p in block.parameters())


# ---------------------------------------------------------------------- to


def test_to_changes_the_dtype_of_floating_tensors_only_and_of_their_gradients():
    block = Block()
    values = block.state_dict()
    block(mg.rand(2, 3)).sum().backward()
    tensors = dict(block.named_tensors())
    assert block.to(np.float64) is block
    assert dict(block.named_tensors()) == tensors  # the same objects: optimisers hold them
    for name, t in tensors.items():
        assert t.dtype == (np.int64 if name.endswith("tracked") else np.float64)
        assert t.requires_grad == (name in PARAMETERS)
        np.testing.assert_array_equal(t.numpy(), values[name])
    assert block.scale.grad is not None
    assert block.scale.grad.dtype == np.float64
    assert not block.scale.grad.requires_grad
    block(mg.tensor(np.ones((2, 3)), dtype=np.float64)).sum().backward()
    assert block.scale.grad.dtype == np.float64
    assert block.to("float32").scale.dtype == np.float32


def test_a_graph_from_before_a_change_of_dtype_refuses_to_run():
    layer = nn.Linear(2, 2)
    x = mg.tensor([[1.0, 2.0]], requires_grad=True)
    y = layer(x).sum()
    layer.to(np.float64)
    with pytest.raises(mg.GraphError, match="linear: argument 'weight' was saved"):
        y.backward()


def test_to_a_device_is_left_alone_where_it_is_there_already():
    block = Block()
    assert block.to("cpu") is block


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        (np.int32, ArgumentError, "to: Block cannot be trained in int32; it needs a device or"),
        (bool, ArgumentError, "to: Block cannot be trained in bool"),
        ("moon", DeviceError, "device 'moon' is not there"),
    ],
)
def test_to_refuses_a_target_in_one_sentence_and_changes_nothing(target, error, message):
    block = Block()
    with pytest.raises(error, match=message):
        block.to(target)
    assert all(
        t.dtype == (np.int64 if "tracked" in n else np.float32) for n, t in block.named_tensors()
    )
    assert all(p.requires_grad for p in block.parameters())


# ---------------------------------------------------------------------- state


def test_the_state_is_a_copy_in_both_directions():
    block = Block()
    state = block.state_dict()
    state["scale"][:] = 7
    assert block.scale.tolist() == [1, 1, 1]
    block.load_state_dict(state)
    assert block.scale.tolist() == [7, 7, 7]
    state["scale"][:] = 8
    assert block.scale.tolist() == [7, 7, 7]


def test_a_round_trip_through_the_state_gives_the_same_bits():
    first, second = Block(), Block()
    assert not unchanged(second, first.state_dict())
    second.load_state_dict(first.state_dict())
    assert unchanged(second, first.state_dict())
    x = mg.rand(4, 3)
    assert first(x).tolist() == second(x).tolist()


def test_loading_converts_to_the_dtype_of_the_module_and_takes_any_array():
    block = Block()
    state = {name: a.tolist() for name, a in block.state_dict().items()}
    state["scale"] = [1, 2, 3]
    state["mean"] = np.array([1.0, 2.0, 3.0], np.float64)
    state["last.bias"] = mg.tensor([5.0])
    block.load_state_dict(state)
    assert block.scale.tolist() == [1, 2, 3]
    assert block.last.bias.item() == 5
    assert {t.dtype for _, t in block.named_tensors()} == {np.dtype("f4"), np.dtype("i8")}


def test_a_graph_from_before_loading_refuses_to_run():
    layer = nn.Linear(2, 2)
    y = layer(mg.tensor([[1.0, 2.0]], requires_grad=True)).sum()
    layer.load_state_dict(layer.state_dict())
    with pytest.raises(mg.GraphError):
        y.backward()


def without(state, *names):
    return {name: a for name, a in state.items() if name not in names}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (
            lambda s: without(s, "scale", "last.bias"),
            ArgumentError,
            "load_state_dict: Block needs 10 tensors; missing: last.bias, scale; not its own: none",
        ),
        (
            lambda s: {**s, **{f"x{i}": np.ones(1) for i in range(5)}},
            ArgumentError,
            "missing: none; not its own: x0, x1, x2 and 2 more",
        ),
        (
            lambda s: {**s, "last.weight": np.ones((3, 1))},
            ShapeError,
            "load_state_dict: 'last.weight' has shape (3, 1); it needs (1, 3)",
        ),
        (lambda s: {**s, "last.bias": np.float32(1)}, ShapeError, "'last.bias' has shape ()"),
        (
            lambda s: {**s, "last.bias": np.array(["a"])},
            ArgumentError,
            "load_state_dict: 'last.bias' holds <U1; it needs float32",
        ),
        (lambda s: {**s, "last.bias": np.array([1j])}, ArgumentError, "holds complex128"),
        (
            lambda s: {**s, "inner.1.num_batches_tracked": np.array(1.5)},
            ArgumentError,
            "holds float64; it needs int64",
        ),
    ],
)
def test_a_state_that_does_not_fit_is_refused_in_one_sentence_and_nothing_changes(
    change, error, message
):
    block = Block()
    before = block.state_dict()
    strange = change({name: a + 1 for name, a in before.items()})
    with pytest.raises(error) as caught:
        block.load_state_dict(strange)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)
    assert unchanged(block, before)
    assert isinstance(caught.value, MiniganError)


# ---------------------------------------------------------------------- repr


def test_repr_shows_the_tree_and_the_settings_of_each_layer():
    net = nn.Sequential(
        nn.Conv2d(4, 6, (3, 2), stride=2, groups=2, bias=False),
        nn.Sequential(nn.BatchNorm2d(6), nn.LeakyReLU(0.2)),
        nn.ConvTranspose2d(6, 4, 3, groups=2),
        nn.MaxPool2d(2),
        nn.Upsample(2),
        nn.Dropout(0.25),
        nn.InstanceNorm2d(4),
        nn.ReflectionPad2d(1),
        nn.Flatten(),
        nn.Unflatten(1, (2, -1)),
        nn.Linear(8, 2, bias=False),
        nn.Tanh(),
    )
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Conv2d(4, 6, kernel_size=(3, 2), stride=2, padding=0, dilation=1, groups=2, bias=False)\n"
        "  (1): Sequential(\n"
        "    (0): BatchNorm2d(6, eps=1e-05, momentum=0.1, affine=True)\n"
        "    (1): LeakyReLU(0.2)\n"
        "  )\n"
        "  (2): ConvTranspose2d(6, 4, kernel_size=(3, 3), stride=1, padding=0, output_padding=0, "
        "groups=2, dilation=1, bias=True)\n"
        "  (3): MaxPool2d(kernel_size=2, stride=None, padding=0)\n"
        "  (4): Upsample(scale_factor=(2, 2), mode='nearest')\n"
        "  (5): Dropout(p=0.25)\n"
        "  (6): InstanceNorm2d(4, eps=1e-05, affine=False)\n"
        "  (7): ReflectionPad2d(1)\n"
        "  (8): Flatten(1, -1)\n"
        "  (9): Unflatten(1, (2, -1))\n"
        "  (10): Linear(8, 2, bias=False)\n"
        "  (11): Tanh()\n"
        ")"
    )


def test_every_public_name_says_what_it_does():
    for name in nn.__all__:
        assert getattr(nn, name).__doc__, name
