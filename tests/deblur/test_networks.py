"""What the two networks promise."""

import numpy as np
import pytest

from minigan.core.errors import ArgumentError
from minigan.core.graph import no_grad
from minigan.core.tensor import Tensor
from minigan.deblur.networks import Critic, Generator, GeneratorSettings


def noise(*shape):
    return Tensor(np.random.default_rng(0).random(shape, dtype=np.float32))


@pytest.mark.parametrize("norm", ["none", "instance"])
def test_an_untrained_generator_changes_nothing(norm):
    x = noise(2, 3, 16, 24)
    y = Generator(GeneratorSettings(width=2, blocks=2, norm=norm))(x)
    np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_the_small_generator_has_the_size_it_is_said_to_have():
    assert sum(p.numel() for p in Generator().parameters()) == 342_531


def test_every_parameter_of_the_generator_comes_to_learn():
    generator = Generator(GeneratorSettings(width=2, blocks=1))
    last = generator.leave.weight
    last.copy_(np.ones(last.shape))  # at 0 it would pass no gradient on
    generator(noise(1, 3, 16, 16)).sum().backward()
    for name, p in generator.named_parameters():
        assert p.grad is not None, name
        assert np.abs(p.grad.numpy()).max() > 0, name


def test_each_judgement_of_the_critic_sees_a_patch_of_38_pixels():
    critic = Critic(width=2)
    blurry, candidate = noise(1, 3, 128, 128), noise(1, 3, 128, 128).requires_grad_()
    critic(blurry, candidate)[0, 0, 8, 8].backward()
    assert candidate.grad is not None
    rows = np.flatnonzero(np.abs(candidate.grad.numpy()).sum(axis=(0, 1, 3)))
    assert rows[-1] - rows[0] + 1 == 38


def test_the_critic_looks_at_both_pictures():
    critic = Critic(width=2)
    a, b = noise(1, 3, 32, 32), Tensor(noise(1, 3, 32, 32).numpy()[:, :, ::-1].copy())
    with no_grad():
        assert not np.array_equal(critic(a, a).numpy(), critic(b, a).numpy())
        assert not np.array_equal(critic(a, a).numpy(), critic(a, b).numpy())


@pytest.mark.parametrize("bad", [{"width": 0}, {"blocks": -1}, {"norm": "batch"}])
def test_settings_that_make_no_network_are_refused(bad):
    with pytest.raises(ArgumentError, match="GeneratorSettings"):
        GeneratorSettings(**bad)
