"""GANs in the plane: data, what counts as found, every way to step, and every cure."""

from dataclasses import replace

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, NonFiniteError, SettingError
from minigan.gan.losses import LOSSES
from minigan.gan.toys.film import Favourites, filmed, frame_of
from minigan.gan.toys.game import WAYS, ToyGame, ToySettings
from minigan.gan.toys.mixtures import coverage, grid, mixture_named, ring

SMALL = ToySettings(batch=16, width=8, latent=2)


def weights(player):
    return np.concatenate([w.numpy().reshape(-1) for w in player.weights()])


# ---------------------------------------------------------------------- data


@pytest.mark.parametrize(("mixture", "modes"), [(ring(), 8), (grid(), 25)])
def test_samples_lie_at_all_centres_and_are_good_as_often_as_they_should(mixture, modes):
    samples = mixture.sample(20_000, np.random.default_rng(0))
    assert samples.dtype == np.float32
    found = coverage(samples, mixture)
    assert found.modes == modes == len(mixture.centres)
    assert found.good == pytest.approx(
        1 - np.exp(-9 / 2), abs=0.003
    )  # within 3 deviations of a plane's


def test_a_mode_counts_only_with_a_good_sample():
    near, far = ring().centres[:2], ring().centres[2:4] * 1.1
    found = coverage(np.concatenate([near, near, far]), ring())
    assert found.modes == 2
    assert found.good == pytest.approx(4 / 6)


def test_an_unknown_mixture_is_refused():
    with pytest.raises(ArgumentError, match="ring, grid"):
        mixture_named("spiral")


# ---------------------------------------------------------------------- steps


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loss", LOSSES)
def test_every_way_and_loss_moves_both_players(way, loss):
    game = ToyGame(replace(SMALL, way=way, loss=loss), ring().sample)
    before = weights(game.generator), weights(game.discriminator)
    report = game.step()
    assert report.step == game.steps == 1
    assert (weights(game.generator) != before[0]).any()
    assert (weights(game.discriminator) != before[1]).any()
    assert min(report.d_gradient, report.g_gradient) > 0


def test_a_step_of_one_player_leaves_the_other():
    game = ToyGame(SMALL, ring().sample)
    G, D = weights(game.generator), weights(game.discriminator)
    game.d_step()
    np.testing.assert_array_equal(weights(game.generator), G)
    moved = weights(game.discriminator)
    assert (moved != D).any()
    game.g_step()
    np.testing.assert_array_equal(weights(game.discriminator), moved)
    assert (weights(game.generator) != G).any()


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    def played(seed):
        game = ToyGame(replace(SMALL, seed=seed), ring().sample)
        for _ in range(5):
            game.step()
        return game.samples(10)

    np.testing.assert_array_equal(played(0), played(0))
    assert (played(0) != played(1)).any()


def test_looking_does_not_change_the_game():
    game, other = (ToyGame(SMALL, ring().sample) for _ in range(2))
    game.step()
    other.step()
    frame_of(game, ring())
    game.step()
    other.step()
    np.testing.assert_array_equal(weights(game.generator), weights(other.generator))


def test_settings_can_change_while_it_plays():
    game = ToyGame(SMALL, ring().sample)
    game.step()
    before = weights(game.generator)
    game.change(replace(SMALL, way="optimistic", loss="wgan-gp", lr=1e-5))
    np.testing.assert_array_equal(weights(game.generator), before)
    game.step()
    assert 0 < abs(weights(game.generator) - before).max() < 1e-4


# ---------------------------------------------------------------------- cures


def test_packing_shows_the_discriminator_several_points():
    game = ToyGame(replace(SMALL, pack=4), ring().sample)
    assert game.discriminator.weights()[0].shape == (8, 8)
    game.step()
    assert game.beliefs(np.zeros((3, 2))).shape == (3,)
    assert game.pushes(np.zeros((3, 2))).shape == (3, 2)


def test_r1_is_half_gamma_times_the_squared_slope_at_real_points():
    game = ToyGame(SMALL, ring().sample)
    x = mg.tensor(ring().sample(16, np.random.default_rng(0)))
    h = 1e-3
    slopes = []
    for step in (np.array([h, 0]), np.array([0, h])):
        ends = [game.discriminator(mg.tensor(x.numpy() + s)).numpy() for s in (step, -step)]
        slopes.append((ends[0] - ends[1]) / (2 * h))
    measured = (np.concatenate(slopes, axis=1) ** 2).sum(axis=1).mean()
    assert game._squared_slope(x).item() == pytest.approx(measured, rel=0.02)


def test_unrolling_differentiates_through_the_discriminators_steps():
    """The gradient of the unrolled loss against finite differences, in float64."""
    settings = replace(SMALL, unroll=2, batch=8, width=4, seed=3)
    game = ToyGame(settings, ring().sample)
    for player in (game.generator, game.discriminator):
        player.to(mg.float64)
    state = game._random.get_state()

    def loss():
        game._random.set_state(state)
        return game._g_loss()

    weight = game.generator.weights()[0]
    (gradient,) = mg.grad(loss(), weight)
    base = weight.numpy().copy()
    h = 1e-6
    for i in [(0, 0), (3, 1)]:
        ends = []
        for sign in (1, -1):
            moved = base.copy()
            moved[i] += sign * h
            weight.copy_(moved)
            ends.append(loss().item())
        weight.copy_(base)
        assert gradient.numpy()[i] == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-4)


def test_pushes_are_downhill_for_each_point():
    game = ToyGame(SMALL, ring().sample)
    points = np.array([[0.3, 0.1], [-0.5, 0.9]], np.float32)
    (slope,) = mg.grad(
        mg.softplus(-game.discriminator(x := mg.tensor(points, requires_grad=True))).sum(), x
    )
    np.testing.assert_allclose(game.pushes(points), -slope.numpy(), rtol=1e-5)


# ---------------------------------------------------------------------- bad input


@pytest.mark.parametrize(
    "wrong",
    [
        {"way": "sideways"},
        {"d_steps": 0},
        {"pack": 3},
        {"lr": 0.0},
        {"r1": -1.0},
        {"unroll": -1},
        {"loss": "none"},
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises((SettingError, ArgumentError)):
        replace(SMALL, **wrong)


def test_a_game_that_blows_up_says_so():
    game = ToyGame(replace(SMALL, way="simultaneous", lr=1e30, d_lr=1e30), ring().sample)

    def play():
        for _ in range(20):
            game.step()

    with pytest.raises(NonFiniteError, match="lower rate"):
        play()


# ---------------------------------------------------------------------- the film


def test_a_film_has_every_report_and_a_frame_at_the_ends():
    film = filmed(ToyGame(SMALL, ring().sample), ring(), steps=7, every=3)
    assert [report.step for report in film.reports] == list(range(1, 8))
    assert [frame.step for frame in film.frames] == [0, 3, 6, 7]
    assert film.frames[-1].surface.shape == (40, 40)
    assert film.frames[-1].points.shape == (400, 2)


def test_collapse_and_wandering_are_noticed_once_each_until_they_end():
    game = ToyGame(SMALL, ring().sample)
    frame, favourites = frame_of(game, ring()), Favourites(ring())

    def looked(*heaps):
        points = np.concatenate([np.repeat(ring().centres[h : h + 1], 100, axis=0) for h in heaps])
        return [kind for kind, _ in favourites.look(replace(frame, points=points))]

    assert looked(*range(8)) == []
    assert looked(3) == ["collapse"]
    assert looked(3) == []
    assert [looked(h) for h in (4, 4, 5)] == [[], [], []]
    assert looked(6) == ["oscillation"]
    assert looked(7) == []
    assert looked(*range(8)) == []
    assert looked(2) == ["collapse"]
