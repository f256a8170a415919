"""What a training's page shows: some validation pairs as the generator restores them, step by step."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import numpy as np

from minigan.core.engine import grad
from minigan.core.graph import no_grad
from minigan.core.tensor import Array, Tensor
from minigan.deblur.pairs import Pair, spread_out
from minigan.deblur.records import Run
from minigan.deblur.train import Trainer
from minigan.gan.losses import loss_named
from minigan.gan.pages.course import keep_moment, pushed, write_course

_SHOWN = 3
# By the names that the page knows.
_FIGURES = {
    "critic": "d_loss",
    "adversarial": "g_loss",
    "real": "d_real",
    "fake": "d_fake",
    "critic_gradient": "d_gradient",
    "gradient": "g_gradient",
    "val_psnr": "validation",
}


def shown_of(pairs: Sequence[Pair]) -> list[Pair]:
    """The pairs that are shown, at equal distances."""
    return [pairs[i] for i in spread_out(len(pairs), _SHOWN)]


def keep_restored(run: Run, trainer: Trainer, pairs: Sequence[Pair]) -> None:
    """Write the picture of the step that the training is at."""
    shown = shown_of(pairs)
    restored = np.stack(trainer.results(shown))
    keep_moment(
        run.folder, trainer.steps_done, np.clip(restored, 0, 1), _pushes(trainer, shown, restored)
    )


def _pushes(trainer: Trainer, pairs: Sequence[Pair], restored: Array) -> Array:
    """Where the critic would have the pixels go; nowhere before it takes part."""
    settings = trainer.settings
    if trainer.steps_done <= settings.first_adversarial_step:
        return pushed(np.zeros_like(restored))
    kind = loss_named(settings.adversarial)
    blurry, sharp = (
        Tensor(np.stack([getattr(pair, name) for pair in pairs])).to(trainer.device)
        for name in ("blurry", "sharp")
    )
    with no_grad():
        real = trainer.critic(blurry, sharp)
    x = Tensor(restored).to(trainer.device).requires_grad_()
    loss = kind.generator(real if kind.generator_sees_real else None, trainer.critic(blurry, x))
    (slope,) = grad(loss, x)
    return pushed(slope.to("cpu").numpy())


def write_page(run: Run, title: str, pairs: Sequence[Pair]) -> None:
    """Write the page of the run, as far as it has come."""
    shown = shown_of(pairs)
    write_course(
        run.folder,
        title,
        shlex.join(run.command),
        "Crops that training never saw, as the generator restores them; and below each where the critic "
        "would have its pixels go, brighter or darker, grey for nowhere (before the critic joins).",
        {
            "What the generator is given": np.stack([pair.blurry for pair in shown]),
            "What it should come to": np.stack([pair.sharp for pair in shown]),
        },
        _FIGURES,
    )
