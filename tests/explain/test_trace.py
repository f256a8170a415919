"""The trace of a backward pass against the engine itself."""

import gc
import weakref

import numpy as np
import pytest
from small_network import small_loss

import minigan as mg
from minigan import explain
from minigan.core.errors import ArgumentError, FreedGraphError, GraphError, ShapeError
from minigan.explain.record import applied
from minigan.explain.tracing import following


def named(trace, name):
    """The one node with an operation of this name."""
    (found,) = (each for each in trace.nodes if each.node.name == name)
    return found


def test_every_gradient_is_the_engines():
    network, image, target = small_loss()

    def loss():
        error = network(image) - target
        return (error * error).mean()

    trace = explain.trace(loss)
    wanted = mg.grad(loss(), network.parameters())
    for parameter, gradient in zip(network.parameters(), wanted, strict=True):
        visit = next(v for v in trace.visits if v.traced.node is parameter._node)
        np.testing.assert_array_equal(visit.gradient, gradient.numpy())
        np.testing.assert_array_equal(parameter.grad, gradient)


def test_steps_are_those_of_mg_steps_in_their_order():
    x = mg.tensor([1.0, 2.0], requires_grad=True)

    def loss():
        return (x.sin() * x.exp()).sum()

    trace = explain.trace(loss)
    names = [step.node.name for step in mg.steps(loss())]
    assert [visit.traced.node.name for visit in trace.visits] == names
    assert names == ["sum", "mul", "exp", "sin", "leaf"]


def test_values_arguments_and_results_are_kept():
    a, b = mg.tensor([1.0, 2.0], requires_grad=True), mg.tensor([3.0, 4.0], requires_grad=True)
    trace = explain.trace(lambda: (a * b).sum())
    product = named(trace, "mul")
    np.testing.assert_array_equal(product.value, [3, 8])
    np.testing.assert_array_equal(product.applied.args[1], [3, 4])
    np.testing.assert_array_equal(product.parents[0].value, [1, 2])
    assert named(trace, "sum").value == 11


def test_what_arrives_at_one_node_is_added_in_the_order_of_the_visits():
    x = mg.tensor(3.0, requires_grad=True)
    trace = explain.trace(lambda: x * x + 2.0 * x)
    arrived = [p for visit in trace.visits for p in visit.passed if p.parent.node is x._node]
    assert [float(p.gradient) for p in arrived] == [2, 3, 3]
    assert [None if p.before is None else float(p.before) for p in arrived] == [None, 2, 5]
    assert [p.argument for p in arrived] == ["b", "a", "b"]
    assert float(trace.visits[-1].gradient) == 8


def test_waiting_nodes_are_those_that_received_something_and_were_not_visited():
    x = mg.tensor(3.0, requires_grad=True)
    trace = explain.trace(lambda: x.exp() + x.sin())
    by_name = {visit.traced.node.name: visit for visit in trace.visits}
    assert [each.node.name for each in by_name["sin"].waiting] == ["exp"]
    assert [each.node.name for each in by_name["exp"].waiting] == ["leaf"]


def test_saved_arrays_are_listed_and_freed_by_the_pass():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with explain.recording():
        loss = x.exp().sum()
    trace = explain.trace(loss)
    assert list(named(trace, "exp").saved) == ["out"]
    assert all(visit.freed for visit in trace.visits if visit.traced.node.op is not None)
    with pytest.raises(FreedGraphError):
        loss.backward()


def test_the_operations_that_a_vjp_ran_are_named_without_the_sums_of_the_engine():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    trace = explain.trace(lambda: (x * x).sum())
    by_name = {visit.traced.node.name: visit.ran for visit in trace.visits}
    assert by_name["mul"] == ["mul", "mul"]  # and not the add of the two contributions
    assert by_name["sum"] == ["spread"]


def test_lines_variables_parameters_and_modules_are_known():
    network, image, target = small_loss()
    with explain.recording():
        error = network(image) - target
        loss = (error * error).mean()
    trace = explain.trace(loss)
    difference = named(trace, "sub")
    assert difference.place.text == "error = network(image) - target"
    assert difference.name == "error"
    assert named(trace, "relu").place.text == "h = self.first(x).relu()"
    assert {each.name for each in trace.nodes if each.node.op is None} == {
        "first.weight",
        "first.bias",
        "last.weight",
    }
    first, last = (each.applied for each in trace.nodes if each.node.name == "conv2d")
    assert (first.modules, first.layer) == (("SmallNetwork", "first"), "Conv2d")
    assert (last.modules, last.layer) == (("SmallNetwork", "last"), "Conv2d")
    assert set(trace.constants.values()) >= {"image", "target"}


def test_a_tensor_from_elsewhere_is_traced_with_what_the_graph_has():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    trace = explain.trace((x.exp() * 3.0).sum())
    assert named(trace, "mul").applied is None
    np.testing.assert_array_equal(named(trace, "exp").value, x.exp())  # saved for its own vjp
    assert named(trace, "mul").value is None
    assert [visit.traced.node.name for visit in trace.visits] == ["sum", "mul", "exp", "leaf"]


def test_a_second_backward_pass_knows_that_vjps_made_its_nodes():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with explain.recording():
        (slope,) = mg.grad((x * x * x).sum(), x, create_graph=True)
        loss = (slope * slope).sum()
    trace = explain.trace(loss)
    nested = {each.applied.nested for each in trace.nodes if each.applied}
    assert nested == {True, False}
    np.testing.assert_allclose(trace.visits[-1].gradient, 36 * np.array([1.0, 8.0]))  # (9 x^4)'


def test_fused_operations_differentiated_through_their_composition_are_one_pass():
    x = mg.tensor([[1.0, 2.0, 4.0]], requires_grad=True)
    with explain.recording():
        y = mg.normalize(x, axis=1)
        (g,) = mg.grad((y * y * y).sum(), x, create_graph=True)
        loss = (g * g).sum()
    passes = []
    with following(passes.append):
        mg.grad(loss, x, create_graph=True)
    assert len(passes) == 1


def test_records_live_as_long_as_their_graph():
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    with explain.recording():
        y = x.exp()
    node = weakref.ref(y._node)
    assert applied(y._node) is not None
    del y
    gc.collect()
    assert node() is None


def test_observers_and_followers_are_put_back():
    from minigan.core.graph import mode

    with explain.recording():
        pass
    x = mg.tensor(1.0, requires_grad=True)
    explain.trace(lambda: x * x)
    assert mode.observer is None
    assert mode.follower is None


@pytest.mark.parametrize(
    ("loss", "error", "said"),
    [
        (lambda: mg.tensor([1.0, 2.0], requires_grad=True) * 2.0, ShapeError, r"shape \(2,\)"),
        (lambda: mg.tensor(1.0), GraphError, "requires_grad"),
        (lambda: 3.0, ArgumentError, "gave 3.0"),
        (3.0, ArgumentError, "loss is 3.0"),
    ],
)
def test_what_cannot_be_traced_is_refused(loss, error, said):
    with pytest.raises(error, match=said):
        explain.trace(loss)
