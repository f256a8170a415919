"""Mode collapse and its cures: how many heaps of points a GAN in the plane finds, by method and seed.

    python benchmarks/gan_modes.py --run runs/gan_modes.jsonl
    python benchmarks/gan_modes.py --run runs/gan_modes.jsonl --table

The first plays every game that the file does not have yet, and adds a line of JSON for each; it may be
interrupted at any time. The second prints the table of what is there and writes
benchmarks/results/gan_modes.json.

All methods have the same networks, batches, rates and steps of the generator. The plain GAN is the
zero-sum game; whatever else is changed stands on the non-saturating loss, which alone is the first cure.
A sample is good within three deviations of a centre; a mode counts as found where a good sample is
nearest to it; 10,000 samples are drawn at the end.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
from timing import write

from minigan.core.errors import NonFiniteError
from minigan.core.parallel import workers
from minigan.gan.toys.game import ToyGame, ToySettings
from minigan.gan.toys.mixtures import coverage, mixture_named

STEPS = {"ring": 8_000, "grid": 20_000}  # of the generator
TARGETS = tuple(STEPS)
SAMPLES = 10_000
SEEDS = 5
PLAIN = ToySettings(loss="zero-sum", batch=256, latent=2, width=96, depth=4, lr=2e-3, d_lr=4e-3)
BETTER = replace(PLAIN, loss="non-saturating")
METHODS = {
    "plain": PLAIN,
    "non-saturating": BETTER,
    "two time scales": replace(BETTER, lr=PLAIN.lr / 4),
    "PacGAN 2": replace(BETTER, pack=2),
    "R1": replace(BETTER, r1=1e-3),
    "relativistic, R1": replace(BETTER, loss="relativistic-least-squares", r1=1e-3),
    "WGAN-GP": replace(BETTER, loss="wgan-gp", penalty=0.1, d_steps=3),
    "unrolled 3": replace(BETTER, unroll=3),
    "extragradient": replace(BETTER, way="extragradient"),
    "optimistic": replace(BETTER, way="optimistic"),
}
RESULT = "gan_modes.json"

Key = tuple[str, str, int]


def settings_of(key: Key, steps: int | None = None) -> ToySettings:
    """What a game is played with; the rates fall to 0 at its end."""
    method, target, seed = key
    return replace(METHODS[method], seed=seed, decay=steps or STEPS[target])


def play(key: Key, steps: int | None = None) -> dict[str, Any]:
    """One game from beginning to end: what its generator has found."""
    method, target, seed = key
    mixture = mixture_named(target)
    settings = settings_of(key, steps)
    game = ToyGame(settings, mixture.sample)
    begin, failed = time.perf_counter(), None
    with workers(1):
        try:
            while game.steps < settings.decay:
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


def of_today(lines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """The lines of games that would be played in the same way now."""

    def fits(line: dict[str, Any]) -> bool:
        if line["method"] not in METHODS or line["target"] not in TARGETS:
            return False
        wanted = asdict(settings_of((line["method"], line["target"], line["seed"])))
        return line["settings"] == json.loads(json.dumps(wanted))  # tuples are lists in JSON

    return [line for line in lines if fits(line)]


def open_games(
    lines: Iterable[dict[str, Any]], methods: Iterable[str], targets: Iterable[str], seeds: int
) -> list[Key]:
    """The games that are not there yet with the settings of today, seed by seed."""
    done = {(line["method"], line["target"], line["seed"]) for line in of_today(lines)}
    return [
        (method, target, seed)
        for seed in range(seeds)
        for method in methods
        for target in targets
        if (method, target, seed) not in done
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
        lines = of_today(lines_of(given.run))
        rows = list(table(lines))
        for row in rows:
            print(shown(row))
        hours = sum(line["seconds"] for line in lines) / 3600
        record = {
            "steps": STEPS,
            "samples": SAMPLES,
            "settings": asdict(PLAIN),
            "hours of one core": round(hours, 1),
            "rows": rows,
        }
        write(record, given.out, RESULT)
        return
    given.run.parent.mkdir(parents=True, exist_ok=True)
    waiting = open_games(lines_of(given.run), given.methods, given.targets, given.seeds)
    print(f"{len(waiting)} games to play")
    with ProcessPoolExecutor(given.jobs) as pool:
        for future in as_completed([pool.submit(play, key) for key in waiting]):
            result = future.result()
            add_line(given.run, result)
            print(
                f"{result['method']}, {result['target']}, seed {result['seed']}: "
                f"{result['modes']} modes, {result['good']:.1%} good, {result['seconds']:.0f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
