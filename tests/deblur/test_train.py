"""The training step: what it lowers, what it leaves alone, and how it stops."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.core.errors import ArgumentError, NonFiniteError
from minigan.core.parallel import workers
from minigan.deblur.pairs import unseen_pairs
from minigan.deblur.train import Trainer, TrainSettings, l1_twin, steps_in


def weights(network):
    return {name: array.tobytes() for name, array in network.state_dict().items()}


def run(settings, photographs, steps=None, threads=2):
    trainer = Trainer(settings, photographs)
    with workers(threads) as pool:
        reports = [trainer.step(pool) for _ in range(steps or settings.steps)]
    return trainer, reports


def test_the_same_seed_gives_the_same_bits_whatever_the_number_of_threads(photographs, settings):
    (a, first), (b, second) = (run(settings, photographs, threads=n) for n in (1, 3))
    assert first == second
    assert weights(a.generator) == weights(b.generator)
    assert weights(a.critic) == weights(b.critic)


def test_another_seed_gives_other_weights(photographs, settings):
    a, _ = run(settings, photographs, 2)
    b, _ = run(replace(settings, seed=1), photographs, 2)
    assert weights(a.generator) != weights(b.generator)


def test_the_critic_joins_when_it_is_told_to(photographs, settings):
    _, reports = run(settings, photographs)
    assert ["critic" in r for r in reports] == [False] * 3 + [True] * 3


def test_content_steps_leave_the_critic_alone(photographs, settings):
    trainer = Trainer(settings, photographs)
    before = weights(trainer.critic)
    with workers(1) as pool:
        trainer.step(pool)
    assert weights(trainer.critic) == before


def test_the_twin_goes_on_from_the_same_weights_without_a_critic(photographs, settings):
    trainer, _ = run(settings, photographs, 3)
    twin = trainer.twin()
    twin.load(trainer.checkpoint())
    assert weights(twin.generator) == weights(trainer.generator)
    assert twin.steps_done == 3
    with workers(2) as pool:
        reports = [twin.step(pool) for _ in range(3)]
    assert all("critic" not in r for r in reports)
    alone, _ = run(l1_twin(settings), photographs)
    assert weights(twin.generator) == weights(alone.generator)


def test_training_brings_results_nearer_to_the_sharp_pictures(photographs, settings):
    longer = replace(settings, steps=60, batch=4, lr=5e-3, adversarial_weight=0.0)
    longer = replace(longer, generator=replace(longer.generator, width=6))
    pairs = unseen_pairs(photographs[:1], settings.blur, 32, each=4, seed=9)
    before = Trainer(longer, photographs).validate(pairs)
    trainer, _ = run(longer, photographs)
    assert trainer.validate(pairs)["val_psnr"] > before["val_psnr"] + 0.2


def test_a_batch_that_is_not_finite_stops_training_with_its_step(photographs, settings):
    trainer, _ = run(settings, photographs, 2)
    before = weights(trainer.generator)
    good = trainer.pairs

    class Broken:
        def __getitem__(self, number):
            blurry, sharp = good[number]
            blurry[0, 0, 0, 0] = np.nan
            return blurry, sharp

    trainer.pairs = Broken()
    with workers(2) as pool, pytest.raises(NonFiniteError, match="step 3: the batch"):
        trainer.step(pool)
    assert weights(trainer.generator) == before


def test_a_weight_that_is_not_finite_stops_training_with_the_first_operation(photographs, settings):
    trainer, _ = run(settings, photographs, 1)
    bad = trainer.generator.down1.weight.numpy().copy()
    bad[0, 0, 0, 0] = np.inf
    trainer.generator.down1.weight.copy_(bad)
    with workers(2) as pool, pytest.raises(NonFiniteError) as caught:
        trainer.step(pool)
    assert "step 2" in str(caught.value)
    assert "conv2d_relu: its argument 'weight' of shape (4, 2, 3, 3)" in str(caught.value)


def test_minutes_become_steps():
    settings = TrainSettings(adversarial_from=0.5)
    assert steps_in(settings, seconds=60, costs=(0.1, 0.3)) == 300
    assert steps_in(l1_twin(settings), seconds=60, costs=(0.1, 0.3)) == 600
    assert steps_in(settings, seconds=0.1, costs=(1, 1)) == 10


@pytest.mark.parametrize(
    "bad",
    [
        {"steps": 0},
        {"batch": 1.5},
        {"crop": 20},
        {"adversarial_from": 2},
        {"adversarial_weight": float("nan")},
        {"adversarial": "hinge"},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ArgumentError) as caught:
        TrainSettings(**bad)
    assert str(next(iter(bad.values()))) in str(caught.value)
