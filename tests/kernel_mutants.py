"""Plants small faults in kernels/ and sees whether the tests of the devices notice.

    python tests/kernel_mutants.py --count 200 --seed 0        # writes tests/kernel_mutants.json

A mutant is one change at one site: an index off by one, `<` become `<=`, a dropped barrier, a dropped
guard, stride and padding exchanged, `+=` become `=`, a dropped wait. Sites are drawn by seed. A mutant is
caught when a test fails, when it does not compile, or when it does not end. Some change nothing that
anybody could see: EQUIVALENT gives the reason for each of those.

    python tests/kernel_mutants.py --survivors                 # only those again, after tests were added
"""

from __future__ import annotations

import argparse
import json
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from queue import Queue
from typing import Any

from minigan.devices.emulator.source import blanked
from minigan.devices.launch.kernel import kernels_folder

RESULTS = Path(__file__).with_suffix(".json")
SECONDS = 240  # after which a mutant counts as one that does not end

# The tests to run for a file, with -k where only some of them are meant.
_CATALOGUE = "tests/devices/test_catalogue_on_devices.py"
_VARIANTS = "tests/devices/test_variants.py"
_PLANES = [
    ["tests/devices/test_images.py"],
    ["tests/devices/test_cuda.py", "-k", "indices"],
    [_CATALOGUE, "-k", "pool or pad or upsample or 2d"],
]
_PRODUCTS = [[_VARIANTS], [_CATALOGUE, "-k", "conv or matrix or linear"]]
_ROWS = [["tests/devices/test_reduce.py"], ["tests/devices/test_norm.py"]]
TESTS: dict[str, list[list[str]]] = {
    "common.cuh": [["tests/devices/test_strides.py"], [_VARIANTS], [_CATALOGUE]],
    "planes.cuh": _PLANES,
    "pool.cu": _PLANES,
    "pad.cu": _PLANES,
    "resize.cu": _PLANES,
    "gemm.cuh": _PRODUCTS,
    "matmul.cu": _PRODUCTS,
    "conv2d.cuh": _PRODUCTS,
    "conv2d.cu": _PRODUCTS,
    "matmul.cuh": _PRODUCTS,
    "pipeline.cuh": [[_VARIANTS, "-k", "v4 or v5"]],
    "tensor_cores.cuh": [[_VARIANTS, "-k", "v5"]],
    "ptx.cuh": [["tests/devices/test_ptx.py"], [_VARIANTS, "-k", "v4 or v5"]],
    "winograd.cu": [[_VARIANTS, "-k", "v6"]],
    "conv2d_thin.cu": [[_VARIANTS, "-k", "v7 or layers"]],
    "conv2d_dw_thin.cu": [[_VARIANTS, "-k", "v7 or layers"]],
    "reduction.cuh": _ROWS,
    "reduce.cu": _ROWS,
    "statistics.cu": _ROWS,
    "norm.cu": [["tests/devices/test_norm.py"], [_CATALOGUE, "-k", "norm"]],
    "cast.cu": [["tests/devices/test_strides.py"], [_CATALOGUE, "-k", "cast"]],
    "index.cu": [["tests/devices/test_index.py"], [_CATALOGUE, "-k", "getitem or concatenate"]],
    "random.cu": [["tests/devices/test_random.py"]],
    "optim.cu": [["tests/devices/test_optim_on_devices.py"]],
}
OTHERWISE = [["tests/devices/test_strides.py"], [_CATALOGUE]]

# ---------------------------------------------------------------------- what is changed


@dataclass(frozen=True)
class Mutant:
    """A change of `old` to `new` at an offset of a file."""

    file: str
    operator: str
    line: int
    offset: int
    old: str
    new: str


_DECLARATION = re.compile(
    r"^\s*(?:(?:const|static|__shared__|constexpr|extern|typename|alignas\(\d+\))\s+)*"
    r"[\w:<>]+\s+\w+(\[[^\]]*\])+\s*[;={,)]"
)
# The C++ that stands in for an instruction is the emulator's, no part of the kernel.
_MODEL = re.compile(r"^#ifdef MINIGAN_EMULATOR\n(?P<model>.*?)^#(?:el|endif)", re.M | re.S)
_OPERATORS = {
    "index off by one": re.compile(r"\[(?P<inside>[^\[\]]+)\]"),
    "< becomes <=": re.compile(r"(?<= )<(?= )"),
    "barrier dropped": re.compile(r"__sync(?:threads|warp)\([^()]*\);"),
    "wait dropped": re.compile(r"\w*_wait\w*(?:<\d+>)?\([^()]*\);"),
    "stride and padding exchanged": re.compile(r"\b(?P<word>stride|padding)(?=_[hw]\b)"),
    "+= becomes =": re.compile(r"\+=(?=[^=])"),
}
_GUARD = re.compile(r"\bif \(")


def mutants_of(name: str, source: str) -> list[Mutant]:
    """Every change of every operator at every site of a file."""
    plain = _MODEL.sub(lambda m: re.sub(r"[^\n]", " ", m[0]), blanked(source))
    found = []
    for operator, start, end, new in _changes(plain, source):
        found.append(
            Mutant(name, operator, 1 + source.count("\n", 0, start), start, source[start:end], new)
        )
    return found


def _changes(plain: str, source: str) -> Iterator[tuple[str, int, int, str]]:
    for operator, pattern in _OPERATORS.items():
        for match in pattern.finditer(plain):
            start, end = match.span()
            line = source[source.rfind("\n", 0, start) + 1 : source.find("\n", start)]
            if line.lstrip().startswith("#pragma"):
                continue
            if operator == "index off by one":
                if not _DECLARATION.match(line):
                    yield operator, start, end, f"[{source[start + 1 : end - 1]} + 1]"
            elif operator == "< becomes <=":
                yield operator, start, end, "<="
            elif operator == "stride and padding exchanged":
                yield operator, start, end, "padding" if match["word"] == "stride" else "stride"
            elif operator == "+= becomes =":
                yield operator, start, end, "="
            else:
                yield operator, start, end, ";"
    for match in _GUARD.finditer(plain):
        end = _closing(plain, match.end())
        yield "guard dropped", match.start(), end, "if (true)"


def _closing(text: str, start: int) -> int:
    """The place behind the parenthesis that closes one opened before `start`."""
    depth = 1
    for i in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[i], 0)
        if depth == 0:
            return i + 1
    return len(text)


_RECTIFIED = "__device__ __forceinline__ REAL rectified(REAL y, bool relu)"
_TILES = "for (long long first = static_cast<long long>(blockIdx.x) * tile;"
_STEP = "my_step = operand.step(k0 + mine);"
_PASSED = "(tiles, a, b, bias, c, g); \\"
_LAYOUT = "it decides only which thread loads what; the strides say where"

# Mutants that compute the same: the file, the line as the mutant has it, and why.
EQUIVALENT = {
    (
        "functions.cu",
        "y[i] = x <= low ? low : x > high ? high : x;",
    ): "where x == low, both give low",
    ("functions.cu", "REAL e = exp(x <= 0 ? x : -x);"): "exp(-0) is exp(0)",
    ("norm.cu", f"{_RECTIFIED} {{ return relu && y <= 0 ? REAL(0) : y; }}"): (
        "where y is 0, both give 0"
    ),
    ("resize.cu", "return at <= 0 ? 0 : at < last ? at : last;"): "where at is 0, both give 0",
    (
        "resize.cu",
        "return at < 0 ? 0 : at <= last ? at : last;",
    ): "where at == last, it gives either",
    ("resize.cu", "if (distance <= 0) distance = -distance;"): "-0 is 0",
    ("resize.cu", "return distance <= unit ? REAL(unit - distance) / REAL(unit) : REAL(0);"): (
        "where distance == unit, the first is 0 as well"
    ),
    ("random.cu", f"{_TILES} first <= count; first += gridDim.x * tile) {{"): (
        "one more round, in which first + i < count holds for no thread"
    ),
    ("conv2d_dw_thin.cu", "for (int q0 = 0; q0 <= v.out_width; q0 += columns) {"): (
        "one more round, in which all pixels are outside and count as zero"
    ),
    ("pipeline.cuh", f"if (Operand::k_is_inner && k0 + mine <= k_end) {_STEP}"): (
        "one step more is computed, for a k that no copy takes"
    ),
    ("pipeline.cuh", f"if (true) {_STEP}"): "a step is computed for a k that no copy takes",
    ("pipeline.cuh", "if (first + i <= count && k0 + k < k_end)"): (
        "the line after the last is the last again (my_line), and its products are not stored"
    ),
    ("pipeline.cuh", "if (k0 + block_k <= k_end) {"): (
        "one more tile is begun, of zeros that nobody computes with"
    ),
    ("matmul.cuh", f"if (true) matmul<Algorithm, true, true>{_PASSED}"): _LAYOUT,
    ("matmul.cuh", f"else if (true) matmul<Algorithm, true, false>{_PASSED}"): _LAYOUT,
    ("matmul.cuh", f"else if (true) matmul<Algorithm, false, true>{_PASSED}"): _LAYOUT,
}


def why_equivalent(mutant: Mutant) -> str | None:
    """The reason, if this mutant is known to compute the same."""
    source = (kernels_folder() / mutant.file).read_text()
    mutated = source[: mutant.offset] + mutant.new + source[mutant.offset + len(mutant.old) :]
    return EQUIVALENT.get((mutant.file, mutated.splitlines()[mutant.line - 1].strip()))


def drawn(count: int, seed: int) -> list[Mutant]:
    """`count` mutants out of all files, each site as likely as any other."""
    everything = [
        mutant
        for path in sorted(kernels_folder().glob("*.cu*"))
        for mutant in mutants_of(path.name, path.read_text())
    ]
    return random.Random(seed).sample(everything, min(count, len(everything)))


# ---------------------------------------------------------------------- whether it is noticed


@contextmanager
def _scratch_folder() -> Iterator[str]:
    """One of a few folders, so that what was built of unchanged kernels is found again."""
    scratch = _scratch.get()
    try:
        yield scratch
    finally:
        _scratch.put(scratch)


_scratch: Queue[str] = Queue()


def is_caught(mutant: Mutant) -> tuple[bool, str]:
    """Whether the tests notice it, and by what."""
    with _scratch_folder() as scratch:
        folder = Path(scratch) / "kernels"
        shutil.copytree(kernels_folder(), folder, dirs_exist_ok=True)
        path = folder / mutant.file
        source = path.read_text()
        end = mutant.offset + len(mutant.old)
        path.write_text(source[: mutant.offset] + mutant.new + source[end:])
        environment = {
            **os.environ,
            "MINIGAN_KERNELS": str(folder),
            "MINIGAN_CACHE": str(Path(scratch) / "cache"),
            "CI": "true",  # the same examples each time
        }
        for arguments in TESTS.get(mutant.file, OTHERWISE):
            command = [
                sys.executable,
                "-m",
                "pytest",
                "-x",
                "-q",
                "-p",
                "no:cacheprovider",
                *arguments,
            ]
            try:
                done = subprocess.run(
                    command,
                    cwd=Path(__file__).parents[1],
                    env=environment,
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                    check=False,
                )
            except subprocess.TimeoutExpired:
                return True, "does not end"
            if done.returncode:
                failed = [line for line in done.stdout.splitlines() if line.startswith("FAILED")]
                return True, failed[0].split(" ")[1] if failed else f"exit status {done.returncode}"
    return False, ""


def run(mutants: list[Mutant], processes: int) -> list[dict[str, Any]]:
    """What became of each: caught, and by what; equivalent, and why; or survived."""
    rows = []
    with tempfile.TemporaryDirectory() as base, ThreadPoolExecutor(processes) as pool:
        for number in range(processes):
            _scratch.put(tempfile.mkdtemp(dir=base, prefix=f"{number}-"))
        for mutant, (caught, by) in zip(mutants, pool.map(is_caught, mutants), strict=True):
            reason = None if caught else why_equivalent(mutant)
            word = "caught" if caught else "equivalent" if reason else "SURVIVED"
            print(f"{word:10} {mutant.file} {mutant.line} {mutant.operator} {by or reason or ''}")
            rows.append({**asdict(mutant), "became": word.lower(), "by": by or reason or ""})
    return rows


def summary(command: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures, and all that were not caught."""
    became = Counter(row["became"] for row in rows)
    real = len(rows) - became["equivalent"]
    by_operator = {
        operator: dict(Counter(r["became"] for r in rows if r["operator"] == operator))
        for operator in sorted({row["operator"] for row in rows})
    }
    return {
        "command": command,
        "mutants": len(rows),
        "equivalent": became["equivalent"],
        "caught": f"{became['caught']} of {real} that are not ({became['caught'] / real:.1%})",
        "by operator": by_operator,
        "all": rows,
    }


def found_again(row: dict[str, Any]) -> Mutant:
    """The mutant of a row of the results: the same change on the same line, in the files as they are."""
    source = (kernels_folder() / row["file"]).read_text()
    alike = [
        m
        for m in mutants_of(row["file"], source)
        if (m.line, m.operator, m.old) == (row["line"], row["operator"], row["old"])
    ]
    return min(alike, key=lambda m: abs(m.offset - row["offset"]))


def main() -> None:
    """Draw, run, and write down what became of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--survivors", action="store_true", help="of the last run, once more")
    chosen = parser.parse_args()
    command = f"python tests/kernel_mutants.py --count {chosen.count} --seed {chosen.seed}"
    if chosen.survivors:
        last = json.loads(RESULTS.read_text())
        command, rows = last["command"], last["all"]
        left = [row for row in rows if row["became"] == "survived"]
        again = run([found_again(row) for row in left], chosen.processes)
        for row, new in zip(left, again, strict=True):
            row.update(new)
    else:
        rows = run(drawn(chosen.count, chosen.seed), chosen.processes)
    RESULTS.write_text(json.dumps(summary(command, rows), indent=1) + "\n")
    print(f"written to {RESULTS}")


if __name__ == "__main__":
    main()
