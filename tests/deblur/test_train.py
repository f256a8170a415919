"""The training step: what it lowers, what it leaves alone, and how it stops."""

from dataclasses import replace

import numpy as np
import pytest
from safetensors.numpy import save_file

from minigan.core.errors import ArgumentError, ModelFileError, NonFiniteError
from minigan.core.parallel import workers
from minigan.deblur.networks import CriticSettings
from minigan.deblur.pairs import unseen_pairs
from minigan.deblur.settings import ContentSettings, TrainSettings, l1_twin
from minigan.deblur.train import Trainer, fit_least_squares, steps_in
from minigan.gan.losses import LOSSES


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
        {"schedule": "steps"},
        {"critic_steps": 0},
        {"averaging": 1.0},
        {"critic_lr": float("inf")},
        {"beta1": -0.1},
    ],
)
def test_settings_that_make_no_sense_are_refused(bad):
    with pytest.raises(ArgumentError) as caught:
        TrainSettings(**bad)
    assert str(next(iter(bad.values()))) in str(caught.value)


# ---------------------------------------------------------------------- the method's choices


@pytest.mark.parametrize("adversarial", sorted(LOSSES))
def test_every_adversarial_loss_trains_both_networks(photographs, settings, adversarial):
    now = replace(settings, adversarial=adversarial, adversarial_from=0.0, steps=2)
    trainer = Trainer(now, photographs)
    before = weights(trainer.generator), weights(trainer.critic)
    with workers(1) as pool:
        report = trainer.step(pool)
    assert before[0] != weights(trainer.generator)
    assert before[1] != weights(trainer.critic)
    assert ("penalty" in report) == (adversarial == "wgan-gp")


def test_each_of_the_critics_steps_sees_a_batch_of_its_own(photographs, settings):
    now = replace(settings, critic_steps=3, adversarial_from=0.0, adversarial="wgan-gp")
    trainer, drawn = Trainer(now, photographs), []
    inner = trainer.pairs

    class Watched:
        def __getitem__(self, number):
            drawn.append(number)
            return inner[number]

    trainer.pairs = Watched()
    with workers(1) as pool:
        for _ in range(2):
            trainer.step(pool)
    assert drawn == [0, 1, 2, 3, 4, 5]
    assert trainer.critic_optimizer.steps == 6
    assert trainer.optimizer.steps == 2


def test_a_penalised_critic_tends_to_a_slope_of_1(photographs, settings):
    now = replace(
        settings,
        steps=400,
        adversarial="wgan-gp",
        adversarial_from=0.0,
        critic_lr=5e-3,
        schedule="linear",
        critic=CriticSettings(4),
    )
    trainer = Trainer(now, photographs)
    with workers(1) as pool:
        first = trainer.step(pool)["penalty"]
        for _ in range(60):
            report = trainer._critic_step(pool, trainer._batch(0))
    assert report["penalty"] < first / 3
    assert report["real"] > report["fake"]


def everything(settings):
    """Settings that switch all on that draws random numbers or keeps a state."""
    return replace(
        settings,
        adversarial="wgan-gp",
        critic_steps=2,
        averaging=0.9,
        generator=replace(settings.generator, dropout=0.3, noise_channels=1, norm="instance"),
    )


def test_noise_dropout_penalty_and_averages_are_the_same_on_any_number_of_threads(
    photographs, settings
):
    (a, first), (b, second) = (run(everything(settings), photographs, threads=n) for n in (1, 2))
    assert first == second
    for network in ("generator", "critic", "averaged"):
        assert weights(getattr(a, network)) == weights(getattr(b, network))


def test_a_training_with_everything_goes_on_from_a_checkpoint_with_the_same_bits(
    photographs, settings
):
    whole, reports = run(everything(settings), photographs)
    begun, _ = run(everything(settings), photographs, 4)
    pairs = unseen_pairs(photographs[:1], settings.blur, 32, each=1)
    saved = begun.checkpoint()
    begun.validate(pairs)  # what happens between a checkpoint and a crash leaves no trace
    resumed = Trainer(everything(settings), photographs)
    resumed.load(saved)
    with workers(2) as pool:
        rest = [resumed.step(pool) for _ in range(2)]
    assert rest == reports[4:]
    assert weights(resumed.averaged) == weights(whole.averaged)
    assert resumed.validate(pairs) == whole.validate(pairs)


def test_making_a_model_or_validating_changes_nothing_of_the_training(photographs, settings):
    _, reports = run(everything(settings), photographs)
    watched = Trainer(everything(settings), photographs)
    filters = fit_least_squares(watched, batches=2)
    with workers(2) as pool:
        for report in reports:
            watched.model(filters)
            watched.validate(unseen_pairs(photographs[:1], settings.blur, 32, each=1))
            assert watched.step(pool) == report


def test_the_averaged_weights_lie_between_and_are_what_is_used(photographs, settings):
    now = replace(settings, averaging=0.9, adversarial_weight=0.0)
    trainer, _ = run(now, photographs, 5)
    filters = fit_least_squares(trainer, batches=2)
    assert weights(trainer.model(filters).generator) == weights(trainer.averaged)
    assert weights(trainer.averaged) != weights(trainer.generator)


@pytest.mark.parametrize("content", ["mse", "perceptual"])
def test_other_content_losses_bring_results_nearer_as_well(
    tmp_path, photographs, settings, content
):
    chosen = features_file(tmp_path / "features.safetensors", 0)
    longer = replace(
        settings,
        steps=60,
        batch=4,
        lr=5e-3,
        adversarial_weight=0.0,
        content=chosen if content == "perceptual" else ContentSettings(content),
        generator=replace(settings.generator, width=6),
    )
    pairs = unseen_pairs(photographs[:1], settings.blur, 32, each=4, seed=9)
    before = Trainer(longer, photographs).validate(pairs)
    trainer, _ = run(longer, photographs)
    assert trainer.validate(pairs)["val_psnr"] > before["val_psnr"] + 0.1


def test_the_papers_schedule_is_constant_and_then_falls_to_0(photographs, settings):
    now = replace(settings, schedule="linear", steps=6, adversarial_weight=0.0)
    trainer, rates = Trainer(now, photographs), []
    with workers(1) as pool:
        for _ in range(6):
            trainer.step(pool)
            rates.append(trainer.optimizer.lr / now.lr)
    assert rates == pytest.approx([1, 1, 1, 1, 2 / 3, 1 / 3])


def features_file(path, seed):
    """A network of features with one convolution."""
    weight = np.random.default_rng(seed).standard_normal((2, 3, 3, 3)).astype(np.float32)
    save_file({"0.weight": weight}, path)
    return ContentSettings("perceptual", str(path), "conv1_1")


def test_a_checkpoint_of_other_features_is_refused(tmp_path, photographs, settings):
    path = tmp_path / "features.safetensors"
    now = replace(settings, content=features_file(path, 0))
    saved = Trainer(now, photographs).checkpoint()
    Trainer(now, photographs).load(saved)
    features_file(path, 1)
    with pytest.raises(ModelFileError, match=f"{path} holds another network now"):
        Trainer(now, photographs).load(saved)
