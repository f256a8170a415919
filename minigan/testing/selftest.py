"""The catalogue's checks on a user's own machine, one operation after the other."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from minigan import devices
from minigan.core.errors import ArgumentError
from minigan.testing import on_devices
from minigan.testing.catalogue import CATALOGUE, Call


@dataclass(frozen=True)
class Result:
    """What became of one operation's checks.

    operation its name
    checks    those that were made, in order
    problem   what went wrong in the last of them; empty if nothing did
    """

    operation: str
    checks: Sequence[str]
    problem: str = ""


def selftest(device: str, operations: Sequence[str] = (), examples: int = 3) -> Iterator[Result]:
    """Check operations (default: all) on `device`, each on so many calls; the same ones every time.

    Float32 is compared with an independent reference, gradients of first and second order with finite
    differences in float64, and on the emulator the checker looks on. Raises ArgumentError for an
    operation that does not exist, DeviceError for a device that cannot be had.
    """
    devices.available(device)
    unknown = [name for name in operations if name not in CATALOGUE]
    if unknown:
        raise ArgumentError(f"selftest: there is no operation {unknown[0]!r}")
    for name in operations or sorted(CATALOGUE):
        yield _checked(name, device, examples)


def _checked(name: str, device: str, examples: int) -> Result:
    entry = CATALOGUE[name]
    checks: dict[str, Callable[[Call], None]] = {
        "float32": lambda call: on_devices.assert_float32_agrees(device, entry, call)
    }
    if entry.op.differentiable:
        checks["gradients"] = lambda call: on_devices.assert_finite_differences_agree(
            device, entry, call
        )
    if device == "emulator":
        checks["checker"] = lambda call: on_devices.assert_nothing_is_found(entry, call)
    made: list[str] = []
    for title, check in checks.items():
        made.append(title)
        try:
            _for_each(entry.calls, examples, check)
        except Exception as error:  # whatever it is, the other operations are checked too
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return Result(name, made, f"{type(error).__name__}: {lines[0]}")
    return Result(name, made)


def _for_each(calls: st.SearchStrategy[Call], examples: int, check: Callable[[Call], None]) -> None:
    @settings(
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        # A slow machine is no failure, nor is an operation that takes large arrays.
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    @given(calls)
    def run(call: Call) -> None:
        check(call)

    run()
