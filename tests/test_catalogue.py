"""What every operation must fulfil, derived from its entry in minigan/testing/catalogue.

Float64 results and gradients are compared strictly; float32 ones to float32's rounding.
"""

from __future__ import annotations

import gc
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minigan.core.engine import grad
from minigan.core.gradcheck import gradcheck, gradgradcheck
from minigan.core.op import REGISTRY
from minigan.core.tensor import Tensor
from minigan.testing.catalogue import CATALOGUE, Bad, Call, Entry

NAMES = sorted(CATALOGUE)
DIFFERENTIABLE = [name for name in NAMES if CATALOGUE[name].op.differentiable]
LINEAR = [name for name in NAMES if CATALOGUE[name].op.linear]

each_operation = pytest.mark.parametrize("name", NAMES)
each_differentiable = pytest.mark.parametrize("name", DIFFERENTIABLE)


def test_every_operation_has_an_entry():
    assert set(REGISTRY) == set(CATALOGUE)


def test_only_piecewise_constant_operations_have_no_derivative():
    constant = {"sign", "share_of_larger", "is_within", "eq", "ne", "lt", "le", "gt", "ge"}
    assert set(NAMES) - set(DIFFERENTIABLE) == constant


def is_floating(array) -> bool:
    return isinstance(array, np.ndarray) and array.dtype.kind == "f"


def tensors(call: Call, dtype=np.float64, requires_grad: bool = True) -> list[Tensor]:
    result = []
    for array in map(np.asarray, call.arrays):
        t = Tensor(array.astype(dtype) if is_floating(array) else array.copy())
        result.append(t.requires_grad_() if requires_grad and is_floating(array) else t)
    return result


def noise(shape, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


def run(entry: Entry, call: Call):
    """The operation as a function of tensors alone."""
    return lambda *arguments: entry.op(*arguments, **call.params)


def assert_near(actual: np.ndarray, expected: np.ndarray, tolerance: float) -> None:
    assert actual.shape == expected.shape
    scale = max(1.0, float(np.max(np.abs(expected), initial=0)))
    np.testing.assert_allclose(actual, expected, rtol=0, atol=tolerance * scale)


@each_operation
@given(data=st.data())
def test_forward_agrees_with_the_reference(name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    expected = np.asarray(entry.reference(*call.arrays, **call.params))
    result = entry.op(*tensors(call), **call.params)
    assert_near(result.numpy(), expected, 1e-11)


@each_operation
@given(data=st.data())
def test_float32_stays_float32_and_accurate(name, data):
    entry = CATALOGUE[name]
    if name == "cast":
        return  # its very purpose is to change the dtype
    call = data.draw(entry.calls)
    arguments = tensors(call, np.float32)
    exact = [
        a.numpy().astype(np.float64) if is_floating(a.numpy()) else a.numpy() for a in arguments
    ]
    result = entry.op(*arguments, **call.params)
    assert result.dtype in (np.float32, bool)
    expected = np.asarray(entry.reference(*exact, **call.params))
    assert_near(result.numpy().astype(float), expected.astype(float), entry.float32)
    if result.requires_grad:
        floating = [a for a in arguments if a.requires_grad]
        for g in grad(result, floating, Tensor(np.ones_like(result.numpy()))):
            assert g.dtype == np.float32


@each_operation
@given(data=st.data())
def test_the_registered_kernel_agrees_with_the_body(name, data):
    op = CATALOGUE[name].op
    call = data.draw(CATALOGUE[name].calls)
    if op.kernels["cpu"] is op.forward:
        return  # the body itself is what runs
    arrays, params = op._bind(call.arrays, call.params)
    if op._check is not None:
        params |= op._check(*arrays, **params) or {}
    body, kernel = op.forward(*arrays, **params), op.kernels["cpu"](*arrays, **params)
    for k, b in zip(kernel, body, strict=True) if op.aux else [(kernel, body)]:
        assert_near(k, b, 1e-11)


@each_differentiable
@given(data=st.data())
def test_vjps_agree_with_finite_differences(name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    gradcheck(run(entry, call), tensors(call))


@each_differentiable
@given(data=st.data())
def test_vjps_of_vjps_agree_with_finite_differences(name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    gradgradcheck(run(entry, call), tensors(call))


@pytest.mark.parametrize("name", LINEAR)
@given(data=st.data())
def test_linear_operations_fulfil_the_adjoint_identity(name, data):
    """<A u, v> = <u, A^T v> for each argument alone, to rounding: sharper than differences."""
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    arguments = tensors(call)
    out = entry.op(*arguments, **call.params)
    v = noise(out.shape)
    joint = len(arguments) if entry.op.variadic else 1
    floating = [a for a in arguments if a.requires_grad]
    adjoints = grad(out, floating, Tensor(v))
    inner = [float(np.sum(u.numpy() * g.numpy())) for u, g in zip(floating, adjoints, strict=True)]
    left = float(np.sum(out.numpy() * v))
    scale = 1 + float(np.sum(np.abs(out.numpy() * v)))
    if joint > 1:  # linear in all of its arguments together
        inner = [sum(inner)]
    for right in inner:
        assert abs(left - right) < 1e-11 * scale


def strided(array):
    """The same values with other strides: every second element of a larger, reversed array."""
    if not isinstance(array, np.ndarray) or array.ndim == 0:
        return array
    big = np.zeros(tuple(2 * n for n in array.shape), array.dtype)
    view = big[tuple(slice(None, None, -2) for _ in array.shape)]
    view[...] = array
    return view


@each_operation
@given(data=st.data())
def test_strides_do_not_matter(name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    plain = tensors(call)
    odd = [Tensor(strided(np.asarray(a))) for a in call.arrays]
    for t, p in zip(odd, plain, strict=True):
        t.requires_grad_(p.requires_grad)
    a, b = (entry.op(*x, **call.params) for x in (plain, odd))
    assert_near(b.numpy(), a.numpy(), 1e-12)
    if a.requires_grad:
        v = np.asarray(np.random.default_rng(0).standard_normal(a.shape))
        for p, q in zip(
            *(_grads(o, x, w) for o, x, w in ((a, plain, v), (b, odd, strided(v)))), strict=True
        ):
            assert_near(q, p, 1e-12)


def _grads(out, arguments, v):
    return [g.numpy() for g in grad(out, [a for a in arguments if a.requires_grad], Tensor(v))]


@each_operation
@given(data=st.data())
def test_inputs_are_not_written_to(name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    arguments = tensors(call)
    out = entry.op(*arguments, **call.params)
    flow = Tensor(np.ones(out.shape, out.dtype))
    if out.requires_grad:
        grad(out, [a for a in arguments if a.requires_grad], flow)
        np.testing.assert_array_equal(flow.numpy(), 1)
    for before, after in zip(call.arrays, arguments, strict=True):
        np.testing.assert_array_equal(before, after.numpy())
        assert after._version == [0]


@each_differentiable
@given(data=st.data())
def test_only_what_the_vjps_name_is_saved(name, data):
    entry = CATALOGUE[name]
    op = entry.op
    call = data.draw(entry.calls)
    arguments = tensors(call)
    out = op(*arguments, **call.params)
    assert out._node is not None
    assert out._node.saved is not None
    wanted = {w.name for rule in op.rules.values() if rule is not None for w in rule.wants}
    if op.composition is not None:
        wanted |= set(op.inputs)
    assert set(out._node.saved) <= wanted
    known = {id(a._array) for a in arguments} | {id(out._array)}
    for key, value in out._node.saved.items():
        if isinstance(value, tuple) and not key.endswith("_shape") and key not in op.aux:
            assert id(value[0]) in known, f"{name} saved a stranger as {key}"


@each_differentiable
@given(data=st.data())
def test_memory_is_freed_by_reference_count(name, data):
    entry = CATALOGUE[name]
    call = data.draw(entry.calls)
    gc.collect()
    gc.disable()
    try:
        arguments = tensors(call)
        out = entry.op(*arguments, **call.params)
        floating = [a for a in arguments if a.requires_grad]
        second = grad(out, floating, Tensor(np.ones(out.shape)), create_graph=True)
        watched = [weakref.ref(t._node) for t in (out, *second, *arguments) if t._node is not None]
        del out, arguments, floating, second
        assert [ref() for ref in watched] == [None] * len(watched)
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("name", "bad"),
    [(name, bad) for name in NAMES for bad in CATALOGUE[name].bad],
    ids=lambda value: "" if isinstance(value, Bad) else value,
)
def test_bad_calls_get_one_sentence(name, bad):
    with pytest.raises(bad.error) as caught:
        CATALOGUE[name].op(*bad.call.arrays, **bad.call.params)
    message = str(caught.value)
    assert "\n" not in message
    for word in bad.words:
        assert word in message, message


@each_operation
def test_every_entry_has_bad_calls(name):
    assert CATALOGUE[name].bad


# ---------------------------------------------------------------------- the second oracle


@each_operation
@given(data=st.data())
def test_pytorch_agrees(name, data):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed: no second oracle")
    entry = CATALOGUE[name]
    if entry.torch is None:
        assert entry.no_torch
        return
    call = data.draw(entry.calls)
    ours = tensors(call)
    theirs = [torch.tensor(a, requires_grad=is_floating(a)) for a in call.arrays]
    y = entry.op(*ours, **call.params)
    z = entry.torch(*theirs, **call.params)
    assert_near(y.numpy(), z.detach().numpy(), 1e-11)
    if not y.requires_grad or not z.requires_grad:
        return
    v = noise(y.shape)
    a = [t for t in ours if t.requires_grad]
    b = [t for t in theirs if t.requires_grad]
    first = grad(y, a, Tensor(v), create_graph=True)
    first_torch = torch.autograd.grad(
        z, b, torch.tensor(v), create_graph=True, allow_unused=True, materialize_grads=True
    )
    for p, q in zip(first, first_torch, strict=True):
        assert_near(p.numpy(), q.detach().numpy(), 1e-10)
    _compare_second(torch, list(zip(first, first_torch, strict=True)), a, b)


def _compare_second(torch, firsts, a, b) -> None:
    firsts = [(p, q) for p, q in firsts if p.requires_grad and q.requires_grad]
    if not firsts:
        return
    weights = [noise(p.shape, i) for i, (p, _) in enumerate(firsts)]
    second = grad([p for p, _ in firsts], a, [Tensor(w) for w in weights])
    second_torch = torch.autograd.grad(
        [q for _, q in firsts],
        b,
        [torch.tensor(w) for w in weights],
        allow_unused=True,
        materialize_grads=True,
    )
    for p, q in zip(second, second_torch, strict=True):
        assert_near(p.numpy(), q.detach().numpy(), 1e-9)
