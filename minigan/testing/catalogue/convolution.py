"""Entries for minigan/ops/conv.py."""

import numpy as np
from hypothesis import strategies as st

from minigan.core.errors import ArgumentError, ShapeError

from .draws import Call, convolutions, seeds, spaced
from .entry import Bad, adjoint, describe

ones = np.ones
X, W = ones((1, 4, 5, 5)), ones((6, 4, 3, 3))


def conv2d(x, weight, bias=None, *, stride, padding, dilation, groups, upsample):
    """The definition, one output number at a time."""
    (sh, sw), (ph, pw), (dh, dw), (uh, uw) = stride, padding, dilation, upsample
    n, (o, cg, kh, kw) = len(x), weight.shape
    h, w = x.shape[2] * uh, x.shape[3] * uw
    out_h = (h + 2 * ph - dh * (kh - 1) - 1) // sh + 1
    out_w = (w + 2 * pw - dw * (kw - 1) - 1) // sw + 1
    y = np.zeros((n, o, out_h, out_w))
    for b, k, p, q in np.ndindex(*y.shape):
        first = k // (o // groups) * cg
        for i, j in np.ndindex(kh, kw):
            row, column = p * sh + i * dh - ph, q * sw + j * dw - pw
            if 0 <= row < h and 0 <= column < w:
                y[b, k, p, q] += (
                    x[b, first : first + cg, row // uh, column // uw] @ weight[k, :, i, j]
                )
    return y if bias is None else y + bias.reshape(-1, 1, 1)


@st.composite
def forwards(draw):
    c = draw(convolutions())
    x, w, b = spaced(draw(seeds), c.x, c.weight, c.weight[:1])
    return Call((x, w, b) if draw(st.booleans()) else (x, w), c.how)


def torch_conv(x, weight, bias=None, *, upsample, **how):
    import torch

    x = torch.nn.functional.interpolate(x, scale_factor=upsample, mode="nearest")
    return torch.nn.functional.conv2d(x, weight, bias, **how)


describe(
    "conv2d",
    forwards(),
    conv2d,
    torch_conv,
    Bad(Call((X, ones((6, 3, 3, 3)))), ShapeError, ["conv2d", "x has shape (1, 4, 5, 5)", "(N, 3"]),
    Bad(Call((ones((4, 5, 5)), W)), ShapeError, ["conv2d", "(4, 5, 5)", "(N, C, H, W)"]),
    Bad(Call((X, ones((6, 4, 3)))), ShapeError, ["conv2d", "weight", "(6, 4, 3)"]),
    Bad(Call((X, W, ones(5))), ShapeError, ["conv2d", "bias", "(5,)", "(6,)"]),
    Bad(Call((X, ones((6, 4, 7, 7)))), ShapeError, ["conv2d", "5 x 5", "7 x 7"]),
    Bad(Call((X, W), {"stride": 0}), ArgumentError, ["conv2d", "stride", "0"]),
    Bad(Call((X, W), {"padding": -1}), ArgumentError, ["conv2d", "padding", "-1"]),
    Bad(Call((X, W), {"dilation": (1, 2, 3)}), ArgumentError, ["conv2d", "dilation"]),
    Bad(Call((X, W), {"groups": 4}), ShapeError, ["conv2d", "weight", "4 groups"]),
    Bad(Call((X, W), {"groups": 0}), ArgumentError, ["conv2d", "groups", "0"]),
    Bad(Call((X, W), {"upsample": 0}), ArgumentError, ["conv2d", "upsample", "0"]),
)


def away_from_the_kink(call):
    how = {name: (1, 1) if name != "groups" else 1 for name in call.params} | call.params
    return np.abs(conv2d(*call.arrays, **how)).min() > 1e-3


describe(
    "conv2d_relu",
    forwards().filter(away_from_the_kink),
    lambda *arrays, **how: np.maximum(conv2d(*arrays, **how), 0),
    lambda *arrays, **how: torch_conv(*arrays, **how).relu(),
    Bad(Call((X, W, ones(5))), ShapeError, ["conv2d_relu", "bias", "(5,)", "(6,)"]),
    Bad(Call((X, W), {"stride": 0}), ArgumentError, ["conv2d_relu", "stride", "0"]),
)


@st.composite
def data_gradients(draw):
    c = draw(convolutions())
    g, w = spaced(draw(seeds), c.y, c.weight)
    return Call((g, w), {"input_size": c.x[2:], **c.how})


def conv2d_dx(grad, weight, *, input_size, **how):
    shape = (grad.shape[0], weight.shape[1] * how["groups"], *input_size)
    return adjoint(lambda x: conv2d(x, weight, **how), shape, grad)


def torch_dx(grad, weight, *, input_size, **how):
    import torch

    shape = (grad.shape[0], weight.shape[1] * how["groups"], *input_size)
    x = torch.zeros(shape, dtype=grad.dtype, requires_grad=True)
    y = torch_conv(x, weight, **how)
    return torch.autograd.grad(y, x, grad, create_graph=True)[0]


G = ones((1, 6, 3, 3))
describe(
    "conv2d_dx",
    data_gradients(),
    conv2d_dx,
    torch_dx,
    Bad(Call((G, W)), ArgumentError, ["conv2d_dx", "input_size", "missing"]),
    Bad(Call((G, W), {"input_size": (6, 6)}), ShapeError, ["conv2d_dx", "grad", "(N, 6, 4, 4)"]),
    Bad(Call((ones((1, 5, 3, 3)), W), {"input_size": 5}), ShapeError, ["conv2d_dx", "grad"]),
    Bad(Call((G, W), {"input_size": 0}), ArgumentError, ["conv2d_dx", "input_size"]),
)


@st.composite
def weight_gradients(draw):
    c = draw(convolutions())
    x, g = spaced(draw(seeds), c.x, c.y)
    return Call((x, g), {"kernel_size": c.weight[2:], **c.how})


def conv2d_dw(x, grad, *, kernel_size, **how):
    shape = (grad.shape[1], x.shape[1] // how["groups"], *kernel_size)
    return adjoint(lambda w: conv2d(x, w, **how), shape, grad)


def torch_dw(x, grad, *, kernel_size, **how):
    import torch

    shape = (grad.shape[1], x.shape[1] // how["groups"], *kernel_size)
    weight = torch.zeros(shape, dtype=grad.dtype, requires_grad=True)
    y = torch_conv(x, weight, **how)
    return torch.autograd.grad(y, weight, grad, create_graph=True)[0]


describe(
    "conv2d_dw",
    weight_gradients(),
    conv2d_dw,
    torch_dw,
    Bad(Call((X, G)), ArgumentError, ["conv2d_dw", "kernel_size", "missing"]),
    Bad(Call((X, G), {"kernel_size": 2}), ShapeError, ["conv2d_dw", "grad", "(1, O, 4, 4)"]),
    Bad(Call((X, G), {"kernel_size": 3, "groups": 4}), ShapeError, ["conv2d_dw", "4 groups"]),
)
