"""Tensor: what it is, what it holds, how it meets Python and NumPy."""

from __future__ import annotations

import copy
import pickle
import pydoc
import re
import subprocess
import sys

import numpy as np
import pytest
from standin_cupy import install

import minigan as mg
from minigan.core import errors
from minigan.core.errors import ArgumentError, DeviceError, ShapeError, VersionError


@pytest.fixture
def x() -> mg.Tensor:
    return mg.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]], requires_grad=True)


# ---------------------------------------------------------------------- making one


def test_tensor_copies_what_it_is_given():
    source = np.ones(3, np.float32)
    t = mg.tensor(source)
    source[:] = 7
    assert t.tolist() == [1, 1, 1]
    other = mg.tensor(t)
    t.copy_([2, 2, 2])
    assert other.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("given", "dtype"),
    [
        (1.5, "float32"),
        ([1.0, 2], "float32"),
        (np.zeros(2), "float32"),
        (np.float64(3), "float32"),
        ([], "float32"),
        (3, "int64"),
        ([1, 2], "int64"),
        (np.zeros(2, np.int32), "int32"),
        (np.zeros(2, np.uint8), "uint8"),
        ([True, False], "bool"),
    ],
)
def test_floating_point_values_become_float32_and_others_keep_their_type(given, dtype):
    assert mg.tensor(given).dtype == dtype


def test_a_dtype_that_is_asked_for_is_taken():
    assert mg.tensor([1.0], dtype=mg.float64).dtype == np.float64
    assert mg.tensor([1, 2], dtype="float32").dtype == np.float32
    assert mg.tensor([1.7], dtype=mg.int64).tolist() == [1]


def test_a_tensor_made_of_a_tensor_keeps_its_dtype_but_not_its_graph(x):
    double = (x * 2).to(mg.float64)
    assert mg.tensor(double).dtype == np.float64
    assert not mg.tensor(double).requires_grad
    assert mg.tensor([x[0, 0], x[1, 1]]).tolist() == [1, 5]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mg.tensor("abc"), ArgumentError, "tensor: values is 'abc'; it needs numbers"),
        (lambda: mg.tensor(None), ArgumentError, "tensor: values is None; it needs numbers"),
        (lambda: mg.tensor([1j]), ArgumentError, "tensor: values is .*; it needs numbers"),
        (lambda: mg.tensor([[1], [1, 2]]), ShapeError, "tensor: values: the rows differ in length"),
        (lambda: mg.tensor(1.0, dtype="flot32"), ArgumentError, "tensor: dtype is 'flot32'"),
        (lambda: mg.tensor(1.0, dtype=complex), ArgumentError, "tensor: dtype is .*complex"),
        (lambda: mg.tensor(1.0, device="tpu"), DeviceError, "'tpu' is not there.*cpu"),
        (lambda: mg.tensor([1, 2], requires_grad=True), ArgumentError, "int64 has no derivative"),
        (lambda: mg.rand(2, -1), ArgumentError, r"rand: shape is \(2, -1\); .*at least 0"),
        (lambda: mg.randn(1.5), ArgumentError, r"randn: shape is 1.5; it needs integers"),
        (lambda: mg.manual_seed(-1), ArgumentError, "manual_seed: seed is -1; .*non-negative"),
    ],
)
def test_what_cannot_become_a_tensor_is_refused_in_one_sentence(call, error, words):
    with pytest.raises(error, match=words) as caught:
        call()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "shown"),
    [([1.0, 2.0], r"\[1.0, 2.0\]"), (2.0, "2.0"), (mg.rand(20, 20), "a Tensor")],
)
def test_the_class_takes_arrays_and_points_to_the_function_that_takes_more(values, shown):
    with pytest.raises(ArgumentError, match=rf"Tensor: array is {shown}; .*minigan.tensor makes"):
        mg.Tensor(values)


def test_random_tensors_take_sizes_or_one_shape():
    assert mg.rand(2, 3).shape == mg.randn((2, 3)).shape == (2, 3)
    assert mg.randn().shape == ()
    assert mg.randn().numpy().dtype == np.float32


# ---------------------------------------------------------------------- what it is


def test_repr_tells_shape_dtype_device_operation_and_values(x):
    assert repr(mg.tensor([1.0, 2.5])) == (
        "tensor([1.  2.5], shape=(2,), dtype=float32, device='cpu')"
    )
    assert repr(x).endswith("shape=(2, 3), dtype=float32, device='cpu', requires_grad=True)")
    assert repr(x.exp()).endswith("device='cpu', exp)")
    assert repr(mg.tensor(3)) == "tensor(3, shape=(), dtype=int64, device='cpu')"


def test_repr_shows_a_large_tensor_in_short():
    assert len(repr(mg.rand(100, 100, 100))) < 1500  # 813, or 1069 where a number shown is tiny


def test_its_measures_are_those_of_its_array(x):
    assert (x.shape, x.ndim, x.numel(), len(x), x.dtype) == ((2, 3), 2, 6, 2, np.float32)


def test_a_leaf_is_what_no_recorded_operation_made(x):
    assert x.is_leaf
    assert x.detach().is_leaf
    assert not (x * 2).is_leaf
    with mg.no_grad():
        assert (x * 2).is_leaf


def test_tensors_hash_by_identity_and_compare_by_element(x):
    twin = mg.tensor(x)
    assert (x == twin).tolist() == [[True] * 3] * 2
    assert (x != twin).tolist() == [[False] * 3] * 2
    assert len({x, twin}) == 2
    assert {x: 1}[x] == 1


def test_a_tensor_is_not_equal_to_none(x):
    for a, b in ((x, None), (None, x)):
        assert (a == b) is False
        assert (a != b) is True
    assert None not in [x]
    with pytest.raises(ArgumentError, match="eq: b is 'a'"):
        x == "a"  # noqa: B015


def test_comparisons_work_from_both_sides(x):
    three = np.full(3, 3.0)
    assert (x > three).tolist() == (three < x).tolist() == [[False] * 3, [True] * 3]
    assert (x <= three).tolist() == (three >= x).tolist() == [[True] * 3, [False] * 3]


def test_help_shows_the_docstring_of_the_operation():
    assert mg.Tensor.exp.__doc__ == mg.exp.__doc__
    assert mg.Tensor.__add__.__doc__ == mg.add.__doc__
    assert mg.Tensor.sum.__qualname__ == "Tensor.sum"
    page = pydoc.plain(pydoc.render_doc(mg.Tensor.sum)).replace("'", "")  # as Python 3.14 shows it
    assert "sum(self: Tensor, axis: Axis = None, keepdims" in page


# ---------------------------------------------------------------------- what it holds


def test_numpy_gives_a_view_that_cannot_be_written_to(x):
    view = x.numpy()
    with pytest.raises(ValueError, match="read-only"):
        view[0] = 1
    x.copy_(x.detach() * 2)
    assert view[0].tolist() == [2, 4, 6]


def test_numpy_functions_read_tensors(x):
    assert np.mean(np.asarray(x)) == 3.5
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    np.array(x)[0] = 9  # a copy
    assert x[0].tolist() == [1, 2, 3]
    np.testing.assert_array_equal(x, [[1, 2, 3], [4, 5, 6]])


def test_a_single_element_becomes_a_python_number():
    t = mg.tensor([[2.5]])
    assert (t.item(), float(t), int(t), bool(t)) == (2.5, 2.5, 2, True)
    assert type(mg.tensor(3).item()) is int
    assert type(mg.tensor(True).item()) is bool
    assert not mg.tensor(0.0)


def test_a_single_element_is_formatted_as_a_number(x):
    loss = mg.tensor([[0.12345]], requires_grad=True)
    assert f"{loss:.3f} {loss * 2:8.2f} {mg.tensor(7):d}" == "0.123     0.25 7"
    assert f"{x}" == str(x) == repr(x)
    with pytest.raises(ShapeError, match=r"format: .*\(2, 3\) has 6 elements; it needs one"):
        f"{x:.3f}"


@pytest.mark.parametrize(
    ("name", "convert"),
    [("item", mg.Tensor.item), ("float", float), ("int", int), ("bool", bool)],
)
def test_several_elements_are_no_python_number(x, name, convert):
    with pytest.raises(ShapeError, match=rf"{name}: .*\(2, 3\) has 6 elements; it needs one"):
        convert(x)


def test_a_tensor_without_axes_has_no_length_and_cannot_be_iterated():
    with pytest.raises(ShapeError, match="len"):
        len(mg.tensor(1.0))
    with pytest.raises(ShapeError, match="iteration"):
        iter(mg.tensor(1.0))


def test_iteration_yields_rows_that_belong_to_the_graph(x):
    a, b = x
    (a * b).sum().backward()
    assert x.grad.tolist() == [[4, 5, 6], [1, 2, 3]]
    assert 5.0 in x[1]
    assert [len(row) for row in x] == [3, 3]


@pytest.mark.parametrize(
    "index",
    [
        0,
        -1,
        (1, 2),
        slice(None, None, 2),
        (slice(None), slice(None, None, -1)),
        None,
        ...,
        (..., 0),
        [1, 0, 1],
        ([0, 1], [2, 2]),
        np.array([[True, False, True], [False, True, False]]),
        [False, True],
        np.int64(1),
        (),
    ],
    ids=repr,
)
def test_indexing_means_what_numpy_means(x, index):
    np.testing.assert_array_equal(x[index].numpy(), x.numpy()[index])
    expected = np.zeros((2, 3))
    np.add.at(expected, index, 1)
    x[index].sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), expected)


def test_an_empty_list_picks_nothing(x):
    assert x[[]].shape == (0, 3)
    assert mg.grad(x[[]].sum(), x)[0].tolist() == [[0] * 3] * 2


def test_tensors_serve_as_indices(x):
    assert x[mg.tensor([1, 0])].tolist() == [[4, 5, 6], [1, 2, 3]]
    assert x[x > 4].tolist() == [5, 6]
    assert x[mg.tensor(1), 2].item() == 6


@pytest.mark.parametrize("index", [2, (0, 0, 0), 1.5, "a", [0.5], (0, [5])])
def test_a_bad_index_gets_one_sentence_with_the_shape(x, index):
    with pytest.raises((ShapeError, ArgumentError), match="indexing") as caught:
        x[index]
    assert "\n" not in str(caught.value)


def test_elements_cannot_be_assigned(x):
    with pytest.raises(TypeError):
        x[0] = 1


# ---------------------------------------------------------------------- leaving and joining a graph


def test_detach_shares_the_memory_but_not_the_graph(x):
    d = x.detach()
    assert not d.requires_grad
    assert np.shares_memory(d.numpy(), x.numpy())


def test_requires_grad_is_switched_in_place(x):
    t = mg.tensor([1.0])
    assert t.requires_grad_() is t
    assert t.requires_grad
    node = t._node
    assert t.requires_grad_()._node is node  # on already: the same leaf
    t.requires_grad_(False)
    assert not t.requires_grad
    assert not (t * 2).requires_grad
    with pytest.raises(ArgumentError, match="requires_grad_: this tensor was made by mul"):
        (x * 2).requires_grad_(False)
    with pytest.raises(ArgumentError, match="int64"):
        mg.tensor(1).requires_grad_()


def test_copy_writes_in_place_and_broadcasts(x):
    assert x.copy_([7, 8, 9]) is x
    assert x.tolist() == [[7, 8, 9], [7, 8, 9]]
    assert x.copy_(np.float64(0.5)).tolist() == [[0.5] * 3] * 2
    assert x.requires_grad


@pytest.mark.parametrize(
    ("target", "source", "error", "words"),
    [
        ([1.0, 2.0], np.ones(3), ShapeError, r"source has shape \(3,\); it needs \(2,\)"),
        ([1.0, 2.0], "a", ArgumentError, "copy_: source is 'a'; it needs numbers"),
        ([1, 2], [1.5, 2.5], ArgumentError, "source has dtype float32; .*fits into int64"),
        ([1, 2], mg.tensor(1.5), ArgumentError, "source has dtype float32; .*fits into int64"),
    ],
)
def test_copy_refuses_what_does_not_fit_and_changes_nothing(target, source, error, words):
    t = mg.tensor(target)
    with pytest.raises(error, match=words):
        t.copy_(source)
    assert t.tolist() == target
    assert t._version == [0]


def test_copy_refuses_results_of_operations_and_repeated_elements(x):
    with pytest.raises(ArgumentError, match="copy_: this tensor was made by mul"):
        (x * 2).copy_(1)
    with pytest.raises(ArgumentError, match=r"copy_: .*\(4, 2, 3\) shows .*repeatedly"):
        x.detach().broadcast_to((4, 2, 3)).copy_(1)


def test_upsampling_by_one_gives_memory_of_its_own():
    image = mg.tensor(np.ones((1, 1, 2, 2)))
    mg.upsample_nearest2d(image, scale_factor=1).copy_(7)
    assert image.tolist() == [[[[1, 1], [1, 1]]]]


def test_to_changes_the_dtype_and_returns_itself_where_nothing_changes(x, monkeypatch):
    assert x.to(mg.float32) is x
    assert x.to("cpu") is x
    y = x.to("float64")
    assert y.dtype == np.float64
    y.sum().backward()
    assert x.grad.dtype == np.float32
    for wrong in ("float99", complex, None, 5):
        with pytest.raises(ArgumentError, match="to: dtype is"):
            x.to(wrong)
    install(monkeypatch, driver=0)
    with pytest.raises(DeviceError, match="'cuda'"):
        x.to("cuda")


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda t: pickle.loads(pickle.dumps(t))])
def test_a_copied_leaf_is_a_leaf_of_its_own(x, duplicate):
    x.sum().backward()
    twin = duplicate(x)
    assert twin.grad.tolist() == x.grad.tolist()
    (twin * twin).sum().backward()
    assert twin.grad.tolist() == [[3, 5, 7], [9, 11, 13]]
    assert x.grad.tolist() == [[1, 1, 1], [1, 1, 1]]
    twin.copy_(0)
    assert x[0].tolist() == [1, 2, 3]
    assert x._version == [0]
    assert not duplicate(x.detach()).requires_grad


def test_a_result_inside_a_graph_cannot_be_copied(x):
    with pytest.raises(ArgumentError, match="copy: this tensor was made by exp; it needs a leaf"):
        copy.deepcopy(x.exp())


def test_a_subclass_takes_part_in_the_graph():
    class Weight(mg.Tensor):
        __slots__ = ()

    w = Weight(np.array([1.0, 2.0])).requires_grad_()
    (w * w).sum().backward()
    assert w.grad.tolist() == [2, 4]


# ---------------------------------------------------------------------- arithmetic with others


@pytest.mark.parametrize(
    "other",
    [2, 2.5, True, np.float64(2.5), np.float32(2.5), np.int64(2), np.bool_(True), np.array(2.5)],
    ids=lambda o: type(o).__name__,
)
def test_numbers_of_any_kind_keep_float32(x, other):
    number = float(other)
    for result, expected in (
        (x + other, x.numpy() + number),
        (other + x, x.numpy() + number),
        (x - other, x.numpy() - number),
        (other - x, number - x.numpy()),
        (x * other, x.numpy() * number),
        (other * x, x.numpy() * number),
        (x / other, x.numpy() / number),
        (other / x, number / x.numpy()),
        (x**other, x.numpy() ** number),
        (other**x, number ** x.numpy()),
    ):
        assert isinstance(result, mg.Tensor)
        assert result.dtype == np.float32
        np.testing.assert_allclose(result.numpy(), expected, rtol=1e-6)
        (g,) = mg.grad(result.sum(), x)
        assert g.dtype == np.float32


@pytest.mark.parametrize(
    "other",
    [
        [1, 2, 3],
        [1.0, 2.0, 3.0],
        (1, 2, 3),
        np.arange(1, 4),
        np.arange(1.0, 4),
        mg.tensor([1, 2, 3]),
    ],
    ids=["ints", "floats", "tuple", "int array", "float array", "int tensor"],
)
def test_lists_and_arrays_broadcast_from_both_sides_and_keep_float32(x, other):
    for result in (x * other, other * x):
        assert isinstance(result, mg.Tensor)
        assert result.dtype == np.float32
        assert result.tolist() == [[1, 4, 9], [4, 10, 18]]
        assert mg.grad(result.sum(), x)[0].tolist() == [[1, 2, 3], [1, 2, 3]]
    assert (other - x)[1].tolist() == [-3, -3, -3]


def test_matrix_products_take_arrays_from_both_sides(x):
    other = np.ones((3, 2))
    assert (x @ other).tolist() == [[6, 6], [15, 15]]
    assert (other @ x)[0].tolist() == [5, 7, 9]
    assert (x @ other).dtype == np.float32


@pytest.mark.parametrize(
    "compute",
    [
        lambda i: i / 2,
        lambda i: i * 0.5,
        lambda i: i / i,
        lambda i: i.exp(),
        lambda i: i.mean(),
        lambda i: (i > 1).mean(),
        lambda i: i.var(),
        lambda i: mg.where(i > 1, 1.0, 0.5),
        lambda i: i @ mg.tensor([0.5, 1.0, 2.0]),
        lambda i: mg.leaky_relu(i - 100),
    ],
)
def test_integers_become_float32_where_a_result_is_no_integer(compute):
    assert compute(mg.tensor([1, 2, 3])).dtype == np.float32


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int16", "uint64"])
@pytest.mark.parametrize(
    "compute",
    [
        mg.exp,
        lambda i: mg.log(i + 1),
        mg.sqrt,
        mg.sin,
        mg.cos,
        mg.tanh,
        mg.sigmoid,
        mg.softplus,
        lambda i: mg.softmax(i, axis=0),
        mg.log_softmax,
        mg.logsumexp,
        lambda i: mg.normalize(i, axis=0),
        lambda i: mg.upsample_bilinear2d(i.reshape(1, 1, 1, 2), size=(1, 3)),
    ],
)
def test_integers_of_any_size_are_computed_with_as_real_numbers(compute, dtype):
    result = compute(mg.tensor([0, 1], dtype=dtype))
    assert result.dtype == np.float32
    np.testing.assert_allclose(
        result.numpy(), compute(mg.tensor([0.0, 1.0], dtype="float64")).numpy(), rtol=1e-6
    )


def test_integers_are_not_rounded_on_their_way_to_float32():
    i = mg.tensor([-1, 2, 4])
    assert (i / 4).tolist() == [-0.25, 0.5, 1]
    assert mg.leaky_relu(i, negative_slope=0.5).tolist() == [-0.5, 2, 4]
    assert (i > 3).to(mg.float32).mean().item() == pytest.approx(1 / 3)


def test_integers_stay_integers_where_they_can():
    i = mg.tensor([1, 2, 3])
    for result in (i + 1, i * i, i - 2, i**2, i.sum(), i.max(), -i, i @ i):
        assert result.dtype == np.int64


def test_float64_comes_out_only_where_it_went_in():
    single, double = mg.tensor([1.0, 2.0]), mg.tensor([0.1, 0.2], dtype=mg.float64)
    assert (single * double).dtype == np.float64
    assert (double * 2.0).dtype == np.float64
    assert (double * mg.tensor([1, 2])).dtype == np.float64
    assert mg.clip(single, min=np.float64(0.5)).dtype == np.float32
    assert mg.leaky_relu(single, negative_slope=np.float64(0.1)).dtype == np.float32
    assert single.var(correction=np.float64(1)).dtype == np.float32


def test_arrays_beside_float64_keep_all_their_digits():
    double, third = mg.tensor([[1.0]], dtype=mg.float64), np.array([[1 / 3]])
    assert (double * third).item() == 1 / 3
    assert (double @ third).item() == 1 / 3
    assert (third @ double).item() == 1 / 3
    assert mg.where(double > 5, double, third).item() == 1 / 3


def test_gradients_of_mixed_precision_take_each_argument_s_dtype():
    single = mg.tensor([1.0, 2.0], requires_grad=True)
    double = mg.tensor([3.0, 4.0], requires_grad=True, dtype=mg.float64)
    y = (single * double + single.to(mg.float64)).sum()
    assert y.dtype == np.float64
    g, h = mg.grad(y, [single, double], create_graph=True)
    assert (g.dtype, h.dtype) == (np.float32, np.float64)
    (second,) = mg.grad((g * g).sum(), [double])
    assert (second.dtype, second.tolist()) == (np.float64, [8, 10])


@pytest.mark.parametrize("other", ["a", None, 1j, object(), [1, "b"], mg.exp, {}])
def test_what_is_no_number_is_refused_by_operation_and_argument(x, other):
    with pytest.raises(ArgumentError, match=r"^add: b is ") as caught:
        x + other
    assert "\n" not in str(caught.value)
    with pytest.raises(ArgumentError, match=r"^add: a is "):
        mg.add(other, x)


def test_a_list_of_tensors_is_refused_because_it_would_lose_their_graph(x):
    with pytest.raises(ArgumentError, match="mul: b is a list of tensors; it needs one tensor"):
        x * [x[0], x[1]]


@pytest.mark.parametrize(
    "start", [lambda x: x * 1, lambda x: x.detach()], ids=["result", "constant"]
)
def test_in_place_operators_make_a_new_tensor(x, start):
    before = y = start(x)
    y += 1
    y -= x
    y *= 2.0
    y /= 4
    y **= 2
    y @= np.ones((3, 3))
    assert y is not before
    assert before.tolist()[0] == x.tolist()[0] == [1, 2, 3]
    assert y.tolist() == [[0.75] * 3] * 2
    y.sum().backward()
    assert x.grad is not None
    with mg.no_grad():
        before += 1
        assert x.tolist()[0] == [1, 2, 3]


def test_a_leaf_is_trained_by_hand_under_no_grad():
    w = mg.tensor([1.0, 2.0], requires_grad=True)
    same, square = w, (w * w).sum()
    square.backward(retain_graph=True)
    with mg.no_grad():
        w -= 0.25 * w.grad
    assert w is same
    assert (w.tolist(), w.requires_grad, w.is_leaf) == ([0.5, 1], True, True)
    with pytest.raises(VersionError):
        square.backward()


@pytest.mark.parametrize(
    ("sign", "statement"),
    [
        ("+", "w += 1"),
        ("-", "w -= 1"),
        ("*", "w *= 1"),
        ("/", "w /= 1"),
        ("**", "w **= 1"),
        ("@", "w @= [[1.0]]"),
    ],
)
def test_a_leaf_that_is_recorded_is_not_written_to(sign, statement):
    w = mg.tensor([1.0], requires_grad=True)
    words = rf"^{re.escape(sign)}=: the tensor of shape \(1,\) on its left is a leaf .*no_grad"
    with pytest.raises(ArgumentError, match=words):
        exec(statement, {"w": w})
    assert (w.tolist(), w._version) == ([1], [0])


def test_a_gradient_is_a_tensor_of_the_same_shape_or_none(x):
    x.grad = mg.tensor(np.ones((2, 3)))
    x.grad += 1
    assert x.grad.tolist() == [[2] * 3] * 2
    with pytest.raises(ArgumentError, match=r"grad: got 1.0; it needs a Tensor or None"):
        x.grad = 1.0
    with pytest.raises(ShapeError, match=r"grad: got shape \(3,\); this tensor needs \(2, 3\)"):
        x.grad = mg.tensor([1.0, 2.0, 3.0])
    assert x.grad.tolist() == [[2] * 3] * 2
    x.grad = None
    assert x.grad is None


# ---------------------------------------------------------------------- the package


def test_every_public_name_can_be_imported():
    assert len(mg.ops.__all__) == len(set(mg.ops.__all__))
    for name in mg.ops.__all__:
        assert getattr(mg, name) is getattr(mg.ops, name)
    assert set(mg.ops.__all__) <= set(dir(mg))


def test_every_error_is_public():
    tree = {name for name, value in vars(errors).items() if isinstance(value, type)}
    for name in tree:
        assert getattr(mg, name) is getattr(errors, name)
        assert issubclass(getattr(mg, name), mg.MiniganError)
        assert name in errors.__doc__


def test_dir_names_what_can_be_had():
    assert {"Tensor", "tensor", "grad", "no_grad", "float32", "relu", "ops", "__version__"} <= set(
        dir(mg)
    )
    for name in dir(mg):
        getattr(mg, name)


def test_dir_names_nothing_that_is_not_public():
    public = {name for name in dir(mg) if not name.startswith("_")}
    assert set(dir(mg)) - public == {"__version__"}
    assert public.isdisjoint({"Any", "TYPE_CHECKING", "annotations", "importlib"})


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(mg, "no_such_thing")


def test_the_package_runs_as_a_program():
    command = [sys.executable, "-m", "minigan", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"python -m minigan, version {mg.__version__}\n"


def test_importing_minigan_does_not_import_numpy():
    program = "import sys, minigan; minigan.__name__; sys.exit('numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
