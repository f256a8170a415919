"""Kills a training run at random moments, resumes it each time, and compares the bits in the end.

    python tests/kill_training.py --kills 100

A run of some seconds, with its twin, on made photographs, is started in a process of its own, which gets
SIGKILL after a random time, until it has come to its end; then the next run begins, until there were so
many kills. Each time, up to two processes draw its batches. Each run's log, weights and Adam state must
be those of an undisturbed run, and nothing may be left of unfinished files. On anything else the program
ends with status 1.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from made_photographs import photographs

from minigan import serialize
from minigan.core.parallel import workers
from minigan.deblur import run
from minigan.deblur.networks import CriticSettings, GeneratorSettings
from minigan.deblur.photographs import Split
from minigan.deblur.settings import TrainSettings

SETTINGS = TrainSettings(
    steps=60,
    batch=2,
    crop=16,
    critic=CriticSettings(width=2),
    report_every=3,
    generator=GeneratorSettings(width=4, blocks=1),
)
FILES = ("log.jsonl", "twin-log.jsonl", "model.safetensors", "twin.safetensors", "table.json")


def train(folder: Path, loaders: int) -> None:
    """The run itself, or what is left of it."""
    run.TEST_SIZE, run.VALIDATION_SIZE, run.TESTS_EACH = 48, 32, 2
    first, second, third = photographs()
    folder.mkdir(exist_ok=True)
    split = Split((first, second), (third,))
    job = run.Run(folder, SETTINGS, split, True, ["minigan"], "0", loaders=loaders)
    with workers(2) as pool:
        run.perform(job, pool, lambda *_: None)


def digests(folder: Path) -> dict[str, str]:
    """Of all that must be the same: files as they are, and the last checkpoint of each network."""
    found = {name: (folder / name).read_bytes() for name in FILES}
    for name in ("minigan", "twin"):
        path = folder / "checkpoints" / f"{name}-{SETTINGS.steps:08d}.safetensors"
        arrays, settings = serialize.load(path)
        found[f"{path.name}: record"] = repr(settings).encode()
        found |= {f"{path.name}: {key}": array.tobytes() for key, array in arrays.items()}
    return {name: hashlib.blake2b(data).hexdigest() for name, data in found.items()}


def started(folder: Path, loaders: int = 0) -> subprocess.Popen[bytes]:
    """A process that trains there, with so many others that draw its batches."""
    command = [sys.executable, __file__, "--train", str(folder), "--loaders", str(loaders)]
    return subprocess.Popen(command)


def leftovers(folder: Path) -> list[str]:
    """Unfinished files, and the lock."""
    return [p.name for p in folder.rglob("*") if p.name.startswith(".minigan-") or p.name == "lock"]


def one_run(folder: Path, rng: random.Random, seconds: float, most: int) -> int:
    """Start and kill until the run has come to its end, or was killed `most` times; how often it was."""
    kills = 0
    while True:
        process = started(folder, loaders=rng.randrange(3))
        try:
            wait = rng.uniform(0, seconds) if kills < most else None
            if process.wait(wait) != 0:
                sys.exit(f"{folder}: the run failed with exit code {process.returncode}")
            return kills
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1


def main() -> None:
    """Kill, resume, compare, print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help="only train in this folder")
    parser.add_argument("--loaders", type=int, default=0, help="with --train")
    chosen = parser.parse_args()
    if chosen.train is not None:
        train(chosen.train, chosen.loaders)
        return
    rng = random.Random(chosen.seed)
    kills, runs = 0, 0
    with tempfile.TemporaryDirectory() as base:
        begin = time.perf_counter()
        if started(Path(base) / "undisturbed").wait() != 0:
            sys.exit("the undisturbed run failed")
        seconds = time.perf_counter() - begin
        expected = digests(Path(base) / "undisturbed")
        while kills < chosen.kills:
            folder = Path(base) / f"run-{runs}"
            kills += one_run(folder, rng, seconds, chosen.kills - kills)
            runs += 1
            found = digests(folder)
            if found != expected:
                other = [n for n in expected.keys() | found if expected.get(n) != found.get(n)]
                sys.exit(f"run {runs}: other bits than undisturbed in {', '.join(sorted(other))}")
            if left := leftovers(folder):
                sys.exit(f"run {runs}: {', '.join(left)} was left over")
    print(f"{kills} kills in {runs} runs of {seconds:.1f} s: each ended with the same bits")


if __name__ == "__main__":
    main()
