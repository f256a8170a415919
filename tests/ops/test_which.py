"""What would run, asked without running it."""

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, ShapeError


def image(*shape):
    return mg.tensor(np.zeros(shape, np.float32))


def test_it_names_the_kernels_and_says_why():
    same = {"stride": 1, "padding": 1, "dilation": 1, "groups": 1}
    plan = mg.which_kernel(
        mg.conv2d, image(1, 64, 32, 32), image(64, 64, 3, 3), device="cuda", **same
    )
    symbols = [launch.symbol for launch in plan.launches]
    assert symbols == ["winograd_filter", "winograd_input", "matmul_v4_small", "winograd_output"]
    assert [c.taken.name for c in plan.choices] == ["v6_winograd", "v4_pipelined_small"]
    text = str(plan)
    assert "conv2d on cuda:\n  winograd_filter of winograd.cu, grid (16,), block (256,)" in text
    assert "conv2d: v6_winograd is taken" in text
    assert "not v7_thin: it is for layers with at most 4 channels on one side" in text
    assert "not v3_registers: v6_winograd is preferred" in text


def test_it_follows_use_kernels():
    arguments = (image(70, 80), image(80, 90))
    with mg.use_kernels(matmul="v1_naive"):
        plan = mg.which_kernel("matrix_product", *arguments, device="emulator")
    assert [launch.symbol for launch in plan.launches] == ["matmul_v1"]


def test_nothing_is_computed_and_bad_calls_are_refused_as_ever():
    huge = mg.tensor(np.zeros((1, 1))).broadcast_to((4000, 4000))
    (launch,) = mg.which_kernel("exp", huge, device="cuda").launches
    assert launch.symbol == "exp_"
    with pytest.raises(ShapeError, match="conv2d"):
        mg.which_kernel("conv2d", image(2, 3), image(1, 1, 1, 1), device="cuda")


def test_the_cpu_and_views_need_no_kernel():
    assert str(mg.which_kernel(mg.exp, image(2))) == "exp on cpu: NumPy computes it"
    plan = mg.which_kernel(mg.reshape, image(6), device="cuda", shape=(2, 3))
    assert str(plan) == "reshape on cuda: no kernel is needed"


@pytest.mark.parametrize(
    ("operation", "how", "words"),
    [
        ("convolution", {}, "operation is 'convolution'; it needs an operation of minigan"),
        (abs, {}, "it needs an operation of minigan"),
        ("exp", {"device": "tpu"}, "device is 'tpu'; it needs one of cpu, cuda, emulator"),
    ],
)
def test_what_it_cannot_answer_is_said(operation, how, words):
    with pytest.raises(ArgumentError, match=words):
        mg.which_kernel(operation, image(2), **how)
