"""How an operation is declared: its forward, its vjps, its kernels.

An operation is a function on raw arrays, and for each tensor argument one line of mathematics, the
vjp (vector-Jacobian product), written in Tensor operations:

    @op(broadcasts=True)
    def div(a, b):
        \"\"\"Quotient a / b.\"\"\"
        return np.divide(a, b)

    div.vjps(
        a=lambda g, b: g / b,
        b=lambda g, out, b: -g * out / b,
    )

Because a vjp is made of operations, gradients of any order come for free.

What is saved between forward and backward is decided by the names of a vjp's parameters, and by
nothing else: `g` is what flows in; an argument's name asks for that argument, `out` for the result,
an `aux` name for that auxiliary result, `x_shape` for the shape of argument `x` alone, and a keyword
parameter's name for its value (`**rest` takes the keyword parameters that are not named). An
intermediate array cannot slip in.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import MethodType
from typing import Any, NamedTuple, overload

import numpy as np

from minigan.core.calls import refuse_misfit
from minigan.core.errors import DeviceError, MiniganError, NoGradientError
from minigan.core.graph import Node, mode
from minigan.core.operands import as_operands, floats, refusal, unless_asked_for
from minigan.core.quiet import quiet_context
from minigan.core.tensor import Array, Tensor

REGISTRY: dict[str, Op] = {}  # every operation, by name

_RESERVED = ("g", "out", "needs")


class Want(NamedTuple):
    """Something that a vjp asks for.

    kind   "input", "out", "aux", "shape" of an input, "param", or "needs": which inputs want gradients
    place  of the input or the auxiliary result among its kind
    """

    name: str
    kind: str
    place: int = 0


@dataclass(frozen=True, slots=True)
class Rule:
    """A vjp: the function, the places of the arguments it gives gradients for, and what it asks for.

    The vjp of an operation on any number of tensors has no places: it gives a list for all of them.
    """

    function: Callable[..., Any]
    places: tuple[int, ...]
    wants: tuple[Want, ...]


class Op:
    """An operation on tensors. Calling it runs the kernel and, where a gradient is needed, records."""

    def __init__(
        self,
        forward: Callable[..., Any],
        *,
        aux: tuple[str, ...] = (),
        broadcasts: bool = False,
        view: bool = False,
        differentiable: bool = True,
        linear: bool = False,
        floating: bool = False,
        flops: Callable[..., int] | None = None,
    ):
        self.forward = forward
        self.name = forward.__name__
        self.__name__ = forward.__name__
        self.__doc__ = forward.__doc__
        self.__module__ = forward.__module__
        self.__qualname__ = forward.__qualname__
        self.__signature__ = _as_called(inspect.signature(forward))
        self.aux = aux
        self.broadcasts = broadcasts
        self.view = view
        self.differentiable = differentiable
        self.linear = linear
        self.floating = floating
        self.flops = flops
        self.kernels: dict[str, Callable[..., Any]] = {"cpu": forward}
        self.rules: dict[str, Rule | None] = {}
        self.composition: Callable[..., Tensor] | None = None
        self._check: Callable[..., dict[str, Any] | None] | None = None
        self._rules_for: dict[tuple[bool, ...], tuple[Rule, ...]] = {}
        self._plans: dict[tuple[bool, ...], tuple[Want, ...]] = {}
        self._read_signature()
        self._settings = self.defaults.keys() | self.required
        self._chooses_dtype = "dtype" in self.required
        self._chooses_device = "device" in self.required
        self._register()

    def _read_signature(self) -> None:
        """Parameters before `*` are tensor arguments; those after it are keyword parameters."""
        self.inputs: tuple[str, ...] = ()
        self.optional: set[str] = set()
        self.variadic: str | None = None
        self.defaults: dict[str, Any] = {}
        self.required: set[str] = set()
        parameters = self.__signature__.parameters
        for name in (*parameters, *self.aux):
            if name in _RESERVED or (name in parameters and name in self.aux):
                raise TypeError(
                    f"{self.name}: nothing can be named {name!r}; in vjps it means something else"
                )
        for name, parameter in parameters.items():
            if parameter.kind is parameter.VAR_POSITIONAL:
                self.variadic = name
            elif parameter.kind is parameter.KEYWORD_ONLY:
                if parameter.default is parameter.empty:
                    self.required.add(name)
                else:
                    self.defaults[name] = parameter.default
            elif parameter.default not in (None, parameter.empty) or parameter.kind is (
                parameter.VAR_KEYWORD
            ):
                raise TypeError(
                    f"{self.name}: {parameter} is neither a tensor argument (whose only default is "
                    "None) nor a keyword parameter (which stands after *)"
                )
            else:
                self.inputs += (name,)
                if parameter.default is None:
                    self.optional.add(name)
        if self.variadic and self.inputs:
            raise TypeError(f"{self.name}: *{self.variadic} needs to be its only tensor argument")

    def _register(self) -> None:
        """Enter the operation under its name, in the place of an earlier version of its own.

        The same words in the same place, run again, are a cell of a notebook or a module reloaded.
        """
        before = REGISTRY.get(self.name, self)
        if (before.__module__, before.__qualname__) != (self.__module__, self.__qualname__):
            raise TypeError(
                f"an operation named {self.name} is declared already, in {before.__module__}"
            )
        REGISTRY[self.name] = self

    # ------------------------------------------------------------------ declaring

    def vjps(self, **rules: Callable[..., Any] | None) -> None:
        """Give one vjp for each named argument; None says that the derivative is zero."""
        for target, function in rules.items():
            self._add_rule((target,), function)

    def vjp(self, *targets: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate a vjp; one that serves several arguments returns a gradient for each."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            self._add_rule(targets, function)
            return function

        return declare

    def _add_rule(self, targets: tuple[str, ...], function: Callable[..., Any] | None) -> None:
        arguments = (*self.inputs, self.variadic)
        for target in targets:
            if target not in arguments or target in self.rules:
                raise TypeError(f"{self.name}: {target!r} is no argument, or has a vjp already")
        places = () if self.variadic else tuple(map(self.inputs.index, targets))
        rule = None if function is None else Rule(function, places, self._wants(function))
        for target in targets:
            self.rules[target] = rule
        self._rules_for.clear()
        self._plans.clear()

    def _wants(self, function: Callable[..., Any]) -> tuple[Want, ...]:
        """What a vjp asks for besides `g`, read from its signature."""
        taken = inspect.signature(function).parameters
        asked = [p for name, p in taken.items() if name != "g"]
        parameters = (*self.defaults, *sorted(self.required))
        names = [p.name for p in asked if p.kind is not p.VAR_KEYWORD]
        known = self._can_be_wanted()
        if next(iter(taken), None) != "g" or not known.keys() >= set(names):
            raise TypeError(
                f"{self.name}: a vjp asks for {sorted(names - known.keys())}; its first parameter is "
                "g, the others name arguments, results or keyword parameters"
            )
        if len(names) < len(asked):
            names += [name for name in parameters if name not in names]
        return tuple(known[name] for name in names)

    def _can_be_wanted(self) -> dict[str, Want]:
        """All that vjps can ask for, by name."""
        tensors = self.inputs if self.variadic is None else (self.variadic,)
        found = [Want("out", "out"), Want("needs", "needs")]
        found += [Want(name, "input", i) for i, name in enumerate(self.inputs)]
        found += [Want(name, "aux", i) for i, name in enumerate(self.aux)]
        found += [Want(f"{name}_shape", "shape", i) for i, name in enumerate(tensors)]
        found += [Want(name, "param") for name in self._settings]
        return {want.name: want for want in found}

    def kernel(self, device: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorate the function on raw arrays that runs this operation on `device`."""

        def declare(function: Callable[..., Any]) -> Callable[..., Any]:
            self.kernels[device] = function
            return function

        return declare

    def check(self, function: Callable[..., dict[str, Any] | None]) -> Callable[..., Any]:
        """Decorate the function that refuses bad calls, on any device, before the kernel runs.

        It takes what the forward takes and may return keyword parameters in their normal form.
        """
        self._check = function
        return function

    def composed(self, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
        """Decorate the same mathematics made of other operations.

        It is differentiated in place of the vjps when a graph of the backward pass is wanted.
        """
        self.composition = function
        return function

    # ------------------------------------------------------------------ running

    def __call__(self, *args: Any, **params: Any) -> Tensor:
        return self._run(args, params)[0]

    def with_aux(self, *args: Any, **params: Any) -> tuple[Tensor, ...]:
        """The result followed by the auxiliary results, which have no gradient."""
        out, aux = self._run(args, params)
        return out, *(Tensor(_read_only(array), None, None, out.device) for array in aux)

    def _run(self, args: tuple[Any, ...], params: dict[str, Any]) -> tuple[Tensor, Sequence[Array]]:
        if len(args) != len(self.inputs) or params.keys() != self._settings:
            args, params = self._bind(args, params)
        args, arrays, device = as_operands(self, args)
        if self._check is not None and (normal := self._check(*arrays, **params)):
            params = {**params, **normal}
        try:
            kernel = self.kernels[device]
        except KeyError:
            raise DeviceError(f"{self.name}: there is no kernel for device {device!r}") from None
        if self.floating and device == "cpu":
            arrays = [floats(a) for a in arrays]
        try:
            result = quiet_context().run(kernel, *arrays, **params)
        except (ValueError, TypeError, OverflowError) as error:
            if self.broadcasts and not isinstance(error, MiniganError):
                raise refusal(self, arrays, error) from error
            raise
        array, aux = (result[0], result[1:]) if self.aux else (result, ())
        where = params["device"] if self._chooses_device else device
        if device == where == "cpu":
            if type(array) is not np.ndarray:
                array = np.asarray(array)  # NumPy gives scalars where an array has no axes
            if array.dtype.char == "d" and not self._chooses_dtype:
                array = unless_asked_for(array, args)
        version = args[0]._version if self.view else None

        out = Tensor(array, None, version, where)
        if mode.recording and self.differentiable and array.dtype.kind == "f":
            parents = tuple([a._node if isinstance(a, Tensor) else None for a in args])
            needs = tuple([parent is not None for parent in parents])
            if True in needs:
                saved = self._save(needs, args, out, aux)
                out._node = Node(self, parents, saved, params, array, device)
        if mode.observer is not None:
            mode.observer(self, args, params, out)
        return out, aux

    def _bind(
        self, args: tuple[Any, ...], params: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Put arguments given by name into their places, fill in defaults, refuse what is wrong."""
        given, settings = args, {**self.defaults, **params}
        if self.variadic is None:
            for name in self.inputs[len(args) :]:
                if name in settings:
                    args += (settings.pop(name),)
                elif name in self.optional:
                    args += (None,)
        elif len(args) == 1 and isinstance(args[0], list | tuple):
            args = tuple(args[0])
        complete = self.variadic is not None or len(args) == len(self.inputs)
        if not complete or settings.keys() != self._settings:
            refuse_misfit(self.name, self.__signature__, given, params)
        return args, settings

    def _save(
        self, needs: tuple[bool, ...], args: Sequence[Any], out: Tensor, aux: Sequence[Array]
    ) -> dict[str, Any]:
        """Keep what the vjps of the needed arguments ask for, each array with its version."""
        plan = self._plans.get(needs)
        if plan is None:
            plan = self._plans[needs] = self._plan(needs)
        saved: dict[str, Any] = {}
        for name, kind, index in plan:
            if kind == "input":
                value = args[index]
                if type(value) is Tensor:
                    value = (value._array, value._version, value._version[0])
            elif kind == "out":
                value = (out._array, out._version, out._version[0])
            elif kind == "aux":
                value = (aux[index], _NEVER_WRITTEN, 0)
            elif self.variadic:
                value = [_shape_of(a) for a in args]
            else:
                value = _shape_of(args[index])
            saved[name] = value
        return saved

    def _plan(self, needs: tuple[bool, ...]) -> tuple[Want, ...]:
        """Which arrays and shapes to save when the arguments marked in `needs` want a gradient."""
        wanted = dict.fromkeys(want for rule in self.rules_for(needs) for want in rule.wants)
        if self.composition is not None:
            wanted.update(dict.fromkeys(self.input_wants()))
        return tuple(want for want in wanted if want.kind not in ("param", "needs"))

    def input_wants(self) -> tuple[Want, ...]:
        """All tensor arguments, as something to be saved and recalled."""
        return tuple(Want(name, "input", i) for i, name in enumerate(self.inputs))

    def names_of(self, args: Sequence[Any]) -> tuple[str, ...]:
        """What messages call these arguments."""
        if self.variadic is None:
            return self.inputs
        return tuple(f"{self.variadic}[{i}]" for i in range(len(args)))

    def rules_for(self, needs: tuple[bool, ...]) -> tuple[Rule, ...]:
        """The vjps to run for the arguments marked in `needs`, each once."""
        rules = self._rules_for.get(needs)
        if rules is None:
            rules = self._rules_for[needs] = self._chosen_rules(needs)
        return rules

    def _chosen_rules(self, needs: tuple[bool, ...]) -> tuple[Rule, ...]:
        names = self.inputs if self.variadic is None else (self.variadic,) * len(needs)
        rules = [self.rules.get(name) for name, needed in zip(names, needs, strict=True) if needed]
        return tuple(rule for rule in dict.fromkeys(rules) if rule is not None)

    def refuse_missing_rules(self, needs: tuple[bool, ...]) -> None:
        """Raise NoGradientError where an argument marked in `needs` has no vjp."""
        names = self.inputs if self.variadic is None else (self.variadic,) * len(needs)
        for name, needed in zip(names, needs, strict=True):
            if needed and name not in self.rules:
                raise NoGradientError(
                    f"backward: {self.name} has no derivative with respect to {name!r}; "
                    "detach() that argument if its gradient is not wanted"
                )

    def __repr__(self) -> str:
        return f"<operation {self.name}>"

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        """In a class, an operation is a method, as a function is; help() takes it for one too."""
        return self if instance is None else MethodType(self, instance)


_NEVER_WRITTEN = [0]  # the version cell of auxiliary results, which users see read-only


def _read_only(array: Array) -> Array:
    if not isinstance(array, Array):
        return array  # a GPU's arrays cannot be guarded
    view = array.view()
    view.flags.writeable = False
    return view


@overload
def op(forward: Callable[..., Any], /) -> Op: ...
@overload
def op(
    *,
    aux: tuple[str, ...] = (),
    broadcasts: bool = False,
    view: bool = False,
    differentiable: bool = True,
    linear: bool = False,
    floating: bool = False,
    flops: Callable[..., int] | None = None,
) -> Callable[[Callable[..., Any]], Op]: ...
def op(forward: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Declare an operation from its forward function on raw arrays.

    aux             names of further results, arrays without a gradient that vjps may ask for
    broadcasts      arguments broadcast as in NumPy; the engine sums gradients back to their shapes
    view            the result shares the first argument's memory, and so its version
    differentiable  False for results that have no derivative, such as comparisons
    linear          linear in each tensor argument taken alone (tests check the adjoint identity)
    floating        of real numbers: integers come to the forward as float64, or NumPy would
                    compute with those of 8 bits in float16
    flops           how many the forward takes, from the shapes of the result and of each tensor
                    argument; where they are many, and there are threads (minigan.core.parallel),
                    several vjps of a node run at the same time
    """
    if forward is not None:
        return Op(forward)
    return lambda function: Op(function, **options)


def _as_called(forward: inspect.Signature) -> inspect.Signature:
    """The forward's signature as callers see it: with tensors where the forward has arrays."""
    parameters = [
        p
        if p.kind is p.KEYWORD_ONLY
        else p.replace(annotation="Tensor | None" if p.default is None else "Tensor")
        for p in forward.parameters.values()
    ]
    return forward.replace(parameters=parameters, return_annotation="Tensor")


def _shape_of(value: Any) -> tuple[int, ...]:
    return value.shape if isinstance(value, Tensor) else ()
