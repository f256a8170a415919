"""Entries for minigan/ops/pad.py, pool.py, resize.py and random.py."""

import numpy as np
import scipy.ndimage
from hypothesis import strategies as st

from minigan.core.errors import ArgumentError, ShapeError

from .draws import Call, images, pairs, seeds, spaced, windows
from .entry import Bad, adjoint, describe

ones = np.ones
X = ones((1, 2, 4, 5))
FLAT = ones((4, 5))


def no_image(name: str, argument: str = "x", **params) -> Bad:
    return Bad(Call((FLAT,), params), ShapeError, [name, f"{argument} has shape (4, 5)", "(N, C"])


def torch_f():
    import torch.nn.functional

    return torch.nn.functional


# ---------------------------------------------------------------------- padding


@st.composite
def zero_paddings(draw):
    (x,) = spaced(draw(seeds), draw(images(max_side=4)))
    sides = tuple(draw(st.integers(0, 2)) for _ in range(4))
    return Call((x,), {"padding": draw(st.sampled_from([sides, sides[0]]))})


def sides_of(padding):
    return (padding,) * 4 if isinstance(padding, int) else padding


def padded(x, padding, mode):
    left, right, top, bottom = sides_of(padding)
    return np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)), mode=mode)


describe(
    "zero_pad2d",
    zero_paddings(),
    lambda x, padding: padded(x, padding, "constant"),
    lambda x, padding: torch_f().pad(x, sides_of(padding)),
    no_image("zero_pad2d", padding=1),
    Bad(Call((X,), {"padding": (1, 2)}), ArgumentError, ["zero_pad2d", "padding", "(1, 2)"]),
    Bad(Call((X,), {"padding": -1}), ArgumentError, ["zero_pad2d", "-1"]),
)


@st.composite
def reflections(draw):
    (x,) = spaced(draw(seeds), draw(images(max_side=4)))
    limits = (x.shape[3], x.shape[3], x.shape[2], x.shape[2])
    return Call((x,), {"padding": tuple(draw(st.integers(0, n - 1)) for n in limits)})


describe(
    "reflection_pad2d",
    reflections(),
    lambda x, padding: padded(x, padding, "reflect"),
    lambda x, padding: torch_f().pad(x, padding, mode="reflect"),
    no_image("reflection_pad2d", padding=1),
    Bad(Call((X,), {"padding": 4}), ShapeError, ["reflection_pad2d", "(1, 2, 4, 5)", "4"]),
)


@st.composite
def reflection_grads(draw):
    call = draw(reflections())
    (x,), padding = call.arrays, call.params["padding"]
    (g,) = spaced(draw(seeds), padded(x, padding, "reflect").shape)
    return Call((g,), {"input_size": x.shape[2:], "padding": padding})


describe(
    "reflection_pad2d_dx",
    reflection_grads(),
    lambda grad, input_size, padding: adjoint(
        lambda x: padded(x, padding, "reflect"), (*grad.shape[:2], *input_size), grad
    ),
    "PyTorch's is not public",
    Bad(Call((X,)), ArgumentError, ["reflection_pad2d_dx", "missing"]),
)

# ---------------------------------------------------------------------- pooling


@st.composite
def poolings(draw):
    w = draw(windows())
    (x,) = spaced(draw(seeds), w.x)
    return Call((x,), w.how)


def pooled(x, kernel_size, stride, padding, reduce, fill):
    """The definition, one window at a time."""
    (kh, kw), (sh, sw), (ph, pw) = kernel_size, stride, padding
    x = np.pad(x, ((0, 0), (0, 0), (ph, ph), (pw, pw)), constant_values=fill)
    rows = range(0, x.shape[2] - kh + 1, sh)
    columns = range(0, x.shape[3] - kw + 1, sw)
    cut = [[reduce(x[:, :, r : r + kh, c : c + kw], axis=(2, 3)) for c in columns] for r in rows]
    return np.transpose(cut, (2, 3, 0, 1))


def sum_pooled(x, kernel_size, stride, padding):
    return pooled(x, kernel_size, stride, padding, np.sum, 0)


WIDE = {"kernel_size": 6}
OVERPADDED = {"kernel_size": 2, "padding": 2}
describe(
    "max_pool2d",
    poolings(),
    lambda x, kernel_size, stride, padding: pooled(
        x, kernel_size, stride, padding, np.max, -np.inf
    ),
    lambda x, kernel_size, stride, padding: torch_f().max_pool2d(x, kernel_size, stride, padding),
    no_image("max_pool2d", kernel_size=2),
    Bad(Call((X,), WIDE), ShapeError, ["max_pool2d", "4 x 5", "6 x 6"]),
    Bad(Call((X,), OVERPADDED), ArgumentError, ["max_pool2d", "padding", "half"]),
)


@st.composite
def scatters(draw):
    """Indices with repeats, as overlapping windows give them."""
    n, c, h, w = draw(images(max_side=4))
    size = draw(pairs(1, 4))
    (g,) = spaced(draw(seeds), (n, c, h, w))
    chosen = np.random.default_rng(draw(seeds)).integers(0, size[0] * size[1], g.shape)
    return Call((g, chosen), {"input_size": size})


def gathered(x, indices):
    flat = x.reshape(*x.shape[:2], -1)
    n, c = np.indices(indices.shape)[:2]
    return flat[n, c, indices]


NEGATIVE = -ones((1, 2, 3, 3), int)
describe(
    "scatter2d",
    scatters(),
    lambda grad, indices, input_size: adjoint(
        lambda x: gathered(x, indices), (*grad.shape[:2], *input_size), grad
    ),
    "PyTorch's max_unpool2d overwrites repeats instead of adding them",
    Bad(
        Call((X, ones((1, 2, 3, 3), int)), {"input_size": 4}),
        ShapeError,
        ["scatter2d", "(1, 2, 3, 3)", "(1, 2, 4, 5)"],
    ),
    Bad(Call((X, X), {"input_size": 4}), ArgumentError, ["scatter2d", "float32", "integers"]),
)


@st.composite
def gathers(draw):
    call = draw(scatters())
    g, indices = call.arrays
    (x,) = spaced(draw(seeds), (*g.shape[:2], *call.params["input_size"]))
    return Call((x, indices))


describe(
    "gather2d",
    gathers(),
    gathered,
    lambda x, indices: x.flatten(2).gather(2, indices.flatten(2)).reshape(indices.shape),
    Bad(Call((X, NEGATIVE)), ArgumentError, ["gather2d", "-1", "19"]),
    Bad(Call((X, ones((2, 2, 3, 3), int))), ShapeError, ["gather2d", "(2, 2, 3, 3)"]),
)
describe(
    "sum_pool2d",
    poolings(),
    sum_pooled,
    lambda x, kernel_size, stride, padding: torch_f().avg_pool2d(
        x, kernel_size, stride, padding, divisor_override=1
    ),
    no_image("sum_pool2d", kernel_size=2),
    Bad(Call((X,), WIDE), ShapeError, ["sum_pool2d", "4 x 5", "6 x 6"]),
)


@st.composite
def pool_gradients(draw):
    w = draw(windows())
    (g,) = spaced(draw(seeds), w.y)
    return Call((g,), {"input_size": w.x[2:], **w.how})


describe(
    "sum_pool2d_dx",
    pool_gradients(),
    lambda grad, input_size, **how: adjoint(
        lambda x: sum_pooled(x, **how), (*grad.shape[:2], *input_size), grad
    ),
    "PyTorch's is not public",
    Bad(
        Call((X,), {"input_size": 4, "kernel_size": 2, "stride": 2, "padding": 0}),
        ShapeError,
        ["sum_pool2d_dx", "(1, 2, 4, 5)", "(N, C, 2, 2)"],
    ),
)

# ---------------------------------------------------------------------- resizing


@st.composite
def enlargements(draw):
    (x,) = spaced(draw(seeds), draw(images(max_side=4)))
    return Call((x,), {"scale_factor": draw(st.one_of(st.integers(1, 3), pairs(1, 3)))})


def factors(scale_factor):
    return (scale_factor,) * 2 if isinstance(scale_factor, int) else scale_factor


describe(
    "upsample_nearest2d",
    enlargements(),
    lambda x, scale_factor: np.kron(x, np.ones((1, 1, *factors(scale_factor)))),
    lambda x, scale_factor: torch_f().interpolate(
        x, scale_factor=tuple(float(s) for s in factors(scale_factor)), mode="nearest"
    ),
    no_image("upsample_nearest2d", scale_factor=2),
    Bad(Call((X,), {"scale_factor": 0}), ArgumentError, ["upsample_nearest2d", "scale_factor"]),
)


@st.composite
def interpolations(draw):
    (x,) = spaced(draw(seeds), draw(images(max_side=4)))
    return Call((x,), {"size": draw(pairs(1, 7))})


def interpolated(x, size):
    """scipy's linear interpolation at the same positions, edges continued."""
    rows, columns = (
        (np.arange(m) + 0.5) * n / m - 0.5 for m, n in zip(size, x.shape[2:], strict=True)
    )
    grid = np.meshgrid(rows, columns, indexing="ij")
    planes = x.reshape(-1, *x.shape[2:])
    drawn = [scipy.ndimage.map_coordinates(p, grid, order=1, mode="nearest") for p in planes]
    return np.reshape(drawn, (*x.shape[:2], *size))


describe(
    "upsample_bilinear2d",
    interpolations(),
    interpolated,
    lambda x, size: torch_f().interpolate(x, size=size, mode="bilinear", align_corners=False),
    no_image("upsample_bilinear2d", size=2),
    Bad(Call((X,), {"size": (0, 3)}), ArgumentError, ["upsample_bilinear2d", "size", "(0, 3)"]),
)


@st.composite
def interpolation_grads(draw):
    call = draw(interpolations())
    (x,), size = call.arrays, call.params["size"]
    (g,) = spaced(draw(seeds), (*x.shape[:2], *size))
    return Call((g,), {"input_size": x.shape[2:]})


describe(
    "upsample_bilinear2d_dx",
    interpolation_grads(),
    lambda grad, input_size: adjoint(
        lambda x: interpolated(x, grad.shape[2:]), (*grad.shape[:2], *input_size), grad
    ),
    "PyTorch's is not public",
    no_image("upsample_bilinear2d_dx", "grad", input_size=2),
    Bad(
        Call((ones((1, 2, 0, 3)),), {"input_size": 2}),
        ShapeError,
        ["upsample_bilinear2d_dx", "(1, 2, 0, 3)", "pixel"],
    ),
)

# ---------------------------------------------------------------------- dropout


@st.composite
def dropouts(draw):
    (x,) = spaced(draw(seeds), draw(images()))
    state = np.array([draw(seeds), draw(st.integers(0, 100))], np.uint64)
    return Call((x, state), {"p": draw(st.sampled_from([0.0, 0.3, 0.5, 1.0]))})


def philox4x64(key, counter):
    """Philox4x64-10 as its paper defines it, one block at a time, in Python integers."""
    mask = 2**64 - 1
    c, k = [counter, 0, 0, 0], [key, 0]
    for _ in range(10):
        a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
        c = [(b >> 64) ^ c[1] ^ k[0], b & mask, (a >> 64) ^ c[3] ^ k[1], a & mask]
        k = [(k[0] + 0x9E3779B97F4A7C15) & mask, (k[1] + 0xBB67AE8584CAA73B) & mask]
    return c


def dropped(x, state, p):
    key, counter = (int(s) for s in state)
    blocks = [philox4x64(key, counter + i) for i in range(-(-x.size // 8))]
    halves = [h for block in blocks for word in block for h in (word & 0xFFFFFFFF, word >> 32)]
    kept = np.array(halves[: x.size]).reshape(x.shape) >= p * 2**32
    return np.where(kept, x / (1 - p) if p < 1 else 0, 0)


describe(
    "dropout_masked",
    dropouts(),
    dropped,
    "PyTorch draws other random numbers",
    Bad(
        Call((X, np.zeros(2, np.uint64)), {"p": 1.5}),
        ArgumentError,
        ["dropout", "p is 1.5", "0 to 1"],
    ),
    Bad(Call((X, np.zeros(3)), {"p": 0.5}), ArgumentError, ["dropout", "state", "(3,)"]),
)
