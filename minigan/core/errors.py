"""Every error that a user of minigan can meet, as one tree.

MiniganError
├── ShapeError          an argument's shape does not fit          (also a ValueError)
├── ArgumentError       an argument's value or type does not fit  (also a ValueError)
│   └── SettingError        a setting has a value that makes no sense
├── DeviceError         a device that cannot be had, or two devices in one operation
├── GraphError          the graph cannot give the gradient that was asked for
│   ├── FreedGraphError     a backward pass has already used this graph up
│   ├── VersionError        a saved tensor was written to before its gradient was taken
│   └── NoGradientError     an operation without a derivative stands in the way
├── GradientMismatchError  a gradient differs from its finite difference  (also an AssertionError)
├── NonFiniteError      NaN or infinity where training cannot go on
├── WorkerError         a process that computes shards of a batch has ended (also a RuntimeError)
├── ScriptError         a script to be explained cannot be run, raises, or has no backward pass
├── CommandError        a command of the user's fails, or takes too long  (also a RuntimeError)
├── KernelError         a CUDA kernel does not compile, or was stopped while it ran
├── MissingExtraError   an optional library is not installed      (also an ImportError)
└── FileError           a file or folder of the user's cannot be used
    ├── ImageFileError      no image, a damaged image, too small an image, a folder without images
    ├── ModelFileError      no model, a damaged model, or another network's model
    └── OutputPathError     a path that cannot be written to

Each message is one sentence that names what failed, where, what was found and what is needed. The
command-line tools print it without a traceback and exit with status 2.
"""

from __future__ import annotations


class MiniganError(Exception):
    """The root of the tree; catch it to catch whatever minigan raises on purpose."""


class ShapeError(MiniganError, ValueError):
    """An argument has a shape that the operation cannot take."""


class ArgumentError(MiniganError, ValueError):
    """An argument has a value or a type that the operation cannot take."""


class SettingError(ArgumentError):
    """A setting has a value that makes no sense: whose it is, its name, its value, what it needs.

    Command-line tools say the same with their option's name.
    """

    def __init__(self, owner: str, name: str, value: object, needed: str):
        super().__init__(owner, name, value, needed)
        self.name, self.value, self.needed = name, value, needed
        self.owner = owner

    def __str__(self) -> str:
        return f"{self.owner}: {self.name} is {self.value!r}; it needs {self.needed}"


class DeviceError(MiniganError, RuntimeError):
    """A device is unknown or cannot be had here, or an operation met tensors of two devices."""


class GraphError(MiniganError, RuntimeError):
    """The recorded graph cannot give the gradient that was asked for."""


class FreedGraphError(GraphError):
    """The saved arrays of a node are gone: an earlier backward pass has used them."""


class VersionError(GraphError):
    """An array that was saved for the backward pass has been written to since."""


class NoGradientError(GraphError):
    """An operation has no derivative with respect to an argument that needs one."""


class GradientMismatchError(MiniganError, AssertionError):
    """The engine's gradient differs from the finite difference."""


class NonFiniteError(MiniganError, ArithmeticError):
    """A value became NaN or infinite."""


class WorkerError(MiniganError, RuntimeError):
    """A process that computes shards of a batch has ended, or failed in a way that cannot be told."""


class KernelError(MiniganError, RuntimeError):
    """A CUDA kernel does not compile, or had to be stopped while it ran."""


class MissingExtraError(MiniganError, ImportError):
    """A library that an optional part of minigan needs is not installed."""


class FileError(MiniganError, OSError):
    """A file or a folder that the user named cannot be used."""


class ImageFileError(FileError):
    """A file is no image, is damaged or too small, or a folder holds no images."""


class ModelFileError(FileError):
    """A file is no model, is damaged, or holds the weights of another network."""


class OutputPathError(FileError):
    """A path cannot be written to."""


class CommandError(MiniganError, RuntimeError):
    """A command of the user's cannot be started, fails, takes too long, or gives no picture."""


class ScriptError(MiniganError, RuntimeError):
    """A script to be explained cannot be run, raises, or ends before the pass that was asked for."""


def brief(value: object) -> str:
    """A wrong value as a message shows it: its repr if that is short, otherwise its type."""
    shown = repr(value)
    return shown if len(shown) <= 60 and "\n" not in shown else f"a {type(value).__name__}"


def require(module: str, extra: str, purpose: str):
    """Import `module`, or say in one sentence which `pip install` supplies it.

    `extra` is the name of minigan's optional dependency group; `purpose` completes the sentence
    "MODULE is needed to ...".
    """
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(
            f"{package} is needed to {purpose} and is not installed; "
            f"install it with: pip install 'minigan[{extra}]'"
        ) from error
