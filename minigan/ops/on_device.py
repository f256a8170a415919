"""Which of our kernels runs each operation on the devices that have kernels.

Every operation that computes needs a line here: on these devices there is no falling back to NumPy. Views
only describe memory anew, so their bodies serve all devices.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from minigan import devices
from minigan.core.op import REGISTRY
from minigan.devices.launch import conv, index, matmul, norm, pad, pool, random, reduce, resize
from minigan.devices.launch import elementwise as e
from minigan.devices.launch.kernel import Array

DEVICES = ("cuda", "emulator")

VIEWS = ("alias", "broadcast_to", "flip", "matrix_transpose", "reshape", "spread", "transpose")

KERNELS: dict[str, Callable[..., Array]] = {
    "abs": e.unary("abs_", "arithmetic.cu"),
    "add": e.binary("add", "arithmetic.cu"),
    "cast": e.cast,
    "clip": e.between("clip"),
    "concatenate": index.concatenate,
    "conv2d": conv.conv2d,
    "conv2d_dw": conv.conv2d_dw,
    "conv2d_dx": conv.conv2d_dx,
    "conv2d_relu": conv.conv2d_relu,
    "cos": e.unary("cos_"),
    "div": e.binary("div_"),
    "dropout_masked": random.dropout_masked,
    "eq": e.binary("eq", "arithmetic.cu", result="b1"),
    "exp": e.unary("exp_"),
    "gather2d": pool.gather2d,
    "ge": e.binary("ge", "arithmetic.cu", result="b1"),
    "getitem": index.getitem,
    "getitem_dx": index.getitem_dx,
    "gt": e.binary("gt", "arithmetic.cu", result="b1"),
    "is_within": e.between("is_within", result="b1"),
    "le": e.binary("le", "arithmetic.cu", result="b1"),
    "leaky_relu": e.unary_with("leaky_relu", "negative_slope"),
    "leaky_relu_grad": e.leaky_relu_grad,
    "linear": matmul.linear,
    "log": e.unary("log_"),
    "log_softmax": reduce.log_softmax,
    "logsumexp": reduce.logsumexp,
    "lt": e.binary("lt", "arithmetic.cu", result="b1"),
    "matrix_product": matmul.matrix_product,
    "max": reduce.max,
    "max_pool2d": pool.max_pool2d,
    "maximum": e.binary("maximum", "arithmetic.cu"),
    "mean": reduce.mean,
    "minimum": e.binary("minimum", "arithmetic.cu"),
    "mul": e.binary("mul", "arithmetic.cu"),
    "ne": e.binary("ne", "arithmetic.cu", result="b1"),
    "neg": e.unary("neg", "arithmetic.cu"),
    "normalize": norm.normalize,
    "normalize_grad": norm.normalize_grad,
    "pow": e.binary("pow_"),
    "reflection_pad2d": pad.padded("reflection_pad2d"),
    "reflection_pad2d_dx": pad.reflection_pad2d_dx,
    "relu": e.unary("relu", "arithmetic.cu"),
    "relu_grad": e.binary("relu_grad"),
    "scatter2d": pool.scatter2d,
    "share_of_larger": e.binary("share_of_larger"),
    "sigmoid": e.unary("sigmoid"),
    "sigmoid_grad": e.binary("sigmoid_grad"),
    "sign": e.unary("sign", "arithmetic.cu"),
    "sin": e.unary("sin_"),
    "softplus": e.unary("softplus"),
    "sqrt": e.unary("sqrt_"),
    "sub": e.binary("sub", "arithmetic.cu"),
    "sum": reduce.sum,
    "sum_pool2d": pool.sum_pool2d,
    "sum_pool2d_dx": pool.sum_pool2d_dx,
    "tanh": e.unary("tanh_"),
    "tanh_grad": e.binary("tanh_grad"),
    "upsample_bilinear2d": resize.upsample_bilinear2d,
    "upsample_bilinear2d_dx": resize.upsample_bilinear2d_dx,
    "upsample_nearest2d": resize.upsample_nearest2d,
    "var": reduce.var,
    "where": e.where,
    "zero_pad2d": pad.padded("zero_pad2d"),
}


def install() -> None:
    """Give each operation its kernels; called once, when minigan.ops is imported."""
    for name in DEVICES:
        for operation in map(REGISTRY.__getitem__, VIEWS):
            operation.kernel(name)(operation.forward)
        REGISTRY["reshape"].kernel(name)(partial(_run, name, e.reshaped))
        REGISTRY["transfer"].kernel(name)(REGISTRY["transfer"].forward)
        for operation, host in KERNELS.items():
            REGISTRY[operation].kernel(name)(partial(_run, name, host))


def _run(name: str, host: Callable[..., Array], *arrays: Any, **settings: Any) -> Array:
    """Run an operation's host function on the device of that name."""
    return host(devices.device(name), *arrays, **settings)
