"""Train the network whose features the perceptual loss compares, unless it is given another.

    python recipes/features.py --out minigan/deblur/weights/features.safetensors

It learns to tell crops of eight photographs apart, four ways up, sharp or blurred: 64 classes. Their
colours are changed at random and half of them are grey, so that shapes and fine detail are what is left
to go by. Nobody gave it a label, and it has seen nothing but photographs in the public domain.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

import minigan as mg
from minigan import nn, optim, serialize
from minigan.core.parallel import workers
from minigan.core.tensor import Array, Tensor
from minigan.deblur.blur import BlurSettings, degrade
from minigan.deblur.crops import random_crop
from minigan.deblur.networks.features import Standardize
from minigan.deblur.photographs import Photograph, bundled_photographs
from minigan.images import to_grey
from minigan.processes import in_processes

# In the public domain or CC0, by what scikit-image writes of each.
PHOTOGRAPHS = "astronaut", "brick", "camera", "chelsea", "coffee", "grass", "gravel", "rocket"
WIDTHS = ((16, 16), (32, 32), (64, 64, 64))  # channels, between the poolings
CROP, BATCH, SHARDS = 48, 32, 2
TURNS, BLURS = 4, 2
BLUR = BlurSettings(min_length=3.0, max_length=12.0)
TRAINING, TESTING = 1, 2


class Classifier(nn.Module):
    """VGG's kind: crops (N, 3, 48, 48) -> logits (N, classes) by the mean of the last features."""

    def __init__(self, classes: int):
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for i, widths in enumerate(WIDTHS):
            layers += [nn.MaxPool2d(2)] if i else []
            for width in widths:
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
                channels = width
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Linear(channels, classes)
        for name, t in self.features.named_parameters():
            rule = nn.init.kaiming_normal
            t.copy_(np.zeros(t.shape) if name.endswith("bias") else rule(t.shape))
        self.standardize = Standardize()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) in [0, 1] -> (N, classes)."""
        return self.classifier(self.features(self.standardize(x)).mean(axis=(2, 3)))


def draw(photographs: list[Photograph], kernels: list[Array], *numbers: int) -> tuple[Array, Array]:
    """A batch of crops, float32 (32, 3, 48, 48), and their classes, from a sequence of its own."""
    rng = np.random.default_rng(numbers)
    crops, classes = [], []
    for _ in range(BATCH):
        which, turn, blurred = (int(rng.integers(n)) for n in (len(photographs), TURNS, BLURS))
        size = CROP + 2 * BLUR.margin
        crop = random_crop(rng, [photographs[which]], size, flips=False, turns=False)
        crop = np.rot90(crop, turn, axes=(1, 2))
        soft, sharp = degrade(crop, kernels[rng.integers(len(kernels))], BLUR.sigma, rng)
        crops.append(_recoloured(rng, soft if blurred else sharp))
        classes.append((which * TURNS + turn) * BLURS + blurred)
    return np.stack(crops), np.array(classes)


def _recoloured(rng: np.random.Generator, crop: Array) -> Array:
    """Other brightness, contrast and colours; grey half of the time."""
    if rng.random() < 0.5:
        crop = np.broadcast_to(to_grey(crop), crop.shape)
    gains = rng.uniform(0.6, 1.4) * rng.uniform(0.8, 1.2, (3, 1, 1))
    shifted = (crop - crop.mean()) * gains + rng.uniform(0.25, 0.75)
    return np.clip(shifted, 0, 1).astype(np.float32)


def accuracy(network: Classifier, batches: list[tuple[Array, Array]]) -> float:
    """The share of crops whose class it finds."""
    with mg.no_grad():
        found = [network(Tensor(x)).numpy().argmax(axis=1) == y for x, y in batches]
    return float(np.mean(found))


def saved(network: Classifier, batches: list[tuple[Array, Array]]) -> dict[str, Array]:
    """The convolutions by PyTorch's names; the last scaled so that its features have variance 1."""
    arrays = {f"features.{n}": a.copy() for n, a in network.features.state_dict().items()}
    with mg.no_grad():
        before_relu = nn.Sequential(*list(network.features)[:-1])
        x = Tensor(np.concatenate([x for x, _ in batches]))
        deviation = before_relu(network.standardize(x)).numpy().std()
    last = len(network.features) - 2
    for name in ("weight", "bias"):
        arrays[f"features.{last}.{name}"] /= deviation
    return arrays


def main() -> None:
    """Train, measure, save."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--out", required=True)
    parser.add_argument("--steps", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()

    training, unseen = bundled_photographs()
    photographs = sorted(
        (p for p in (*training, *unseen) if p.name in PHOTOGRAPHS), key=lambda p: p.name
    )
    rng = np.random.default_rng(given.seed)
    kernels = [BLUR.draw_kernel(rng) for _ in range(1000)]
    mg.manual_seed(given.seed)
    network = Classifier(len(photographs) * TURNS * BLURS)
    optimizer = optim.Scheduled(
        optim.Adam(network.parameters(), 2e-3),
        optim.cosine_decay(given.steps, 0.01, min(50, given.steps // 10)),
    )
    batches = [draw(photographs, kernels, given.seed, TESTING, i) for i in range(20)]

    def loss(x: Array, y: Array) -> tuple[Tensor, dict[str, float]]:
        return nn.cross_entropy(network(Tensor(x)), y), {}

    start = time.perf_counter()
    with workers() as pool, in_processes(pool, [loss], [network], SHARDS) as team:
        for step in range(1, given.steps + 1):
            batch = draw(photographs, kernels, given.seed, TRAINING, step)
            report = team.gradients(loss, network.parameters(), batch, SHARDS)
            optimizer.step()
            if step % 200 == 0:
                right = accuracy(network, batches)
                print(
                    f"step {step}: loss {report['loss']:.3f}, {right:.1%} of new crops right",
                    flush=True,
                )
    notes = {
        "photographs": list(PHOTOGRAPHS),
        "classes": "photograph x quarter turns x sharp or blurred",
        "steps": given.steps,
        "seed": given.seed,
        "accuracy on new crops": accuracy(network, batches),
    }
    serialize.save(given.out, saved(network, batches), {"kind": "feature network", "notes": notes})
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
