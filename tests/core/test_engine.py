"""The chain rule over the graph: what backward, grad and steps promise.

That each operation's own derivative is right, tests/test_catalogue.py proves; here stand graphs.
"""

from __future__ import annotations

import gc
import itertools
import sys
import threading
import tracemalloc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minigan as mg
from minigan.core.errors import (
    ArgumentError,
    FreedGraphError,
    GraphError,
    NoGradientError,
    ShapeError,
    VersionError,
)
from minigan.core.graph import mode
from minigan.core.tensor import Tensor


def leaf(*values: float, dtype=np.float64) -> Tensor:
    return mg.tensor(values, requires_grad=True, dtype=dtype)


def constant(*values: float) -> Tensor:
    return mg.tensor(values, dtype=np.float64)


def values(tensors) -> list:
    return [t.tolist() for t in tensors]


# ---------------------------------------------------------------------- backward and grad


def test_backward_fills_the_grad_of_every_leaf():
    x, y = leaf(1, 2), leaf(3, 4)
    (x * y).sum().backward()
    assert values([x.grad, y.grad]) == [[3, 4], [1, 2]]


def test_backward_leaves_the_grad_of_intermediate_results_empty():
    x = leaf(1, 2)
    y = x * 2
    y.sum().backward()
    assert y.grad is None


def test_two_backward_passes_add_up():
    x = leaf(1, 2)
    (x * x).sum().backward()
    (3 * x).sum().backward()
    assert x.grad.tolist() == [5, 7]


def test_grad_touches_no_tensor():
    x = leaf(1, 2)
    (g,) = mg.grad((x * x).sum(), [x])
    assert g.tolist() == [2, 4]
    assert x.grad is None


def test_grad_takes_one_input_or_any_iterable_of_them():
    x, y = leaf(1), leaf(2)
    for inputs, expected in ((x, [[2]]), ((x, y), [[2], [1]]), (iter([y]), [[1]])):
        assert values(mg.grad(x * y, inputs)) == expected


def test_grad_outputs_weigh_the_elements_of_the_outputs():
    x = leaf(1, 2, 3)
    (g,) = mg.grad(x * x, [x], constant(1, 10, 100))
    assert g.tolist() == [2, 40, 600]


def test_several_outputs_add_their_gradients():
    x = leaf(1, 2)
    (g,) = mg.grad([x * 2, (x * x).sum()], [x], [constant(1, 1), None])
    assert g.tolist() == [4, 6]


def test_the_same_output_may_be_named_twice():
    x = leaf(1, 2)
    y = x * 3
    (g,) = mg.grad([y, y], [x], [constant(1, 0), constant(1, 1)])
    assert g.tolist() == [6, 3]


def test_the_same_input_may_be_named_twice():
    x = leaf(1, 2)
    assert values(mg.grad((x * x).sum(), [x, x])) == [[2, 4], [2, 4]]


def test_an_unused_input_has_gradient_zero_in_its_shape_and_dtype():
    x, unused = leaf(1, 2), mg.tensor(np.ones((2, 3)), requires_grad=True)
    _, g = mg.grad(x.sum(), [x, unused])
    np.testing.assert_array_equal(g.numpy(), np.zeros((2, 3), np.float32))
    assert g.dtype == np.float32


def test_an_input_may_be_an_intermediate_result():
    x = leaf(1, 2)
    y = x * x
    assert values(mg.grad((y * y).sum(), [y, x])) == [[2, 8], [4, 32]]


def test_an_output_may_itself_be_an_input():
    x = leaf(1, 2)
    y = x * 3
    assert values(mg.grad(y, [y, x], constant(5, 7), retain_graph=True)) == [[5, 7], [15, 21]]
    assert values(mg.grad([y, x], [x], [constant(1, 1), constant(10, 20)])) == [[13, 23]]


def test_an_output_that_does_not_reach_the_inputs_adds_nothing():
    x, y = leaf(1), leaf(2)
    assert values(mg.grad([x * 2, y * y], [x])) == [[2]]


def test_the_gradient_to_start_from_takes_the_dtype_of_the_output():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    x.backward(mg.tensor([3, 4]))
    assert x.grad.dtype == np.float32
    assert x.grad.tolist() == [3, 4]


def test_a_tensor_used_many_times_gets_the_sum():
    x = leaf(2)
    total = x
    for _ in range(99):
        total = total + x
    total.backward()
    assert x.grad.tolist() == [100]


def test_a_diamond_multiplies_its_paths():
    x = leaf(1.5)
    y = x
    for _ in range(60):
        y = y * 0.5 + y * 0.5  # 2^60 paths, each node visited once
    y.backward()
    assert x.grad.tolist() == [1]


# ---------------------------------------------------------------------- wrong calls


def test_a_tensor_outside_the_graph_has_no_gradient_to_give():
    x = leaf(1)
    with pytest.raises(
        GraphError, match=r"outputs holds a tensor of shape \(2,\) outside the graph"
    ):
        constant(1, 2).backward()
    with pytest.raises(GraphError, match=r"inputs holds a tensor of shape \(3,\) outside"):
        mg.grad(x, [constant(1, 2, 3)])
    with mg.no_grad():
        y = x * 2
    with pytest.raises(GraphError, match="requires_grad=True before the computation"):
        y.backward()


def test_several_elements_need_a_gradient_to_start_from():
    with pytest.raises(ShapeError, match=r"the output has shape \(2,\).*exactly one element"):
        leaf(1, 2).backward()


def test_the_gradient_to_start_from_needs_the_shape_of_the_output():
    with pytest.raises(ShapeError, match=r"has shape \(3,\); it needs the output's, \(2,\)"):
        leaf(1, 2).backward(constant(1, 2, 3))


def test_every_output_needs_its_own_gradient():
    x = leaf(1)
    with pytest.raises(ArgumentError, match="1 grad_outputs for 2 outputs"):
        mg.grad([x, x * 2], [x], constant(1))


@pytest.mark.parametrize("wrong", [2.0, np.ones(2), "x", [3]])
def test_what_is_no_tensor_is_refused_by_name(wrong):
    x = leaf(1, 2)
    with pytest.raises(ArgumentError, match=r"the gradient to start from holds .*needs Tensors"):
        x.backward(wrong)
    with pytest.raises(ArgumentError, match=r"inputs holds .*needs Tensors"):
        mg.grad(x.sum(), wrong)
    with pytest.raises(ArgumentError, match=r"outputs holds .*needs Tensors"):
        mg.grad(wrong, x)


# ---------------------------------------------------------------------- a graph is used up


def test_a_second_backward_pass_names_the_operation_whose_arrays_are_gone():
    x = leaf(1, 2)
    y = x.exp().sum()
    y.backward()
    with pytest.raises(FreedGraphError, match=r"saved by sum .*retain_graph=True"):
        y.backward()


def test_retain_graph_keeps_the_graph_for_another_pass():
    x = leaf(1, 2)
    y = (x * x).sum()
    y.backward(retain_graph=True)
    y.backward()
    assert x.grad.tolist() == [4, 8]
    with pytest.raises(FreedGraphError):
        y.backward()


def test_create_graph_retains_the_graph_unless_told_otherwise():
    x = leaf(2)
    y = x.exp()
    mg.grad(y, [x], create_graph=True)
    mg.grad(y, [x], create_graph=True, retain_graph=False)
    with pytest.raises(FreedGraphError, match="exp"):
        mg.grad(y, [x])


def test_only_what_the_pass_visited_is_used_up():
    x = leaf(1, 2)
    y = x.exp()
    z = (y * y).sum()
    mg.grad(z, [y])
    assert values(mg.grad(y, [x], constant(1, 1))) == [y.tolist()]


def test_saved_arrays_go_while_the_pass_runs():
    x = leaf(1, 2)
    y = x.exp()
    z = y.sin()
    alive = [weakref.ref(a) for a in (y._node.saved["out"][0], z._node.saved["x"][0])]
    loss = z.sum()
    del y, z
    freed = [[ref() is None for ref in alive] for step in mg.steps(loss)]
    assert freed[0] == [False, False]
    assert freed[-1] == [True, True]


# ---------------------------------------------------------------------- higher derivatives


def test_derivatives_of_any_order_follow():
    x = leaf(2)
    y = x * x * x * x * x
    derivatives = []
    for _ in range(6):
        (y,) = mg.grad(y, [x], create_graph=True)
        derivatives.append(y.item())
        if not y.requires_grad:
            break
    assert derivatives == [80, 160, 240, 240, 120, 0][: len(derivatives)]
    assert len(derivatives) >= 5


def test_backward_with_create_graph_gives_gradients_that_have_a_graph():
    x = leaf(3)
    (x * x * x).backward(create_graph=True)
    first = x.grad
    x.grad = None
    first.backward()
    assert values([first, x.grad]) == [[27], [18]]


def test_without_create_graph_a_gradient_is_a_constant():
    x = leaf(3)
    (g,) = mg.grad(x * x, [x])
    assert not g.requires_grad


@pytest.mark.parametrize("name", ["tanh", "sigmoid", "softplus", "exp", "sin"])
def test_fourth_derivatives_agree_with_pytorch(name):
    torch = pytest.importorskip("torch")
    start = [-1.3, 0.2, 0.7]
    x, t = leaf(*start), torch.tensor(start, dtype=torch.float64, requires_grad=True)
    function = torch.nn.functional.softplus if name == "softplus" else getattr(torch, name)
    y, z = getattr(mg, name)(x), function(t)
    for _ in range(4):
        (y,) = mg.grad(y.sum(), [x], create_graph=True)
        (z,) = torch.autograd.grad(z.sum(), [t], create_graph=True)
        np.testing.assert_allclose(y.numpy(), z.detach().numpy(), rtol=1e-10, atol=1e-12)


def test_a_gradient_penalty_through_a_convolutional_critic_agrees_with_pytorch():
    """Gulrajani et al. 2017: the loss contains the norm of a gradient, and is itself trained."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    shapes = {"x": (2, 3, 8, 8), "w1": (4, 3, 3, 3), "b1": (4,), "w2": (5, 4, 3, 3), "w3": (1, 45)}
    arrays = {name: rng.standard_normal(shape) / 3 for name, shape in shapes.items()}

    def loss(p, f, conv2d, leaky_relu, norm, linear, grad, flatten):
        h = leaky_relu(conv2d(p["x"], p["w1"], p["b1"], stride=2, padding=1))
        h = norm(h)
        h = leaky_relu(conv2d(h, p["w2"], stride=1, padding=1))
        h = f.avg_pool2d(h, kernel_size=2, stride=1)
        score = linear(flatten(h), p["w3"]).sum()
        (g,) = grad(score, [p["x"]], create_graph=True)
        length = ((g * g).reshape(2, -1).sum(1) + 1e-12) ** 0.5
        return score + 10 * ((length - 1) ** 2).mean()

    ours = {k: mg.tensor(a, requires_grad=True, dtype=mg.float64) for k, a in arrays.items()}
    theirs = {k: torch.tensor(a, requires_grad=True) for k, a in arrays.items()}
    f = torch.nn.functional
    a = loss(
        ours,
        mg,
        mg.conv2d,
        lambda x: mg.leaky_relu(x, negative_slope=0.2),
        mg.instance_norm,
        mg.linear,
        mg.grad,
        lambda x: x.flatten(1),
    )
    b = loss(
        theirs,
        f,
        f.conv2d,
        lambda x: f.leaky_relu(x, 0.2),
        f.instance_norm,
        f.linear,
        torch.autograd.grad,
        lambda x: x.flatten(1),
    )
    assert abs(a.item() - b.item()) < 1e-11
    a.backward()
    b.backward()
    for name in shapes:
        np.testing.assert_allclose(
            ours[name].grad.numpy(), theirs[name].grad.numpy(), rtol=1e-9, atol=1e-11
        )


# ---------------------------------------------------------------------- graphs at random

# Every instruction turns earlier tensors of shape (2, 2) into another one; a and b are drawn.
INSTRUCTIONS = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "matmul": lambda a, b: a @ b,
    "twice": lambda a, b: a + a,
    "square": lambda a, b: a * a,
    "tanh": lambda a, b: a.tanh(),
    "sin": lambda a, b: a.sin(),
    "row": lambda a, b: a[0] + b,  # broadcast, and half of the elements unused
    "column": lambda a, b: a.sum(1).reshape(2, 1) * b,
    "view": lambda a, b: a.reshape(4).reshape(2, 2),
    "transposed": lambda a, b: a.T,
    "constant": lambda a, b: a * 0.5 + 1.0,
    "detached": lambda a, b: a.detach() * b,
}


@st.composite
def programs(draw):
    """Leaves, instructions, and which tensors are outputs and inputs of a backward pass."""
    leaves = draw(st.integers(1, 3))
    steps = draw(
        st.lists(
            st.tuples(
                st.sampled_from(sorted(INSTRUCTIONS)), st.integers(0, 99), st.integers(0, 99)
            ),
            min_size=1,
            max_size=12,
        )
    )
    outputs = draw(st.lists(st.integers(0, 99), min_size=1, max_size=3))
    inputs = draw(st.lists(st.integers(0, 99), min_size=1, max_size=4))
    return leaves, steps, outputs, inputs, draw(st.integers(0, 2**32 - 1))


def run(steps, leaves):
    """All tensors of a program, the leaves first."""
    tensors = list(leaves)
    for name, i, j in steps:
        # Recent tensors are drawn more often, so that graphs grow deep as well as wide.
        a, b = (tensors[-1 - k % len(tensors)] for k in (i, j))
        tensors.append(INSTRUCTIONS[name](a, b))
    return tensors


def built(program):
    """The program's tensors, its outputs and inputs inside the graph, and gradients to start from."""
    leaves, steps, outputs, inputs, seed = program
    rng = np.random.default_rng(seed)
    arrays = [rng.uniform(-1, 1, (2, 2)) for _ in range(leaves)]
    ours = run(steps, [mg.tensor(a, requires_grad=True, dtype=mg.float64) for a in arrays])
    inside = [i for i, t in enumerate(ours) if t.requires_grad]
    chosen = [[inside[-1 - k % len(inside)] for k in ks] for ks in (outputs, inputs)]
    flows = [rng.uniform(-1, 1, (2, 2)) for _ in outputs]
    return ours, *chosen, flows, arrays


def near(ours: Tensor, theirs) -> None:
    np.testing.assert_allclose(ours.numpy(), theirs.detach().numpy(), rtol=1e-9, atol=1e-9)


@given(program=programs())
def test_random_graphs_agree_with_pytorch_to_second_order(program):
    torch = pytest.importorskip("torch")
    ours, outputs, inputs, flows, arrays = built(program)
    theirs = run(program[1], [torch.tensor(a, requires_grad=True) for a in arrays])
    how = {"allow_unused": True, "materialize_grads": True}
    first = mg.grad(
        [ours[i] for i in outputs],
        [ours[i] for i in inputs],
        [mg.Tensor(f) for f in flows],
        create_graph=True,
    )
    first_torch = torch.autograd.grad(
        [theirs[i] for i in outputs],
        [theirs[i] for i in inputs],
        [torch.tensor(f) for f in flows],
        create_graph=True,
        **how,
    )
    for a, b in zip(first, first_torch, strict=True):
        near(a, b)
    pairs = [(a, b) for a, b in zip(first, first_torch, strict=True) if a.requires_grad]
    pairs = [(a, b) for a, b in pairs if b.requires_grad]
    if pairs:
        x = range(program[0])
        second = mg.grad(sum((a * a).sum() for a, _ in pairs), [ours[i] for i in x])
        total = sum((b * b).sum() for _, b in pairs)
        for a, b in zip(second, torch.autograd.grad(total, theirs[: len(x)], **how), strict=True):
            near(a, b)


@given(program=programs())
def test_no_array_that_anyone_holds_changes_during_a_backward_pass(program):
    """Accumulation in place may touch no value, no gradient given, returned or seen by an observer."""
    ours, outputs, inputs, flows, _ = built(program)
    starts = [mg.Tensor(f) for f in flows]
    held = [(t._array, t._array.copy()) for t in (*ours, *starts)]

    def watch(operation, args, params, out):
        held.append((out._array, out._array.copy()))

    wanted = [ours[i] for i in inputs]
    for observer in (watch, None):
        mode.observer = observer
        try:
            found = mg.grad([ours[i] for i in outputs], wanted, starts, retain_graph=True)
        finally:
            mode.observer = None
        held += [(g._array, g._array.copy()) for g in found]
        # Another pass, which starts from gradients that the first one returned.
        again = mg.grad(wanted, ours[: program[0]], found, retain_graph=True)
        held += [(g._array, g._array.copy()) for g in again]
    mg.core.engine.backward(ours[outputs[0]], starts[0])
    for array, before in held:
        np.testing.assert_array_equal(array, before)


@given(program=programs())
def test_all_ways_to_walk_a_random_graph_agree(program):
    """grad of everything at once, of each input alone, backward, and steps."""
    ours, outputs, _, flows, _ = built(program)
    leaves = ours[: program[0]]
    starts = [mg.Tensor(f) for f in flows]
    chosen = [ours[i] for i in outputs]
    together = mg.grad(chosen, leaves, starts, retain_graph=True)
    alone = [mg.grad(chosen, x, starts, retain_graph=True)[0] for x in leaves]
    seen = {s.node: s.gradient for s in mg.steps(chosen, starts, retain_graph=True)}
    for output, start in zip(chosen, starts, strict=True):
        output.backward(start, retain_graph=True)
    for x, a, b in zip(leaves, together, alone, strict=True):
        np.testing.assert_allclose(b.numpy(), a.numpy(), rtol=1e-12, atol=1e-14)
        if x._node in seen:
            np.testing.assert_array_equal(seen[x._node].numpy(), a.numpy())
        backward = 0 if x.grad is None else x.grad.numpy()
        np.testing.assert_allclose(backward, a.numpy(), rtol=1e-9, atol=1e-12)


def test_two_leaves_never_share_the_memory_of_their_grads():
    x, y, v = leaf(1, 2), leaf(3, 4), constant(1, 1)
    (x + y).backward(v)
    x.grad.copy_([7, 7])
    assert values([y.grad, v]) == [[1, 1], [1, 1]]


def test_the_grad_of_a_leaf_can_be_written_to():
    x = leaf(1, 2)
    x.sum().backward()  # the gradient is a broadcast 1
    x.grad.copy_(x.grad * 5)
    assert x.grad.tolist() == [5, 5]


# ---------------------------------------------------------------------- writing to what was saved


def test_writing_to_a_saved_leaf_is_noticed():
    x, y = leaf(1, 2), leaf(3, 4)
    z = (x * y).sum()
    x.copy_([5, 6])
    with pytest.raises(VersionError, match=r"mul: argument 'a' was saved .* 1 time"):
        z.backward()


def test_writing_through_a_detached_copy_is_noticed():
    x = leaf(1, 2)
    y = (x * x).sum()
    x.detach().copy_([5, 6])
    with pytest.raises(VersionError, match="mul"):
        y.backward()


@pytest.mark.parametrize(
    "view",
    [
        lambda t: t[0],
        lambda t: t.reshape(4),
        lambda t: t.T,
        lambda t: t.flip(0),
        lambda t: t.alias(),
        lambda t: t.detach()[1:],
    ],
)
def test_writing_through_a_view_is_noticed(view):
    x = mg.tensor(np.ones((2, 2)), requires_grad=True)
    y = x.exp()
    z = (y * x).sum()
    with mg.no_grad():
        view(x).copy_(3)
    with pytest.raises(VersionError, match="'b'"):
        z.backward()


def test_writing_to_a_leaf_is_noticed_where_a_view_of_it_was_saved():
    x = leaf(1, 2, 3, 4)
    y = (x.reshape(2, 2).T ** 2).sum()
    x.copy_(x * 2)
    with pytest.raises(VersionError, match="pow"):
        y.backward()


def test_writing_through_a_detached_result_is_noticed_where_the_result_was_saved():
    x = leaf(1, 2)
    y = x.exp()
    y.detach().copy_(0)
    with pytest.raises(VersionError, match=r"exp: argument 'out'"):
        y.sum().backward()


def test_writing_to_what_was_not_saved_is_no_error():
    x, y = leaf(1, 2), leaf(3, 4)
    z = (x + y).sum()  # a sum saves nothing
    w = (x.detach() * y).sum()  # saves the values of x alone: x itself is a constant there
    x.copy_([5, 6])
    z.backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(VersionError):
        w.backward()


def test_writing_to_an_argument_whose_partner_needs_no_gradient_is_no_error():
    x = leaf(1, 2)
    y = (x * constant(3, 4)).sum()  # saves the constant, not x
    x.copy_([5, 6])
    y.backward()
    assert x.grad.tolist() == [3, 4]


def test_training_on_after_the_backward_pass_is_no_error():
    x = leaf(1, 2)
    for _ in range(3):
        x.grad = None
        (x * x).sum().backward()
        x.copy_(x.detach() - 0.25 * x.grad)
    assert x.tolist() == [0.125, 0.25]


def test_an_auxiliary_result_cannot_be_written_to():
    x = mg.tensor(np.arange(16.0).reshape(1, 1, 4, 4), requires_grad=True)
    y, indices = mg.max_pool2d.with_aux(x, kernel_size=2)
    with pytest.raises(ArgumentError, match="copy_"):
        indices.copy_(0)
    y.sum().backward()
    assert x.grad.numpy().nonzero()[2].tolist() == [1, 1, 3, 3]


def test_an_index_array_may_change_after_indexing():
    x, index = leaf(1, 2, 3), np.array([0, 1])
    y = x[index].sum()
    index[:] = 2
    y.backward()
    assert x.grad.tolist() == [1, 1, 0]


# ---------------------------------------------------------------------- recording or not


def test_nothing_is_recorded_inside_no_grad_but_inside_enable_grad():
    x = leaf(1)
    with mg.no_grad():
        assert not (x * 2).requires_grad
        with mg.enable_grad():
            assert (x * 2).requires_grad
        assert not (x * 2).requires_grad
    assert (x * 2).requires_grad


def test_the_mode_comes_back_after_an_exception():
    with pytest.raises(ZeroDivisionError), mg.no_grad():
        raise ZeroDivisionError
    assert mode.recording


def test_no_grad_and_enable_grad_decorate_functions():
    x = leaf(1)

    @mg.no_grad()
    def outer(depth: int) -> list[bool]:
        """What it does."""
        below = outer(depth - 1) if depth else [inner()]
        return [(x * 2).requires_grad, *below]

    @mg.enable_grad()
    def inner() -> bool:
        return (x * 2).requires_grad

    assert outer(2) == [False, False, False, True]
    assert outer.__name__ == "outer"
    assert outer.__doc__ == "What it does."
    assert mode.recording


def test_one_block_can_be_entered_again_within_itself():
    block = mg.no_grad()
    with block:
        with block:
            assert not mode.recording
        assert not mode.recording
    assert mode.recording


def test_no_grad_refuses_to_decorate_a_generator():
    with pytest.raises(ArgumentError, match="batches is a generator"):

        @mg.no_grad()
        def batches():
            yield 1


def in_a_thread(function):
    """What `function` returns when another thread runs it."""
    result = []
    thread = threading.Thread(target=lambda: result.append(function()))
    thread.start()
    thread.join()
    return result[0]


def test_the_mode_belongs_to_the_thread():
    x = leaf(1)
    with mg.no_grad():
        assert in_a_thread(lambda: (x * 2).requires_grad)
        assert not (x * 2).requires_grad


def test_a_decorated_function_that_two_threads_run_at_once_leaves_each_its_mode():
    @mg.no_grad()
    def stay(inside: threading.Event, leave: threading.Event) -> None:
        inside.set()
        assert leave.wait(10)

    def mode_after_staying(recording: bool, *events: threading.Event) -> None:
        with mg.set_grad_enabled(recording):
            stay(*events)
            after[recording] = mode.recording

    after: dict[bool, bool] = {}
    visits = []
    for recording in (True, False):  # the second thread enters while the first is inside
        events = threading.Event(), threading.Event()
        thread = threading.Thread(target=mode_after_staying, args=(recording, *events))
        thread.start()
        assert events[0].wait(10)
        visits.append((thread, events[1]))
    for thread, leave in visits:  # and the first leaves first
        leave.set()
        thread.join()
    assert after == {True: True, False: False}


# ---------------------------------------------------------------------- steps


def test_steps_visit_the_newest_node_first_and_each_once():
    x = leaf(1, 2)
    y = x * 2
    z = (y + y.exp() + x).sum()
    names = [step.node.name for step in mg.steps(z)]
    assert names == ["sum", "add", "add", "exp", "mul", "leaf"]


def test_a_step_shows_what_flowed_in_and_what_was_passed_to_each_parent():
    x, y = leaf(2), leaf(5)
    z = x * y
    first, *_ = mg.steps(z, constant(10))
    assert first.node is z._node
    assert first.gradient.tolist() == [10]
    assert [(node, g.tolist()) for node, g in first.passed] == [(x._node, [50]), (y._node, [20])]


@given(program=programs())
def test_the_gradients_that_steps_yield_stay_as_they_are(program):
    ours, outputs, _, flows, _ = built(program)
    held = []
    for step in mg.steps([ours[i] for i in outputs], [mg.Tensor(f) for f in flows]):
        tensors = [step.gradient, *(g for _, g in step.passed)]
        held += [(t._array, t._array.copy()) for t in tensors]
    for array, before in held:
        np.testing.assert_array_equal(array, before)


def test_a_gradient_is_complete_when_its_step_is_yielded():
    x = leaf(1, 2)
    y = x * 3
    z = (y * y + y).sum() + x.sum()
    passed: dict = {}
    for step in mg.steps(z):
        if step.node in passed:
            assert step.gradient.tolist() == sum(g.numpy() for g in passed[step.node]).tolist()
        for node, g in step.passed:
            passed.setdefault(node, []).append(g)


def test_steps_to_given_inputs_visit_only_what_lies_between():
    x, y = leaf(1), leaf(2)
    z = x.exp() + y.sin()
    for inputs in ([x], x):
        walk = mg.steps(z, inputs=inputs, retain_graph=True)
        assert [step.node.name for step in walk] == ["add", "exp", "leaf"]


def test_steps_run_only_as_far_as_they_are_asked():
    x = leaf(1)
    y = x.exp()
    z = y.sin()
    walk = mg.steps(z)
    assert z._node.saved is not None
    next(walk)
    assert z._node.saved is None
    assert y._node.saved is not None
    walk.close()
    assert values(mg.grad(y, [x])) == [y.tolist()]  # what was not visited still serves


def test_steps_refuse_a_bad_call_at_once():
    with pytest.raises(GraphError):
        mg.steps(constant(1))


def test_the_mode_is_never_left_switched_across_a_yield():
    x = leaf(1, 2)
    for recording, create_graph in itertools.product([True, False], repeat=2):
        y = (x.exp() + x * x).sum()
        with mg.set_grad_enabled(recording):
            for _ in mg.steps(y, create_graph=create_graph):
                assert mode.recording is recording
            walk = mg.steps((x * 2).sum() if recording else y, create_graph=create_graph)
            assert mode.recording is recording
            walk.close()
        assert mode.recording


def test_a_failing_vjp_leaves_the_mode_as_it_was():
    x = leaf(1)
    y = x.exp()
    y.detach().copy_(0)
    with pytest.raises(VersionError):
        y.backward(create_graph=True)
    with mg.no_grad(), pytest.raises(VersionError):
        y.backward(create_graph=True)
    assert mode.recording


def test_steps_with_create_graph_yield_gradients_that_have_a_graph():
    x = leaf(3)
    *_, last = mg.steps(x * x * x, create_graph=True)
    assert values(mg.grad(last.gradient, [x])) == [[18]]


# ---------------------------------------------------------------------- missing derivatives


def test_an_operation_without_a_rule_is_named_when_its_gradient_is_needed():
    x = mg.tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    x32 = x * 1
    pieces = mg.normalize(x32, axis=(2, 3))
    rule = mg.normalize.rules.pop("x")
    try:
        with pytest.raises(NoGradientError, match=r"normalize has no derivative .* 'x'.*detach"):
            pieces.sum().backward()
    finally:
        mg.normalize.rules["x"] = rule


def test_piecewise_constant_operations_stop_the_gradient():
    x = leaf(1, -2)
    for y in (x > 0, mg.sign(x), x.to(mg.int64)):
        assert not y.requires_grad


# ---------------------------------------------------------------------- large graphs and memory


def test_a_chain_of_100000_operations_runs_back_and_is_freed_without_recursion():
    x = leaf(1)
    y = x
    for _ in range(100_000):
        y = y + 0.0
    y.backward()
    assert x.grad.tolist() == [1]
    nodes = weakref.ref(y._node)
    del y
    assert nodes() is None


def test_a_long_chain_is_freed_on_a_small_stack():
    # CPython 3.12 and 3.13 nest the freeing of objects up to 10,000 deep, for which this is enough.
    def build_and_drop() -> bool:
        y = leaf(1)
        for _ in range(30_000):
            y = y * 1.0
        del y
        return True

    before = threading.stack_size(2 << 20)
    try:
        assert in_a_thread(build_and_drop)
    finally:
        threading.stack_size(before)


def test_a_leaf_that_died_is_passed_over():
    x, y = leaf(1, 2), leaf(3, 4)
    z = (x * y).sum()
    alive = weakref.ref(x)
    del x
    assert alive() is None  # the graph holds no tensor
    z.backward()
    assert y.grad.tolist() == [1, 2]


def test_the_graph_goes_with_its_last_result():
    x = leaf(1, 2)
    y = (x * x).exp().sum()
    nodes = [weakref.ref(node) for node in (y._node, *y._node.parents)]
    gc.disable()
    try:
        del y
        assert [ref() for ref in nodes] == [None, None]
    finally:
        gc.enable()


def train_a_little(steps: int) -> None:
    """Gradient descent on a net with a convolution, a norm and a gradient penalty."""
    rng = np.random.default_rng(0)
    w = mg.tensor(rng.standard_normal((2, 1, 3, 3)), requires_grad=True)
    v = mg.tensor(rng.standard_normal((1, 32)), requires_grad=True)
    x = mg.tensor(rng.standard_normal((2, 1, 4, 4)), requires_grad=True)
    for _ in range(steps):
        h = mg.relu(mg.instance_norm(mg.conv2d(x, w, padding=1)))
        score = mg.linear(h.flatten(1), v).sum()
        (g,) = mg.grad(score, [x], create_graph=True)
        loss = score * score + (g * g).sum()
        for p in (w, v):
            p.grad = None
        loss.backward()
        for p in (w, v):
            p.copy_(p.detach() - 0.001 * p.grad)


def test_200_training_steps_leave_nothing_to_the_garbage_collector():
    train_a_little(3)  # what is imported and cached at first use
    gc.collect()
    gc.disable()
    try:
        train_a_little(200)
        assert gc.collect() == 0
    finally:
        gc.enable()


def test_the_memory_of_training_stays_flat():
    def memory_after(steps: int) -> int:
        train_a_little(steps)
        gc.collect()  # empties the interpreter's own lists of spare tuples, too
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        before = memory_after(30)
        assert memory_after(100) - before < 32 * 1024  # one forgotten graph in each step is more
    finally:
        tracemalloc.stop()


# ---------------------------------------------------------------------- threads


@pytest.fixture
def hasty_switching():
    """Threads change places as often as the interpreter lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def on_threads(function, count: int) -> list:
    results = [None] * count

    def one(i: int) -> None:
        results[i] = function(i)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.usefixtures("hasty_switching")
def test_graphs_that_threads_record_over_shared_leaves_do_not_mix():
    w = leaf(*np.linspace(-1, 1, 6))

    def work(i: int) -> list:
        with mg.no_grad():
            constant_part = w * float(i)
        found = []
        for _ in range(20):
            y = ((w * w + constant_part).tanh() * float(i + 1)).sum()
            (g,) = mg.grad(y, [w], create_graph=True)
            found.append(mg.grad((g * g).sum(), [w])[0].tolist())
        return found

    for i, found in enumerate(on_threads(work, 4)):
        assert found == work(i)


@pytest.mark.usefixtures("hasty_switching")
def test_backward_passes_of_several_threads_lose_nothing_of_a_shared_leaf():
    w = leaf(0)

    def work(i: int) -> None:
        for _ in range(200):
            (w * 1.0).backward()

    on_threads(work, 4)
    assert w.grad.tolist() == [800]
