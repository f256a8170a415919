"""Mode collapse and its cures: how many heaps of points a GAN in the plane finds, by method and seed.

    python benchmarks/gan_modes.py --run runs/gan_modes.jsonl
    python benchmarks/gan_modes.py --run runs/gan_modes.jsonl --table

The first plays every game that the file does not have yet, and adds a line of JSON for each; it may be
interrupted at any time. The second prints the table of what is there and writes
benchmarks/results/gan_modes.json.

All methods have the same networks, batches and steps of the generator. A sample is good within three
deviations of a centre; a mode counts as found where a good sample is nearest to it; 10,000 samples are
drawn at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from timing import write

from minigan.core.errors import NonFiniteError
from minigan.core.parallel import workers
from minigan.gan.toys.game import ToyGame, ToySettings
from minigan.gan.toys.mixtures import coverage, mixture_named

STEPS = 15_000  # of the generator
SAMPLES = 10_000
SEEDS = 5
PLAIN = ToySettings()
METHODS = {
    "plain": PLAIN,
    "zero-sum loss": replace(PLAIN, loss="zero-sum"),
    "least-squares loss": replace(PLAIN, loss="least-squares"),
    "relativistic loss": replace(PLAIN, loss="relativistic-least-squares"),
    "two discriminator steps": replace(PLAIN, d_steps=2),
    "two time scales": replace(PLAIN, lr=PLAIN.lr / 4),
    "PacGAN 2": replace(PLAIN, pack=2),
    "PacGAN 4": replace(PLAIN, pack=4),
    "unrolled 5": replace(PLAIN, unroll=5),
    "R1": replace(PLAIN, r1=1.0),
    "WGAN-GP": replace(PLAIN, loss="wgan-gp", d_steps=3),
    "extragradient": replace(PLAIN, way="extragradient"),
    "optimistic": replace(PLAIN, way="optimistic"),
}
TARGETS = ("ring", "grid")
RESULT = "gan_modes.json"

Key = tuple[str, str, int]


def play(key: Key, steps: int = STEPS) -> dict[str, Any]:
    """One game from beginning to end: what its generator has found."""
    method, target, seed = key
    mixture = mixture_named(target)
    settings = replace(METHODS[method], seed=seed)
    game = ToyGame(settings, mixture.sample)
    begin, failed = time.perf_counter(), None
    with workers(1):
        try:
            while game.steps < steps:
                game.step()
        except NonFiniteError as error:
            failed = str(error)
        found = coverage(game.samples(SAMPLES), mixture)
    return {
        "method": method,
        "target": target,
        "seed": seed,
        "modes": found.modes,
        "good": round(found.good, 4),
        "seconds": round(time.perf_counter() - begin, 1),
        "steps": game.steps,
        "failed": failed,
        "settings": asdict(settings),
    }


def lines_of(path: Path) -> list[dict[str, Any]]:
    """What the file has; a last line that was cut short by an interruption is left out."""
    if not path.exists():
        return []
    found = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            found.append(json.loads(line))
        except json.JSONDecodeError:
            continue
    return found


def add_line(path: Path, result: dict[str, Any]) -> None:
    """Add a line of JSON; after one that was cut short, on a line of its own."""
    before = path.read_bytes() if path.exists() else b""
    cut_short = bool(before) and not before.endswith(b"\n")
    with path.open("a", encoding="utf-8") as file:
        file.write("\n" * cut_short + json.dumps(result) + "\n")


def open_games(
    lines: Iterable[dict[str, Any]], methods: Iterable[str], targets: Iterable[str], seeds: int
) -> list[Key]:
    """The games that are not there yet with the settings of today, seed by seed."""
    done = {
        (line["method"], line["target"], line["seed"], json.dumps(line["settings"]))
        for line in lines
    }

    def settings(method: str, seed: int) -> str:
        return json.dumps(json.loads(json.dumps(asdict(replace(METHODS[method], seed=seed)))))

    return [
        (method, target, seed)
        for seed in range(seeds)
        for method in methods
        for target in targets
        if (method, target, seed, settings(method, seed)) not in done
    ]


def table(lines: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """For each method: mean and deviation over its seeds, for both targets."""
    for method in METHODS:
        row: dict[str, Any] = {"method": method}
        for target in TARGETS:
            runs = {
                line["seed"]: line
                for line in lines
                if (line["method"], line["target"]) == (method, target)
            }
            if not runs:
                continue
            modes = np.array([run["modes"] for run in runs.values()])
            good = np.array([run["good"] for run in runs.values()])
            row[target] = {
                "seeds": len(runs),
                "modes": round(float(modes.mean()), 2),
                "modes_deviation": round(float(modes.std()), 2),
                "modes_least": int(modes.min()),
                "good": round(float(good.mean()), 4),
                "good_deviation": round(float(good.std()), 4),
                "seconds": round(float(np.mean([run["seconds"] for run in runs.values()])), 1),
            }
        if len(row) > 1:
            yield row


def shown(row: dict[str, Any]) -> str:
    """A row as a line of Markdown."""
    cells = [f"| {row['method']:24}"]
    for target in TARGETS:
        if target in row:
            r = row[target]
            cells.append(
                f"{r['modes']:5.1f} ± {r['modes_deviation']:.1f}"
                f" | {r['good']:6.1%} ± {r['good_deviation']:.1%}"
                f" | {r['seconds']:4.0f} s"
            )
        else:
            cells.append("| | ")
    return " | ".join(cells) + " |"


def main(arguments: list[str] | None = None) -> None:
    """Play what is open, or print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--run", type=Path, required=True, help="the file of lines")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--methods", nargs="+", choices=list(METHODS), default=list(METHODS))
    parser.add_argument("--targets", nargs="+", choices=TARGETS, default=list(TARGETS))
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--table", action="store_true")
    parser.add_argument("--out", type=Path, help=f"default: benchmarks/results/{RESULT}")
    given = parser.parse_args(arguments)
    if given.table:
        rows = list(table(lines_of(given.run)))
        for row in rows:
            print(shown(row))
        record = {"steps": STEPS, "samples": SAMPLES, "settings": asdict(PLAIN), "rows": rows}
        write(record, given.out, RESULT)
        return
    given.run.parent.mkdir(parents=True, exist_ok=True)
    waiting = open_games(lines_of(given.run), given.methods, given.targets, given.seeds)
    print(f"{len(waiting)} games to play")
    with ProcessPoolExecutor(given.jobs) as pool:
        for result in pool.map(play, waiting):
            add_line(given.run, result)
            print(
                f"{result['method']}, {result['target']}, seed {result['seed']}: "
                f"{result['modes']} modes, {result['good']:.1%} good, {result['seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
