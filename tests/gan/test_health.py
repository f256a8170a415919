"""What a training is told of itself: troubles that are made on purpose, and none where all is well."""

import json

import numpy as np
import pytest

from minigan.core.errors import ModelFileError
from minigan.gan.health import PATIENCE, WINDOW, Watch


def told(figures, steps=WINDOW * (PATIENCE + 5), watch=None):
    """What is said over so many steps of figures(step), with the steps at which it is said."""
    watch = watch or Watch()
    rng = np.random.default_rng(0)
    news = []
    for step in range(1, steps + 1):
        noise = rng.lognormal(0, 0.3)
        noisy = {n: v * noise for n, v in figures(step).items()}
        news += [(step, sentence) for _, sentence in watch.look(noisy)]
    return news


def well(step):
    """All falls slowly; the critic leads by a little."""
    return {
        "content": 1 / step**0.3,
        "gradient": 1.0,
        "critic_gradient": 2.0,
        "real": 0.6,
        "fake": 0.4,
    }


LATE = WINDOW * (PATIENCE + 1)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("content", lambda step: 0.9, "the content loss has risen to"),
        ("gradient", lambda step: 2e3, "the generator's gradient has grown from"),
        ("critic_gradient", lambda step: 4e3, "the discriminator's gradient has grown from"),
        ("gradient", lambda step: 5e-4, "the generator's gradient has shrunk from"),
        ("real", lambda step: -3e4, "the discriminator's numbers have grown to"),
    ],
)
def test_each_trouble_is_told_once_when_it_has_begun(name, value, words):
    news = told(lambda step: {**well(step), **({name: value(step)} if step > LATE else {})})
    news = [(step, s) for step, s in news if "silent" not in s]
    ((step, sentence),) = news
    assert LATE < step <= LATE + 2 * WINDOW
    assert words in sentence
    assert "may help" in sentence
    assert "\n" not in sentence


def test_a_discriminator_that_cannot_tell_is_told_of():
    ((_, sentence),) = told(lambda step: {"real": 0.5, "fake": 0.5 + 1e-5})
    assert "the same number" in sentence


def test_where_all_is_well_nothing_is_said():
    assert told(well, 2000) == []


def test_a_single_wild_step_is_no_trouble():
    assert told(lambda step: {**well(step), **({"content": 1e6} if step == LATE else {})}) == []


def test_a_trouble_that_is_over_and_comes_again_is_told_again():
    def figures(step):
        bad = LATE < step <= LATE + 100 or step > LATE + 300
        return {"content": 9.0 if bad else 1.0}

    assert len(told(figures, LATE + 500)) == 2


def test_the_start_is_not_judged():
    assert told(lambda step: {"content": 1e-3 if step < WINDOW else 1.0}, WINDOW * PATIENCE) == []


def test_a_watch_goes_on_from_its_state_as_json_keeps_it():
    rng = np.random.default_rng(1)
    figures = [{"gradient": 0.1 ** (i // 100), "content": rng.random()} for i in range(700)]
    whole, first = Watch(), Watch()
    expected = [whole.look(f) for f in figures]
    parts = [first.look(f) for f in figures[:333]]
    second = Watch.from_state(json.loads(json.dumps(first.state())))
    assert parts + [second.look(f) for f in figures[333:]] == expected
    assert json.dumps(second.state()) == json.dumps(whole.state())  # a checkpoint's bits
    assert any(expected)


@pytest.mark.parametrize(
    "state", [None, [], {}, {**Watch().state(), "recent": {"gradient": ["x"]}}]
)
def test_what_is_no_state_is_refused(state):
    with pytest.raises(ModelFileError, match="no state of a watch"):
        Watch.from_state(state)
