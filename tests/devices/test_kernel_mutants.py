"""Eight small faults planted in the kernels are noticed; tests/kernel_mutants.py plants the rest."""

from __future__ import annotations

import json

import kernel_mutants
import pytest
from kernel_mutants import RESULTS, Mutant, drawn, is_caught, mutants_of, why_equivalent

DRAWN = drawn(8, seed=1)


@pytest.fixture(scope="module", autouse=True)
def scratch(tmp_path_factory):
    """One folder for all mutants that this process plants, so that the others' kernels are built once."""
    kernel_mutants._scratch.put(str(tmp_path_factory.mktemp("mutants")))
    yield
    kernel_mutants._scratch.get()


@pytest.mark.parametrize("mutant", DRAWN, ids=lambda m: f"{m.file}:{m.line}:{m.operator}")
def test_a_planted_fault_is_noticed(mutant):
    caught, _ = is_caught(mutant)
    assert caught or why_equivalent(mutant)


def test_the_recorded_run_is_large_enough_and_few_were_not_noticed():
    found = json.loads(RESULTS.read_text())
    became = [row["became"] for row in found["all"]]
    assert len(became) >= 200
    assert became.count("equivalent") <= 0.1 * len(became)
    real = len(became) - became.count("equivalent")
    assert became.count("caught") >= 0.95 * real
    assert found["mutants"] == len(became)


SOURCE = """#ifdef MINIGAN_EMULATOR
    model[i] += 1;
#else
    asm("..." : "+f"(c[0]));
#endif
    __shared__ alignas(16) REAL tile[8][9];
#pragma unroll
    for (int i = 0; i < n; i++) {
        if (i + 1 < n) y[i] += tile[i][0] * v.stride_h;  // [not] < this
        __syncthreads();
    }
"""


def test_the_operators_change_what_runs_on_a_gpu_and_nothing_else():
    found = {(m.line, m.operator, m.old, m.new) for m in mutants_of("x.cu", SOURCE)}
    assert found == {
        (4, "index off by one", "[0]", "[0 + 1]"),
        (8, "< becomes <=", "<", "<="),
        (9, "< becomes <=", "<", "<="),
        (9, "guard dropped", "if (i + 1 < n)", "if (true)"),
        (9, "index off by one", "[i]", "[i + 1]"),
        (9, "index off by one", "[0]", "[0 + 1]"),
        (9, "+= becomes =", "+=", "="),
        (9, "stride and padding exchanged", "stride", "padding"),
        (10, "barrier dropped", "__syncthreads();", ";"),
    }
    assert isinstance(mutants_of("x.cu", SOURCE)[0], Mutant)
