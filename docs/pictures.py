"""Draws the pictures of the README and of docs/deblurring.md from a trained model.

    python docs/pictures.py RUN         writes docs/images/result.png and docs/images/clock.png

result.png  four photographs that training never saw: blurry, least-squares filter, minigan, sharp
clock.png   the really blurred photograph that scikit-image brings along, which has no sharp twin
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import matplotlib

matplotlib.use("agg")
import matplotlib.pyplot as plt
import numpy as np

from minigan.core.tensor import Array
from minigan.deblur import metrics
from minigan.deblur.blur import quantize
from minigan.deblur.classical import unsharp_mask
from minigan.deblur.model import load_model
from minigan.deblur.pairs import typical, unseen_pairs
from minigan.deblur.photographs import bundled_photographs
from minigan.deblur.restore import restore
from minigan.files import atomic_write
from minigan.images import read_image

IMAGES = Path(__file__).parent / "images"


def draw(path: Path, rows: Sequence[dict[str, Array]], inches: float) -> None:
    """A sheet of pictures (C, H, W), one row for each dict of label -> picture."""
    across = len(rows[0])
    height, width = next(iter(rows[0].values())).shape[1:]
    size = (inches * across, (inches * height / width + 0.3) * len(rows))
    figure, axes = plt.subplots(len(rows), across, figsize=size, squeeze=False)
    for row, pictures in zip(axes, rows, strict=True):
        for axis, (label, picture) in zip(row, pictures.items(), strict=True):
            axis.imshow(np.squeeze(np.moveaxis(picture, 0, -1)), cmap="gray", vmin=0, vmax=1)
            axis.set_title(label, fontsize=9)
            axis.axis("off")
    figure.tight_layout(pad=0.4)
    with atomic_write(path) as temporary:
        figure.savefig(temporary, dpi=130, format="png")
    print(path)


def main(run: str) -> None:
    """Draw both pictures."""
    model = load_model(run)
    rows = []
    pairs = unseen_pairs(bundled_photographs().unseen, model.blur, each=10)
    for pair in typical(pairs, each=10):
        results = {
            "blurry": pair.blurry,
            "least-squares 9x9": model.least_squares(pair.blurry),
            "minigan": restore(model, pair.blurry),
        }
        rows.append(
            {
                f"{name}  {metrics.psnr(quantize(x), pair.sharp):.2f} dB": quantize(x)
                for name, x in results.items()
            }
            | {"sharp": pair.sharp}
        )
    IMAGES.mkdir(exist_ok=True)
    draw(IMAGES / "result.png", rows, inches=2.0)
    with resources.as_file(resources.files("skimage") / "data" / "clock_motion.png") as path:
        clock = read_image(path)
    draw(
        IMAGES / "clock.png",
        [
            {
                "photograph": clock,
                "unsharp mask": unsharp_mask(clock),
                "minigan": restore(model, clock),
            }
        ],
        inches=3.2,
    )


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
