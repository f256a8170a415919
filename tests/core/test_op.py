"""Declaring operations and calling them, where it does not depend on which operation it is."""

from __future__ import annotations

import inspect
import pydoc
import re

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, DeviceError, NoGradientError, ShapeError
from minigan.core.graph import mode
from minigan.core.op import REGISTRY, Op, op
from minigan.core.tensor import Tensor


@pytest.fixture(autouse=True)
def _declarations_are_taken_back():
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def leaf(*values: float) -> Tensor:
    return mg.tensor(values, requires_grad=True, dtype=mg.float64)


# ---------------------------------------------------------------------- declaring


def test_a_declared_operation_runs_records_and_has_derivatives_of_any_order():
    @op
    def cube(x):
        """x to the third."""
        return x * x * x

    cube.vjps(x=lambda g, x: g * (3.0 * x * x))
    x = leaf(2)
    y = cube(x)
    (first,) = mg.grad(y, [x], create_graph=True)
    (second,) = mg.grad(first, [x])
    assert (y.tolist(), first.tolist(), second.tolist()) == ([8], [12], [12])
    assert REGISTRY["cube"] is cube
    assert (cube.__doc__, repr(cube)) == ("x to the third.", "<operation cube>")


@pytest.mark.parametrize("name", ["g", "out", "needs"])
def test_names_that_mean_something_else_in_vjps_are_refused(name):
    forward = eval(f"lambda {name}: {name}")
    with pytest.raises(TypeError, match=f"nothing can be named '{name}'"):
        op(forward)
    with pytest.raises(TypeError, match=f"nothing can be named '{name}'"):
        op(aux=(name,))(lambda x: (x, x))
    with pytest.raises(TypeError, match=f"nothing can be named '{name}'"):
        op(eval(f"lambda x, *, {name}: x"))


def test_an_auxiliary_result_cannot_have_the_name_of_an_argument():
    with pytest.raises(TypeError, match="nothing can be named 'x'"):
        op(aux=("x",))(lambda x: (x, x))


def test_a_second_operation_of_the_same_name_is_refused():
    with pytest.raises(TypeError, match="named relu is declared already"):

        @op
        def relu(x):
            return x

    assert REGISTRY["relu"] is mg.relu


def test_an_operation_declared_again_in_the_same_place_takes_the_earlier_one_s():
    cell = "@op\ndef cube(x):\n    return {}\n\n\ncube.vjps(x=lambda g, x: g * 3.0 * x * x)"
    notebook = {"__name__": "__main__", "op": op}
    found = []
    for body in ("x", "x * x * x"):
        exec(cell.format(body), notebook)
        x = leaf(2)
        y = notebook["cube"](x)
        found.append((y.item(), mg.grad(y, x)[0].item()))
    assert found == [(2, 12), (8, 12)]
    assert REGISTRY["cube"] is notebook["cube"]
    with pytest.raises(TypeError, match=r"named cube is declared already, in __main__"):
        exec(cell.format("x"), {"__name__": "elsewhere", "op": op})
    with pytest.raises(TypeError, match=r"named exp is declared already, in minigan\.ops"):
        exec("@op\ndef exp(x):\n    return x", notebook)


def test_help_shows_a_call_with_tensors_and_the_docstring():
    page = pydoc.plain(pydoc.render_doc(mg.conv2d))
    call = re.sub(r"[\s']", "", page)  # Python 3.13 breaks long calls, 3.14 leaves the quotes out
    assert "conv2d(x:Tensor,weight:Tensor,bias:Tensor|None=None,*," in call
    assert "groups:int=1,upsample:int" in call
    assert ")->Tensor" in call
    assert mg.conv2d.__doc__.splitlines()[0] in page
    joined = inspect.signature(mg.concatenate)
    assert str(joined) == "(*tensors: 'Tensor', axis: 'int' = 0) -> 'Tensor'"


def test_in_a_class_an_operation_is_a_method():
    class Numbers(Tensor):
        __slots__ = ()
        total = mg.sum

    assert Numbers.total is mg.sum
    assert Numbers(np.ones((2, 3))).total(axis=0).tolist() == [2, 2, 2]


@pytest.mark.parametrize(
    "forward",
    [lambda x, y=2.0: x, lambda x, **others: x, lambda x, *more: x],
    ids=["default", "any keyword", "mixed"],
)
def test_arguments_that_are_neither_tensors_nor_keyword_parameters_are_refused(forward):
    with pytest.raises(TypeError, match="<lambda>"):
        op(forward)


@pytest.mark.parametrize(
    "vjp",
    [lambda g, z: g, lambda x: x, lambda: 0, lambda x, g: g, lambda g, g_shape: g],
    ids=["unknown name", "no g", "nothing", "g last", "shape of no argument"],
)
def test_a_vjp_that_asks_for_an_unknown_name_is_refused(vjp):
    f = Op(lambda x, *, k: x)
    with pytest.raises(TypeError, match=r"a vjp asks for .*first parameter is g"):
        f.vjps(x=vjp)


def test_a_vjp_may_ask_for_arguments_results_shapes_and_parameters_and_nothing_else_is_saved():
    asked = {}

    @op(aux=("half",))
    def triple(x, y, *, k=3.0, unused=None):
        return x * k + 0 * y, x / 2

    @triple.vjp("x")
    def _(g, x_shape, half, **rest):
        asked.update(rest, x_shape=x_shape, half=half)
        return g * rest["k"]

    triple.vjps(y=None)
    x, y = leaf(1, 2), leaf(5, 6)
    out, half = triple.with_aux(x, y)
    assert half.tolist() == [0.5, 1]
    assert set(out._node.saved) == {"x_shape", "half"}
    g, h = mg.grad(out.sum(), [x, y])
    assert (g.tolist(), h.tolist()) == ([3, 3], [0, 0])
    assert asked["half"].tolist() == [0.5, 1]
    del asked["half"]
    assert asked == {"k": 3.0, "unused": None, "x_shape": (2,)}


def test_a_vjp_for_no_argument_and_a_second_vjp_are_refused():
    f = Op(lambda x: x)
    f.vjps(x=lambda g: g)
    for target in ("x", "y"):
        with pytest.raises(TypeError, match=f"'{target}' is no argument, or has a vjp already"):
            f.vjps(**{target: lambda g: g})


def test_one_vjp_may_serve_several_arguments_and_knows_which_are_needed():
    seen = []

    @op
    def product(x, y):
        return x * y

    @product.vjp("x", "y")
    def _(g, x, y, needs):
        seen.append(list(needs))
        return g * y, g * x

    x, y = leaf(2), leaf(5)
    assert [t.item() for t in mg.grad(product(x, y), [x, y])] == [5, 2]
    assert mg.grad(product(x, y), [y])[0].item() == 2
    assert mg.grad(product(x.detach(), y), [y])[0].item() == 2
    assert seen == [[True, True], [False, True], [False, True]]


def test_an_argument_without_a_vjp_is_named_only_when_its_gradient_is_needed():
    @op
    def scaled(x, by):
        return x * by

    scaled.vjps(x=lambda g, by: g * by)
    x, by = leaf(2), leaf(5)
    assert mg.grad(scaled(x, by), [x])[0].item() == 5
    with pytest.raises(NoGradientError, match="scaled has no derivative with respect to 'by'"):
        scaled(x, by).backward()


def test_a_vjp_of_the_wrong_shape_is_named():
    @op
    def first(x):
        return x[:1]

    first.vjps(x=lambda g: g)
    with pytest.raises(ShapeError, match=r"first: the vjp .* gave shape \(1,\); it needs \(2,\)"):
        first(leaf(1, 2)).backward()


def test_a_rule_is_saved_for_only_if_its_argument_needs_a_gradient():
    x, y = leaf(1, 2), mg.tensor([3.0, 4.0], dtype=mg.float64)
    assert set((x * y)._node.saved) == {"b"}
    assert set((y * x)._node.saved) == {"a"}
    assert set((x * x)._node.saved) == {"a", "b"}
    assert (x + y)._node.saved == {}


# ---------------------------------------------------------------------- calling


def test_tensor_arguments_may_go_by_name():
    x, w = mg.rand(1, 1, 3, 3), mg.rand(2, 1, 3, 3)
    assert mg.conv2d(weight=w, x=x).tolist() == mg.conv2d(x, w).tolist()
    assert mg.conv2d(x, weight=w, bias=None).tolist() == mg.conv2d(x, w).tolist()


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: mg.add(1.0), "add: argument 'b' is missing"),
        (lambda: mg.relu(1.0, 2.0), r"relu: got 2 arguments by position; it takes x"),
        (lambda: mg.sum(1.0, by=0), r"sum: no parameter 'by'; its parameters: axis, keepdims"),
        (lambda: mg.exp(1.0, axis=0), r"exp: no parameter 'axis'; its parameters: none"),
        (lambda: mg.max_pool2d(1.0), "max_pool2d: parameter 'kernel_size' is missing"),
        (lambda: mg.relu(1.0, x=2.0), "relu: no parameter 'x'"),
        (lambda: mg.relu(None), "relu: x is None"),
        (lambda: mg.relu(mg.exp), "relu: x is the function exp"),
    ],
)
def test_a_wrong_call_says_what_the_operation_takes(call, words):
    with pytest.raises(ArgumentError, match=words):
        call()


def test_numpy_s_own_refusal_is_passed_on_under_the_operation_s_name():
    mask, small = mg.tensor([True]), mg.tensor(np.ones(2, np.uint8))
    for call, words in (
        (lambda: mg.tensor([1, 2]) ** -1, r"pow: .*negative integer powers"),
        (lambda: mask - mask, r"sub: .*boolean subtract"),
        (lambda: small + 300, r"add: .*300 out of bounds"),
        (lambda: mg.tensor(1.0) * 10**400, r"mul: .*too large"),
    ):
        with pytest.raises(ArgumentError, match=words) as caught:
            call()
        assert "\n" not in str(caught.value)


def test_several_tensors_may_come_as_one_list():
    x, y = leaf(1), leaf(2, 3)
    for joined in (mg.concatenate(x, y), mg.concatenate([x, y]), mg.concatenate((x, y))):
        assert joined.tolist() == [1, 2, 3]
        assert [t.tolist() for t in mg.grad(joined * joined, [x, y], joined.detach())] == [
            [2],
            [8, 18],
        ]


def test_a_device_without_a_kernel_is_named():
    with pytest.raises(DeviceError, match="exp: there is no kernel for device 'tpu'"):
        mg.exp(Tensor(np.ones(2), device="tpu"))
    with pytest.raises(DeviceError, match="mul: one argument is on 'cpu' and another on 'tpu'"):
        mg.tensor([1.0]) * Tensor(np.ones(1), device="tpu")


def test_a_kernel_takes_the_place_of_the_body():
    @op
    def one(x):
        return x * 0 + 1

    @one.kernel("cpu")
    def _(x):
        return x * 0 + 2

    assert one([5.0]).tolist() == [2]


def test_a_check_runs_first_and_gives_parameters_their_normal_form():
    @op
    def scaled(x, *, by=1):
        assert isinstance(by, tuple)
        return x * by[0]

    @scaled.check
    def _(x, by):
        return {"by": (by,)}

    scaled.vjps(x=lambda g, by: g * by[0])
    x = leaf(2)
    assert mg.grad(scaled(x, by=3), [x])[0].item() == 3


def test_an_observer_sees_every_operation_of_its_thread():
    seen = []
    mode.observer = lambda operation, args, params, out: seen.append((operation.name, out.shape))
    try:
        (leaf(1, 2) * 2.0).sum().backward()
    finally:
        mode.observer = None
    assert seen[:2] == [("mul", (2,)), ("sum", ())]
    assert "spread" in [name for name, _ in seen]


# ---------------------------------------------------------------------- fused operations


def twin_sums(x: Tensor, how) -> list[np.ndarray]:
    """Three orders of derivatives of a function of normalize, some inputs depending on others."""
    axis = (1,)
    y = how(x, axis=axis, eps=0.1)
    z = how(y * x, axis=axis, eps=0.1)  # its input is a function of x, twice
    found = []
    for _ in range(3):
        (z,) = mg.grad((z * z * x).sum(), [x], create_graph=True)
        found.append(z.numpy())
    return found


@pytest.mark.parametrize("relu", [False, True])
def test_a_fused_norm_equals_one_of_primitives_in_every_order(relu):
    def composed(x, axis, eps):
        centred = x - x.mean(axis, keepdims=True)
        y = centred / ((centred * centred).mean(axis, keepdims=True) + eps).sqrt()
        return y.relu() if relu else y

    def fused(x, axis, eps):
        return mg.normalize(x, axis=axis, eps=eps, relu=relu)

    x = mg.tensor(
        np.random.default_rng(0).standard_normal((3, 4)), requires_grad=True, dtype="float64"
    )
    for a, b in zip(twin_sums(x, fused), twin_sums(x, composed), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-9)


def test_the_vjp_runs_where_no_graph_is_wanted_and_the_composition_where_it_is():
    x = mg.tensor(np.arange(6.0).reshape(2, 3), requires_grad=True, dtype="float64")
    for create_graph in (False, True):
        seen = []
        y = (mg.normalize(x, axis=1) * x.detach()).sum()
        (slope,) = mg.grad(y, [x], create_graph=True)
        mode.observer = lambda operation, args, params, out, seen=seen: seen.append(operation.name)
        try:
            mg.grad((slope * slope).sum(), [x], create_graph=create_graph)
        finally:
            mode.observer = None
        # The vjp of normalize_grad takes normalize_grad again, its composition a square root.
        assert ("normalize_grad" in seen, "sqrt" in seen) == (not create_graph, create_graph)


def test_a_composition_of_inputs_that_depend_on_each_other_counts_each_path_once():
    @op
    def hypotenuse(x, y):
        return np.sqrt(x * x + y * y)

    hypotenuse.vjps(x=lambda g, x, out: g * x / out, y=lambda g, y, out: g * y / out)

    @hypotenuse.composed
    def _(x, y):
        return mg.sqrt(x * x + y * y)

    x = leaf(3, 1)
    derivatives = []
    for function in (hypotenuse, hypotenuse.composition):
        y = x * x * 0.5
        z = function(y, function(x, y) + y)  # the second input is a function of the first
        found = []
        for _ in range(3):
            (z,) = mg.grad(z.sum(), [x], create_graph=True)
            found.append(z.numpy())
        derivatives.append(found)
    np.testing.assert_allclose(derivatives[0], derivatives[1], rtol=1e-12)


def test_a_composition_is_differentiated_only_in_what_is_needed():
    @op
    def product(x, y):
        return x * y

    product.vjps(x=lambda g, y: g * y, y=lambda g, x: g * x)

    @product.composed
    def _(x, y):
        return x * y

    x, y = leaf(2), leaf(5)
    for a, b in ((x, y.detach()), (x, 5.0)):
        b = b if isinstance(b, Tensor) else mg.tensor([b], dtype=mg.float64)
        (g,) = mg.grad(product(a, b) * x, [x], create_graph=True)
        assert (g.item(), mg.grad(g, [x])[0].item()) == (20, 10)
