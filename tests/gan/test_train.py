"""Training: what moves, what it is made of, that it repeats bit for bit, and when it refuses."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest

from minigan.core.errors import (
    ArgumentError,
    ModelFileError,
    NonFiniteError,
    OutputPathError,
    ShapeError,
)
from minigan.core.parallel import workers
from minigan.gan import run
from minigan.gan.train import (
    GanSettings,
    Players,
    Report,
    create,
    draw_noise,
    mean_report,
    seconds_per_step,
    settings_from,
    train,
)
from minigan.images import read_image
from minigan.ops.random import Generator as Random
from minigan.runs import new_folder

TINY = GanSettings(steps=6, batch=8, width=2, noise_shape=(2, 2), d_warmup=0)


def bars(count=32):
    """Images of a white column at one of two places."""
    images = np.zeros((count, 1, 8, 8), np.float32)
    images[::2, :, :, 2] = images[1::2, :, :, 5] = 1
    return images


def trained(settings, images=None, threads=1, players=None):
    players = players or Players(settings)
    with workers(threads) as pool:
        reports = list(train(settings, bars() if images is None else images, players, pool))
    return players, reports


def bits(network):
    return b"".join(array.tobytes() for array in network.state_dict().values())


def distance_of_means(settings, network):
    images = create(network, draw_noise(settings, 300, Random(9)))
    return np.abs(images.mean(axis=0) - bars().mean(axis=0)).mean()


# ---------------------------------------------------------------------- learning


def test_training_brings_the_created_images_nearer_to_the_real_ones():
    settings = replace(TINY, steps=150, batch=32, width=8, lr=1e-3, averaging=0.9)
    before = distance_of_means(settings, Players(settings).generator)
    players, reports = trained(settings)
    for network in (players.generator, players.averaged):
        assert distance_of_means(settings, network) < before / 3
    assert [report.step for report in reports] == list(range(1, 151))


def test_a_wasserstein_gan_with_its_penalty_learns_with_the_same_bits_on_any_number_of_threads():
    settings = replace(
        TINY, steps=60, batch=32, width=8, lr=1e-3, d_lr=1e-3, d_steps=3, loss="wgan-gp"
    )
    before = distance_of_means(settings, Players(settings).generator)
    players, reports = trained(settings)
    assert distance_of_means(settings, players.generator) < before / 2
    again, others = trained(settings, threads=3)
    assert reports == others
    assert bits(players.discriminator) == bits(again.discriminator)


def test_both_losses_of_the_algorithm_are_lowered_by_the_right_player():
    settings = replace(TINY, steps=1, batch=64, width=8)
    images, z = bars(64), draw_noise(settings, 64, Random(1))
    players = Players(settings)
    fooled_before = logit_of_created(players, z)
    with workers(1) as pool:
        steps = train(replace(settings, steps=60), images, players, pool)
        first = next(steps)
        last = list(steps)[-1]
    assert last.d_loss < first.d_loss  # D learns to tell a player apart that learns as fast
    assert logit_of_created(players, z) != fooled_before


def logit_of_created(players, z):
    from minigan import tensor

    return float(players.discriminator(tensor(create(players.generator, z))).mean())


def test_the_discriminator_steps_k_times_for_each_step_of_the_generator(monkeypatch):
    from minigan.gan import train as module

    counts = []

    class Counting(module.Adam):
        def step(self):
            counts.append(len(self.params))
            super().step()

    monkeypatch.setattr(module, "Adam", Counting)
    players, _ = trained(replace(TINY, steps=2, d_steps=3))
    d, g = (len(n.parameters()) for n in (players.discriminator, players.generator))
    assert counts == [d, d, d, g] * 2


def test_a_step_of_one_player_does_not_move_the_other(monkeypatch):
    from minigan.gan import train as module

    players, seen = Players(TINY), []

    class Watching(module.Adam):
        def step(self):
            before = bits(players.discriminator), bits(players.generator)
            super().step()
            after = bits(players.discriminator), bits(players.generator)
            seen.append(tuple(a != b for a, b in zip(before, after, strict=True)))

    monkeypatch.setattr(module, "Adam", Watching)
    trained(replace(TINY, steps=2), players=players)
    assert seen == [(True, False), (False, True)] * 2


def test_the_discriminators_rate_rises_over_its_first_steps():
    """Adam's first step moves every weight by the rate, so the first step shows the rate."""
    moves = []
    for d_warmup in (0, 9):
        players = Players(TINY)
        before = players.discriminator.parameters()[0].numpy().copy()
        trained(replace(TINY, steps=1, d_warmup=d_warmup), players=players)
        after = players.discriminator.parameters()[0].numpy()
        moves.append(np.abs(after - before).max())
    assert moves[0] == pytest.approx(TINY.d_lr, rel=1e-3)
    assert moves[1] == pytest.approx(TINY.d_lr / 10, rel=1e-2)


def test_larger_images_get_networks_with_fewer_channels():
    assert [GanSettings(size=size).channels for size in (8, 28, 64, 512)] == [32, 9, 4, 1]
    assert GanSettings(size=28, width=32).channels == 32


def test_the_averaged_generator_is_a_running_mean_of_the_weights():
    settings = replace(TINY, steps=5, averaging=0.75)
    players = Players(settings)
    expected = [p.numpy().copy() for p in players.generator.parameters()]
    with workers(1) as pool:
        for report in train(settings, bars(), players, pool):
            keep = min(0.75, report.step / (report.step + 9))
            latest = [p.numpy() for p in players.generator.parameters()]
            expected = [keep * e + (1 - keep) * p for e, p in zip(expected, latest, strict=True)]
    for e, p in zip(expected, players.averaged.parameters(), strict=True):
        np.testing.assert_allclose(p.numpy(), e, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("loss", ["non-saturating", "zero-sum"])
def test_what_is_reported_is_what_the_losses_say(loss):
    settings = replace(TINY, loss=loss, steps=1, lr=1e-12, batch=64)
    _, (report,) = trained(settings)
    assert 0 < report.d_real < 1
    assert 0 < report.d_fake < 1
    assert report.d_gradient > 0
    assert report.g_gradient > 0
    assert report.d_loss > 0
    # With weights that hardly move, the zero-sum generator loses what D gains, on other samples.
    assert report.g_loss == pytest.approx(-report.d_loss, abs=0.2) or loss != "zero-sum"


def test_the_gradient_norm_is_that_of_one_long_vector():
    settings = replace(TINY, steps=1)
    players = Players(settings)
    _, (report,) = trained(settings, players=players)
    vector = np.concatenate([p.grad.numpy().ravel() for p in players.generator.parameters()])
    assert report.g_gradient == pytest.approx(np.linalg.norm(vector), rel=1e-5)


def test_a_mean_report_has_the_last_step_and_the_means_of_the_rest():
    a, b = Report(1, 1, 2, 0.5, 0.25, 3, 4), Report(2, 3, 4, 0.25, 0.75, 5, 6)
    assert mean_report([a, b]) == Report(2, 2, 3, 0.375, 0.5, 4, 5)


# ---------------------------------------------------------------------- the same bits


def test_the_same_seed_gives_the_same_bits_on_any_number_of_threads():
    first, reports = trained(TINY)
    for threads in (1, 2, 3):
        again, repeated = trained(TINY, threads=threads)
        assert repeated == reports
        for name in ("generator", "discriminator", "averaged"):
            assert bits(getattr(again, name)) == bits(getattr(first, name))


def test_another_seed_gives_other_weights_images_and_noise():
    a, b = Players(TINY), Players(replace(TINY, seed=1))
    assert bits(a.generator) != bits(b.generator)
    assert a.image_choice.key != b.image_choice.key
    assert a.noise.key != b.noise.key


def test_weights_noise_and_the_choice_of_images_come_from_different_streams():
    players = Players(TINY)
    assert len({players.image_choice.key, players.noise.key, Random(TINY.seed).key}) == 3


def test_a_longer_run_begins_with_the_steps_of_a_shorter_one():
    _, short = trained(TINY)
    _, long = trained(replace(TINY, steps=9))
    assert long[:6] == short


# ---------------------------------------------------------------------- refusals


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("size", 10), ("size", 0), ("size", 8.0), ("steps", 0), ("steps", True), ("d_steps", 0),
        ("batch", -1), ("width", 0), ("shards", 0), ("seed", -1), ("seed", 1.5), ("lr", 0),
        ("lr", float("nan")), ("lr", "fast"), ("averaging", 1), ("averaging", -0.1),
        ("betas", (0.5,)), ("betas", (0.5, 1)), ("noise_shape", (4, 0)), ("noise_shape", (4, 4, 4)),
        ("d_warmup", -1), ("width", 1.5),
    ],
)  # fmt: skip
def test_settings_that_cannot_be_trained_with_are_refused_by_name(name, value):
    with pytest.raises(
        ArgumentError, match=rf"GanSettings: {name} is .*; it needs to be "
    ) as error:
        replace(TINY, **{name: value})
    assert "\n" not in str(error.value)


def test_an_unknown_loss_is_refused_when_the_settings_are_made():
    with pytest.raises(ArgumentError, match="the names are non-saturating"):
        replace(TINY, loss="hinge")


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (bars()[:, 0], ShapeError, r"shape \(32, 8, 8\); they need \(count, 1, 8, 8\)"),
        (bars()[:0], ShapeError, r"shape \(0, 1, 8, 8\)"),
        (np.zeros((4, 1, 8, 12), np.float32), ShapeError, r"\(4, 1, 8, 12\)"),
        (bars().astype(np.float64), ArgumentError, "dtype float64; they need float32"),
        (2 * bars(), ArgumentError, r"run from 0.0 to 2.0; they need to be in \[0, 1\]"),
        (bars() - 1, ArgumentError, "run from -1.0"),
        (bars() * np.float32("nan"), ArgumentError, "run from nan"),
    ],
)
def test_images_that_do_not_fit_are_refused_before_the_first_step(images, error, message):
    with workers(1) as pool, pytest.raises(error, match=message):
        train(TINY, images, Players(TINY), pool)  # nothing is drawn from the iterator


@pytest.mark.parametrize("player", ["discriminator", "generator"])
def test_nan_stops_training_and_names_the_step(player):
    players = Players(TINY)
    with workers(1) as pool:
        steps = train(TINY, bars(), players, pool)
        next(steps)
        next(steps)
        for p in getattr(players, player).parameters():
            p.copy_(np.full(p.shape, np.nan, np.float32))
        with pytest.raises(NonFiniteError, match="at step 3 the discriminator's loss became nan"):
            next(steps)


def test_a_gradient_that_is_no_number_stops_training_before_it_reaches_the_weights(monkeypatch):
    from minigan.gan import train as module

    def steep(real, fake):
        return (0 * fake).sqrt().mean()  # 0, but its derivative is infinity times 0

    loss = replace(module.loss_named("zero-sum"), generator=steep)
    monkeypatch.setattr(module, "loss_named", lambda name: loss)
    players = Players(TINY)
    before = bits(players.generator)
    with workers(1) as pool, pytest.raises(NonFiniteError, match="at step 1 the generator's grad"):
        list(train(TINY, bars(), players, pool))
    assert bits(players.generator) == before


def test_settings_survive_json_and_strange_ones_are_refused():
    assert settings_from(json.loads(json.dumps(asdict(TINY)))) == TINY
    with pytest.raises(ArgumentError, match="no setting named speed"):
        settings_from({"speed": 3})


def test_a_trial_measures_how_long_a_step_takes():
    with workers(1) as pool:
        assert 0 < seconds_per_step(TINY, bars(), pool, trial=0.1) < 1
        assert 0 < seconds_per_step(TINY, bars(), pool, trial=0) < 1  # at least one step


# ---------------------------------------------------------------------- the run folder


def performed(folder, settings=TINY, threads=1):
    with workers(threads) as pool:
        job = run.Run(new_folder(folder, "gan"), settings, bars(), ["minigan"], "1")
        return list(run.perform(job, pool))


def test_a_run_writes_what_it_promises(tmp_path):
    reports = performed(tmp_path / "new" / "run")
    folder = tmp_path / "new" / "run"
    names = {
        "settings.json",
        "log.jsonl",
        "times.jsonl",
        *("model.safetensors", "samples.png", "grid.png"),
        *("moments", "dynamics.html"),
    }
    assert {path.name for path in folder.iterdir()} == names
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [line for line in lines if "g_loss" in line] == [asdict(report) for report in reports]
    varied = [line for line in lines if "variety" in line]
    assert [line["step"] for line in varied] == [1, 2, 3, 4, 5, 6]
    assert all(line["variety"] > 0 for line in varied)
    assert settings_from(json.loads((folder / "settings.json").read_text())["settings"]) == TINY
    assert read_image(folder / "grid.png").shape == (1, 662, 662)
    # A row before the first step, and after steps 1, 3 and 6 (6 halved, and halved again).
    assert read_image(folder / "samples.png").shape == (1, 4 * 66 + 2, 12 * 66 + 2)


def test_the_same_seed_gives_the_same_files_except_for_the_times(tmp_path):
    for name, threads in (("a", 1), ("b", 2)):
        performed(tmp_path / name, threads=threads)
    for path in (tmp_path / "a").iterdir():
        if path.is_file() and path.name != "times.jsonl":
            assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_a_long_log_is_thinned_to_a_hundred_means(tmp_path):
    settings = replace(TINY, steps=250, batch=2, width=1)
    assert [report.step for report in performed(tmp_path, settings)] == [*range(3, 250, 3), 250]


def test_no_pictures_and_no_model_are_left_half_written_when_training_fails(tmp_path, monkeypatch):
    def fail(*arguments):
        raise NonFiniteError("train: at step 1")
        yield

    monkeypatch.setattr(run, "train", fail)
    with pytest.raises(NonFiniteError):
        performed(tmp_path / "run")
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "settings.json",
        "log.jsonl",
        "times.jsonl",
        *("moments", "dynamics.html"),
    }


def test_a_run_is_never_overwritten(tmp_path):
    performed(tmp_path / "run")
    with pytest.raises(OutputPathError, match="holds a run already"):
        new_folder(tmp_path / "run", "gan")


def test_the_saved_generator_is_the_averaged_one(tmp_path):
    reports = performed(tmp_path / "run")
    players, again = trained(TINY)
    assert reports[-1] == again[-1]
    for path in (tmp_path / "run", tmp_path / "run" / "model.safetensors"):
        settings, network = run.load_generator(path)
        assert settings == TINY
        assert bits(network) == bits(players.averaged)


def test_other_files_are_refused_as_models(tmp_path):
    from minigan import serialize

    with pytest.raises(ModelFileError, match="does not exist"):
        run.load_generator(tmp_path)
    path = tmp_path / "model.safetensors"
    serialize.save(path, {"a": np.zeros(3, np.float32)}, {"kind": "classifier"})
    with pytest.raises(ModelFileError, match="'classifier'; it needs an 'image generator'"):
        run.load_generator(path)
    for record in ({}, {"gan": None}, {"gan": {"size": 9}}, {"gan": asdict(TINY)}):
        serialize.save(path, {"a": np.zeros(3, np.float32)}, {"kind": run.KIND, **record})
        with pytest.raises(ModelFileError, match="a generator that does not fit"):
            run.load_generator(path)


def test_a_sheet_is_enlarged_to_be_looked_at_and_stays_in_range():
    assert run.sheet(bars(9)).shape == (1, 3 * 66 + 2, 3 * 66 + 2)
    assert run.sheet(np.zeros((5, 1, 28, 28), np.float32), 5).shape == (1, 60, 292)
    assert run.sheet(np.zeros((1, 1, 100, 100), np.float32)).shape == (1, 104, 104)
    values = run.sheet(bars(4))
    assert 0 <= values.min() <= values.max() <= 1
