"""What an adversary costs and brings in deblurring: PSNR against sharpness over its weight.

    python benchmarks/deblurring.py --data BSDS500 --run runs/deblurring
    python benchmarks/deblurring.py --plot docs/images/adversary.png

The first writes benchmarks/results/deblurring.json, the second draws what stands there.

BSDS500 (Arbelaez et al. 2011) is a folder with train, val and test; the 300 photographs in train and val
are trained on, and each of the 200 in test gives one crop of 64 x 64 pixels. Blur: camera paths of 12
pixels, noise of 2/255, 8 bits.

One network is trained with L1 to the end. The others take its way for the first part, bit for bit; then
each has a critic, with a weight of its own. A run that is interrupted goes on when the same command is
given again.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from timing import free_blas, write

from minigan.checkpoints import Checkpoints
from minigan.core.parallel import Workers, workers
from minigan.deblur.blur import BlurSettings
from minigan.deblur.evaluate import Method, Row, classical_methods, evaluate
from minigan.deblur.layouts import Source, find
from minigan.deblur.model import Model
from minigan.deblur.pairs import unseen_pairs
from minigan.deblur.photographs import Photograph
from minigan.deblur.restore import restore
from minigan.deblur.settings import PRESETS
from minigan.deblur.train import Trainer, fit_least_squares
from minigan.devices.cpu.memory import keep_freed_memory

# The adversary's weight, by the name that checkpoints have; the first is without one.
WEIGHTS = {"lone": 0.0, "faint": 5e-4, "light": 1e-3, "middle": 2e-3}
SETTINGS = replace(
    PRESETS["small"],
    steps=22_000,
    batch=4,
    adversarial_from=0.6,
    averaging=0.999,
    blur=BlurSettings(min_length=12.0, max_length=12.0, exposure=1.0),
)
SAVED_EVERY = 1000  # steps
CROP, CROPS_EACH, SEED = 64, 1, 0
RESULT = "deblurring.json"


def photographs(data: Path, *parts: str) -> list[Photograph]:
    """Those in the folders of these names."""
    return [p for part in parts for p in find(Source(data / part, "photographs")).photographs]


def trained(
    name: str, steps: int, training: list[Photograph], folder: Path, pool: Workers
) -> tuple[Model, float]:
    """The network of that name, and the seconds that its steps took, those shared with L1's included."""
    settings = replace(SETTINGS, steps=steps)
    fork_at = settings.first_adversarial_step
    trainer = Trainer(replace(settings, adversarial_weight=WEIGHTS[name]), training)
    saved, fork = Checkpoints(folder, name, keep=1), Checkpoints(folder, "fork", keep=1)
    start = saved.newest() or (fork.newest() if name != "lone" else None)
    seconds = 0.0
    if start is not None:
        trainer.load(start)
        seconds = start.record["seconds"]
    with trainer.in_processes(pool) as team:
        while trainer.steps_done < steps:
            begin = time.perf_counter()
            report = trainer.step(team)
            seconds += time.perf_counter() - begin
            done = trainer.steps_done
            if name == "lone" and done == fork_at:
                fork.save(trainer.checkpoint({"seconds": seconds}))
            if done % SAVED_EVERY == 0 or done == steps:
                saved.save(trainer.checkpoint({"seconds": seconds}))
                print(f"{name}: {done} steps, {seconds:.0f} s, {report['content']:.4f}", flush=True)
    return trainer.model(fit_least_squares(trainer)), seconds


def measured(models: dict[str, Model], tests: list[Photograph], pool: Workers) -> list[Row]:
    """The table of methods on the test crops."""
    pairs = unseen_pairs(tests, SETTINGS.blur, CROP, CROPS_EACH, SEED)

    def method(name: str, model: Model) -> Method:
        return Method(name, lambda blurry, kernel: restore(model, blurry, pool))

    filters = next(iter(models.values())).least_squares
    ours = [method(name, model) for name, model in models.items()]
    return evaluate([*classical_methods(filters), *ours], pairs)


def plot(record: dict[str, Any], path: Path) -> None:
    """PSNR against the sharpness ratio, a point for each weight, and the inputs beside them."""
    import matplotlib.pyplot as plt

    rows = {row["name"]: row for row in record["rows"]}
    figure, axes = plt.subplots(figsize=(6.4, 4.2))
    points = sorted(record["networks"].values(), key=lambda network: network["weight"])
    xs = [rows[p["name"]]["sharpness"]["mean"] for p in points]
    ys = [rows[p["name"]]["psnr"]["mean"] for p in points]
    axes.plot(xs, ys, color="0.6", zorder=1)
    axes.scatter(xs, ys, zorder=2)
    for point, x, y in zip(points, xs, ys, strict=True):
        label = "L1 alone" if point["weight"] == 0 else f"weight {point['weight']:g}"
        axes.annotate(label, (x, y), textcoords="offset points", xytext=(6, 5))
    for name in ("blurry input", "least-squares 9x9", "unsharp mask"):
        x, y = rows[name]["sharpness"]["mean"], rows[name]["psnr"]["mean"]
        axes.scatter(x, y, marker="x", color="tab:gray")
        axes.annotate(
            name, (x, y), textcoords="offset points", xytext=(0, -14), ha="center", color="0.4"
        )
    axes.set_xlabel("sharpness ratio (1 is ideal)")
    axes.set_ylabel("PSNR in dB")
    axes.margins(0.15)
    figure.tight_layout()
    figure.savefig(path, dpi=150)


def main(arguments: list[str] | None = None) -> None:
    """Train, measure, write; or draw."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, help="BSDS500's folder of train, val and test")
    parser.add_argument("--run", type=Path, help="a folder for checkpoints")
    parser.add_argument("--steps", type=int, default=SETTINGS.steps)
    parser.add_argument("--only", nargs="+", choices=list(WEIGHTS), default=list(WEIGHTS))
    parser.add_argument("--out", type=Path, help=f"default: benchmarks/results/{RESULT}")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    given = parser.parse_args(arguments)
    if given.plot is not None:
        path = given.out or Path(__file__).parent / "results" / RESULT
        plot(json.loads(path.read_text()), given.plot)
        return
    if given.data is None or given.run is None:
        parser.error("--data and --run are needed")
    free_blas()
    keep_freed_memory()
    training = photographs(given.data, "train", "val")
    models: dict[str, Model] = {}
    networks: dict[str, Any] = {}
    with workers() as pool:
        for name in dict.fromkeys(["lone", *given.only]):
            weight = WEIGHTS[name]
            shown = "L1" if weight == 0 else f"adversary {weight:g}"
            models[shown], seconds = trained(name, given.steps, training, given.run, pool)
            networks[name] = {"name": shown, "weight": weight, "seconds": round(seconds)}
        rows = measured(models, photographs(given.data, "test"), pool)
    for row in rows:
        print(
            f"{row.name:18} {row.psnr.mean:.2f} dB  {row.ssim.mean:.3f}  "
            f"sharpness {row.sharpness.mean:.3f}  GMSD {row.gmsd.mean:.4f}  worse {row.psnr.worse:.0%}"
        )
    settings = asdict(replace(SETTINGS, steps=given.steps))
    record = {"settings": settings, "networks": networks, "rows": [asdict(row) for row in rows]}
    write(record, given.out, RESULT)


if __name__ == "__main__":
    main()
