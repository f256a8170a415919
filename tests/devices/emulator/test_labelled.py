"""How sharp the checker is: kernels with one planted fault each, beside their correct twins.

Every file in labelled/ compiles to correct kernels as it stands. Each macro that its table names plants
one fault; a trailing comment `// fault: MACRO` marks where that should be found.
"""

from collections import Counter
from functools import cache

import numpy as np
import pytest
from devices.emulator.labelled import graphs, regular
from devices.emulator.labelled.cases import Case

from minigan.devices.emulator import Finding, Module

CASES: list[Case] = [*regular.CASES, *graphs.CASES]
PAIRS = [(case, macro) for case in CASES for macro in case.faults]
PAIRS.sort(key=lambda pair: (pair[0].file, pair[1]))  # those of one build together


@cache
def module(file: str, *defines: str) -> Module:
    of_file = [case for case in CASES if case.file == file]
    instances = [case.kernel for case in of_file if case.template]
    return Module(of_file[0].path, "check", defines, instances)


def run(case: Case, *defines: str, order: str = "forward") -> tuple[list[Finding], list[str]]:
    """What is found, and which results are wrong."""
    args, expected = case.launch(np.random.default_rng(7))
    kernel = module(case.file, *defines)[case.kernel]
    report = kernel(case.grid, case.block, args, case.shared_mem, order=order, seed=1, seconds=20)
    wrong = [
        f"argument {number}"
        for number, right in expected.items()
        if not (right(args[number]) if callable(right) else _close(args[number], right))
    ]
    return report.findings, wrong


def _close(got: np.ndarray, right: np.ndarray) -> bool:
    right = np.asarray(right)
    return np.allclose(got.reshape(right.shape), right, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_correct_twin(case):
    findings, wrong = run(case)
    assert not findings, "\n".join(map(str, findings))
    assert not wrong


@pytest.mark.parametrize("order", ["reverse", "random"])
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.kernel)
def test_correct_twin_in_other_orders(case, order):
    findings, wrong = run(case, order=order)
    assert not findings, "\n".join(map(str, findings))
    assert not wrong


@pytest.mark.parametrize(("case", "macro"), PAIRS, ids=[f"{c.kernel}-{m}" for c, m in PAIRS])
def test_planted_fault(case, macro):
    findings, _ = run(case, macro)
    right = [f for f in findings if f.kind in case.faults[macro].split()]
    assert right, "\n".join(map(str, findings)) or "nothing was found"
    marked = case.marked(macro)
    found = {f.line for f in right} | {int(f.other.rpartition(":")[2]) for f in right if f.other}
    assert not marked or found & marked, "\n".join(map(str, right))


def test_there_are_enough_pairs():
    kinds = Counter(kind for case, macro in PAIRS for kind in case.faults[macro].split())
    assert len(PAIRS) >= 60
    assert sum(case in graphs.CASES for case, _ in PAIRS) >= 20
    assert kinds["global-race"] >= 20
    assert kinds["shared-race"] >= 20
    assert kinds["out-of-bounds"] >= 20
