"""minigan: an autograd engine written from nothing, and GANs that stand on it.

    import minigan as mg

    x = mg.tensor([1.0, 2.0, 3.0], requires_grad=True)
    loss = (x * x).sum()
    loss.backward()
    x.grad                                     # tensor([2. 4. 6.], ...)

Everything public is found here by name (`dir(minigan)` lists it) and imported when it is first used, so
that a command line which only prints its version does not wait for NumPy.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from minigan import explain as explain
    from minigan import nn as nn
    from minigan import optim as optim
    from minigan.core.engine import Step as Step
    from minigan.core.engine import grad as grad
    from minigan.core.engine import steps as steps
    from minigan.core.errors import ArgumentError as ArgumentError
    from minigan.core.errors import CommandError as CommandError
    from minigan.core.errors import DeviceError as DeviceError
    from minigan.core.errors import FileError as FileError
    from minigan.core.errors import FreedGraphError as FreedGraphError
    from minigan.core.errors import GradientMismatchError as GradientMismatchError
    from minigan.core.errors import GraphError as GraphError
    from minigan.core.errors import ImageFileError as ImageFileError
    from minigan.core.errors import KernelError as KernelError
    from minigan.core.errors import MiniganError as MiniganError
    from minigan.core.errors import MissingExtraError as MissingExtraError
    from minigan.core.errors import ModelFileError as ModelFileError
    from minigan.core.errors import NoGradientError as NoGradientError
    from minigan.core.errors import NonFiniteError as NonFiniteError
    from minigan.core.errors import OutputPathError as OutputPathError
    from minigan.core.errors import ScriptError as ScriptError
    from minigan.core.errors import SettingError as SettingError
    from minigan.core.errors import ShapeError as ShapeError
    from minigan.core.errors import VersionError as VersionError
    from minigan.core.errors import WorkerError as WorkerError
    from minigan.core.gradcheck import gradcheck as gradcheck
    from minigan.core.gradcheck import gradgradcheck as gradgradcheck
    from minigan.core.graph import enable_grad as enable_grad
    from minigan.core.graph import no_grad as no_grad
    from minigan.core.graph import set_grad_enabled as set_grad_enabled
    from minigan.core.op import op as op
    from minigan.core.tensor import Tensor as Tensor
    from minigan.core.tensor import tensor as tensor
    from minigan.devices.capture import capture as capture
    from minigan.devices.choice import exact as exact
    from minigan.devices.choice import use_kernels as use_kernels
    from minigan.devices.launch.tuning import tune_kernels as tune_kernels
    from minigan.ops import *  # noqa: F403
    from minigan.ops.which import which_kernel as which_kernel

_HOMES = {
    "minigan.core.tensor": ("Tensor", "tensor"),
    "minigan.core.graph": ("enable_grad", "no_grad", "set_grad_enabled"),
    "minigan.core.engine": ("Step", "grad", "steps"),
    "minigan.core.gradcheck": ("gradcheck", "gradgradcheck"),
    "minigan.core.op": ("op",),
    "minigan.devices.capture": ("capture",),
    "minigan.devices.choice": ("exact", "use_kernels"),
    "minigan.devices.launch.tuning": ("tune_kernels",),
    "minigan.ops.which": ("which_kernel",),
    "minigan.core.errors": (
        "ArgumentError",
        "CommandError",
        "DeviceError",
        "FileError",
        "FreedGraphError",
        "GradientMismatchError",
        "GraphError",
        "ImageFileError",
        "KernelError",
        "MiniganError",
        "MissingExtraError",
        "ModelFileError",
        "NoGradientError",
        "NonFiniteError",
        "OutputPathError",
        "ScriptError",
        "SettingError",
        "ShapeError",
        "VersionError",
        "WorkerError",
    ),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}
_DTYPES = ("float32", "float64", "int32", "int64", "bool")
_MODULES = (
    "core",
    "deblur",
    "devices",
    "explain",
    "files",
    "gan",
    "images",
    "nn",
    "ops",
    "optim",
    "processes",
    "serialize",
)


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("minigan")
    if name in _DTYPES:
        import numpy

        return numpy.dtype(name)
    if name in _MODULES:
        return importlib.import_module(f"minigan.{name}")
    ops = importlib.import_module("minigan.ops")  # always: it gives Tensor its operators
    home = importlib.import_module(_HOME_OF[name]) if name in _HOME_OF else ops
    if home is ops and name not in ops.__all__:
        raise AttributeError(f"module 'minigan' has no attribute {name!r}")
    value = globals()[name] = getattr(home, name)
    return value


def __dir__() -> list[str]:
    ops = importlib.import_module("minigan.ops")
    return sorted({*_HOME_OF, *_DTYPES, *_MODULES, *ops.__all__, "__version__"})
