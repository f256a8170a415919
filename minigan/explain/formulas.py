"""What each operation computes and what its vjps pass on, as formulas for people.

Here y is the result, g the gradient of the loss with respect to y, and [x > 0] is 1 where that holds
and 0 elsewhere (Iverson's bracket). The engine's own lines stand in minigan/ops; the page shows them
beside these. `_` and `^` lower and raise what follows: one character, or several in braces.
"""

from __future__ import annotations

from dataclasses import dataclass

from minigan.core.op import Op


@dataclass(frozen=True)
class Formula:
    """What an operation computes, and for each argument that has a derivative the gradient of it."""

    forward: str
    backward: dict[str, str]


def _formula(forward: str, **backward: str) -> Formula:
    return Formula(forward, backward)


def formula_of(operation: Op) -> Formula:
    """An operation's formulas; one that a user declared has its docstring in their place."""
    known = FORMULAS.get(operation.name)
    if known is not None and operation.__module__.startswith("minigan."):
        return known
    first_line = (operation.__doc__ or operation.name).strip().partition("\n")[0]
    return Formula(first_line, {})


FORMULAS = {
    # elementwise
    "add": _formula("y = a + b", a="g", b="g"),
    "sub": _formula("y = a − b", a="g", b="−g"),
    "mul": _formula("y = a b", a="g b", b="g a"),
    "div": _formula("y = a / b", a="g / b", b="−g y / b"),
    "neg": _formula("y = −x", x="−g"),
    "pow": _formula("y = a^b", a="g b a^{b − 1}", b="g y log a"),
    "exp": _formula("y = e^x", x="g y"),
    "log": _formula("y = log x", x="g / x"),
    "sqrt": _formula("y = √x", x="g / (2 y)"),
    "sin": _formula("y = sin x", x="g cos x"),
    "cos": _formula("y = cos x", x="−g sin x"),
    "abs": _formula("y = |x|", x="g sign(x), and 0 at x = 0"),
    "relu": _formula("y = max(0, x)", x="g [y > 0]"),
    "relu_grad": _formula("r = grad [y > 0]", grad="g [y > 0]"),
    "leaky_relu": _formula("y = x where x > 0, s x elsewhere", x="g where x > 0, s g elsewhere"),
    "leaky_relu_grad": _formula(
        "r = grad where x > 0, s grad elsewhere", grad="g where x > 0, s g elsewhere"
    ),
    "sigmoid": _formula("y = 1 / (1 + e^{−x})", x="g y (1 − y)"),
    "sigmoid_grad": _formula("r = grad y (1 − y)", grad="g y (1 − y)", y="g grad (1 − 2 y)"),
    "tanh": _formula("y = tanh x", x="g (1 − y^2)"),
    "tanh_grad": _formula("r = grad (1 − y^2)", grad="g (1 − y^2)", y="−2 g grad y"),
    "softplus": _formula("y = log(1 + e^x)", x="g / (1 + e^{−x})"),
    "where": _formula(
        "y = a where the condition holds, b elsewhere",
        a="g where it holds, 0 elsewhere",
        b="0 where it holds, g elsewhere",
    ),
    "maximum": _formula(
        "y = max(a, b)", a="g [a > b], and g / 2 at a tie", b="g [b > a], and g / 2 at a tie"
    ),
    "minimum": _formula(
        "y = min(a, b)", a="g [a < b], and g / 2 at a tie", b="g [b < a], and g / 2 at a tie"
    ),
    "clip": _formula("y = min(max(x, low), high)", x="g [low ≤ x ≤ high]"),
    "cast": _formula("y = x in another dtype", x="g in x's dtype"),
    "alias": _formula("y = x", x="g"),
    # reductions
    "sum": _formula("y = Σ_i x_i", x="g for every x_i"),
    "mean": _formula("y = (1/n) Σ_i x_i", x="g / n for every x_i"),
    "var": _formula("y = Σ_i (x_i − m)^2 / (n − c), with m the mean", x="2 g (x_i − m) / (n − c)"),
    "max": _formula("y = max_i x_i", x="g for the largest, in even shares among equals"),
    "logsumexp": _formula("y = log Σ_i e^{x_i}", x="g e^{x_i − y}"),
    "log_softmax": _formula("y_i = x_i − log Σ_j e^{x_j}", x="g_i − e^{y_i} Σ_j g_j"),
    "spread": _formula("y_i = x for every i", x="Σ_i g_i"),
    # matrices
    "matrix_product": _formula("y_{ij} = Σ_k a_{ik} b_{kj}", a="g b^T", b="a^T g"),
    "matrix_transpose": _formula("y = x^T", x="g^T"),
    "linear": _formula("y = x W^T + bias", x="g W", weight="g^T x", bias="Σ g over the rows"),
    # shapes
    "reshape": _formula("y = x in another shape", x="g in x's shape"),
    "transpose": _formula("y = x with its axes in another order", x="g with its axes put back"),
    "broadcast_to": _formula("y = x, repeated to fill a shape", x="Σ g over the repeats"),
    "flip": _formula("y = x read backwards", x="g read backwards"),
    "concatenate": _formula("y = the tensors, one after the other", tensors="g cut apart again"),
    "getitem": _formula("y = x[index]", x="zeros, with g added at the index"),
    "getitem_dx": _formula("r = zeros, with grad added at the index", grad="g[index]"),
    "transfer": _formula("y = x on another device", x="g on x's device"),
    # convolution: stride s, dilation d, padding P
    "conv2d": _formula(
        "y[n,o,p,q] = bias[o] + Σ_{c,i,j} x[n, c, s p + d i − P, s q + d j − P] w[o,c,i,j]",
        x="Σ over all windows that saw the pixel: g[n,o,p,q] w[o,c,i,j]",
        weight="Σ_{n,p,q} x[n, c, s p + d i − P, s q + d j − P] g[n,o,p,q]",
        bias="Σ_{n,p,q} g[n,o,p,q]",
    ),
    "conv2d_relu": _formula(
        "y = max(0, conv2d(x, w) + bias)",
        x="as conv2d passes on g [y > 0]",
        weight="as conv2d passes on g [y > 0]",
        bias="Σ_{n,p,q} g [y > 0]",
    ),
    "conv2d_dx": _formula(
        "r = Σ over all windows that saw the pixel: grad[n,o,p,q] w[o,c,i,j]",
        grad="conv2d(g, w)",
        weight="conv2d_dw(g, grad)",
    ),
    "conv2d_dw": _formula(
        "r[o,c,i,j] = Σ_{n,p,q} x[n, c, s p + d i − P, s q + d j − P] grad[n,o,p,q]",
        x="conv2d_dx(grad, g)",
        grad="conv2d(x, g)",
    ),
    # pooling and resizing
    "max_pool2d": _formula(
        "y = the largest x of each window", x="g to the one that was the largest, 0 to the others"
    ),
    "scatter2d": _formula("r = zeros, with grad added at each index", grad="g at each index"),
    "gather2d": _formula("y = x at each index", x="zeros, with g added at each index"),
    "sum_pool2d": _formula("y = Σ x over each window", x="g to every x of its window, added up"),
    "sum_pool2d_dx": _formula(
        "r = grad to every pixel of its window, added up", grad="Σ g over each window"
    ),
    "upsample_nearest2d": _formula(
        "y[p,q] = x[p // s, q // s]", x="Σ g over the pixels that repeat x"
    ),
    "upsample_bilinear2d": _formula(
        "y = A x B^T, whose rows weigh two neighbours each", x="A^T g B"
    ),
    "upsample_bilinear2d_dx": _formula("r = A^T grad B", grad="A g B^T"),
    # borders
    "zero_pad2d": _formula("y = x with zeros around it", x="g without its border"),
    "reflection_pad2d": _formula(
        "y = x with its mirror image around it", x="g, with its border folded back and added"
    ),
    "reflection_pad2d_dx": _formula(
        "r = grad, with its border folded back and added", grad="g with its mirror image around it"
    ),
    # norms and chance
    "normalize": _formula(
        "y = (x − m) r, with m the mean and r = 1 / √(variance + ε)",
        x="r (g − mean(g) − y mean(g y))",
    ),
    "normalize_grad": _formula(
        "P = r (grad − mean(grad) − x̂ mean(grad x̂)), with x̂ = (x − m) r",
        grad="r (g − mean(g) − x̂ mean(g x̂))",
        x="−r (x̂ mean(g P) + P(g) mean(grad x̂) + P mean(g x̂))",
    ),
    "dropout_masked": _formula(
        "y = x / (1 − p) where a random number is at least p, 0 elsewhere",
        x="g / (1 − p) where that same number is, 0 elsewhere",
    ),
}
