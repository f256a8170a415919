"""Steps for games: their rates on f(x, y) = x y, what they do with other optimisers, and their state."""

import numpy as np
import pytest

import minigan as mg
from minigan import optim
from minigan.core.errors import ArgumentError


def players(x=1.0, y=0.5):
    return [mg.tensor(v, requires_grad=True, dtype=mg.float64) for v in (x, y)]


def look(x, y):
    """x goes down on x y, y up."""
    x.grad, y.grad = mg.tensor(y, dtype=mg.float64), mg.tensor(-x.item(), dtype=mg.float64)


@pytest.mark.parametrize("rate", [0.1, 0.5, np.sqrt(0.5), 1.0])
def test_extragradient_shrinks_by_the_known_factor(rate):
    x, y = players()
    both = optim.Extragradient(optim.SGD([x, y], lr=rate))
    start = np.hypot(x.item(), y.item())
    for _ in range(20):
        look(x, y)
        both.extrapolate()
        look(x, y)
        both.step()
    factor = np.sqrt((1 - rate**2) ** 2 + rate**2)
    assert np.hypot(x.item(), y.item()) == pytest.approx(start * factor**20, rel=1e-9)


def test_optimistic_is_its_recursion():
    x, y = players()
    both = optim.Optimistic(optim.SGD([x, y], lr=0.3))
    z, last = np.array([1.0, 0.5]), None
    for _ in range(10):
        field = np.array([z[1], -z[0]])
        z, last = z - 0.3 * (2 * field - (field if last is None else last)), field
        look(x, y)
        both.step()
        np.testing.assert_allclose([x.item(), y.item()], z, rtol=1e-12)


@pytest.mark.parametrize(("rate", "inwards"), [(0.57, True), (0.585, False)])
def test_optimistic_arrives_below_one_by_the_root_of_three_only(rate, inwards):
    x, y = players()
    both = optim.Optimistic(optim.SGD([x, y], lr=rate))
    radii = []
    for _ in range(800):
        look(x, y)
        both.step()
        radii.append(np.hypot(x.item(), y.item()))
    assert (radii[-1] < radii[-400]) == inwards


def test_with_adam_inside_both_take_its_steps():
    for wrap in (optim.Extragradient, optim.Optimistic):
        w = mg.tensor([3.0, -2.0], requires_grad=True)
        optimizer = wrap(optim.Adam([w], lr=0.05))
        for _ in range(400):
            for advance in [getattr(optimizer, "extrapolate", None), optimizer.step]:
                if advance is not None:
                    optimizer.zero_grad()
                    (w * w).sum().backward()
                    advance()
        assert abs(w.numpy()).max() < 0.05


def test_a_stopped_optimistic_game_goes_on_as_if_nothing_had_happened():
    def game():
        x, y = players()
        return x, y, optim.Optimistic(optim.Adam([x, y], lr=0.1))

    def play(x, y, both, steps):
        for _ in range(steps):
            look(x, y)
            both.step()

    x, y, both = game()
    play(x, y, both, 7)
    values, state = (x.item(), y.item()), both.state_dict()
    play(x, y, both, 5)
    x2, y2, again = game()
    x2.copy_(values[0])
    y2.copy_(values[1])
    again.load_state_dict(state)
    play(x2, y2, again, 5)
    assert (x2.item(), y2.item()) == (x.item(), y.item())


def test_state_that_does_not_fit_changes_nothing():
    x, y = players()
    both = optim.Optimistic(optim.SGD([x, y], lr=0.1))
    with pytest.raises(ArgumentError, match="movements"):
        both.load_state_dict({**both.state_dict(), "moved.0": np.zeros(3)})
    with pytest.raises(ArgumentError, match="needs 1 arrays"):
        both.load_state_dict({"steps": np.array(1), "strange": np.zeros(3)})
    assert both.optimizer.steps == 0


def test_extragradient_says_what_was_called_in_the_wrong_order():
    x, y = players()
    both = optim.Extragradient(optim.SGD([x, y], lr=0.1))
    look(x, y)
    with pytest.raises(ArgumentError, match="needs extrapolate"):
        both.step()
    both.extrapolate()
    with pytest.raises(ArgumentError, match="twice"):
        both.extrapolate()


def test_writes_of_games_are_noticed_by_graphs_that_saved_the_old_values():
    x, y = players()
    both = optim.Optimistic(optim.SGD([x, y], lr=0.1))
    product = x * y
    look(x, y)
    both.step()
    with pytest.raises(mg.VersionError):
        product.backward()
