"""The two players: what goes in, what comes out, and how they begin."""

import numpy as np
import pytest

import minigan as mg
from minigan import nn
from minigan.core.errors import ArgumentError
from minigan.gan.networks import discriminator, generator
from minigan.ops.random import Generator as Random


def noise(count, shape=(4, 4), seed=1):
    return mg.tensor(Random(seed).normal((count, 1, *shape)))


@pytest.mark.parametrize("size", [4, 8, 12, 16, 28])
def test_the_players_fit_each_other_at_every_multiple_of_4(size):
    images = generator((3, 5), size, 2, Random(0))(noise(6, (3, 5)))
    assert images.shape == (6, 1, size, size)
    assert images.dtype == mg.float32
    assert discriminator(size, 2, Random(0))(images).shape == (6,)


def test_created_images_are_in_the_range_of_images_however_extreme_the_noise():
    images = generator((4, 4), 8, 4, Random(0))(1e6 * noise(50)).numpy()
    assert np.isfinite(images).all()
    assert 0 <= images.min() <= images.max() <= 1


def test_the_discriminator_gives_logits_and_not_probabilities():
    images = mg.tensor(10 * np.random.default_rng(0).random((40, 1, 8, 8)))
    values = discriminator(8, 4, Random(0))(images).numpy()
    assert values.min() < 0 or values.max() > 1


def kinds(network):
    return {type(layer) for layer in network}


def test_the_layers_are_those_that_a_gan_is_explained_with():
    made = generator((4, 4), 8, 4, Random(0))
    assert {nn.Linear, nn.Upsample, nn.Conv2d, nn.ReLU} <= kinds(made)
    assert isinstance(made[-1], nn.Sigmoid)
    assert {nn.Conv2d, nn.MaxPool2d, nn.Linear} <= kinds(discriminator(8, 4, Random(0)))


@pytest.mark.parametrize("size", [8, 28])
def test_the_first_images_vary_between_black_and_white(size):
    # Evenly grey ones are pulled to black together, where the sigmoid lets no gradient through.
    images = generator((4, 4), size, 8, Random(0))(noise(60)).numpy()
    assert images.std(axis=0).mean() > 0.2


def test_weights_keep_the_variance_of_what_goes_through_the_discriminator():
    images = mg.tensor(np.random.default_rng(0).random((200, 1, 16, 16)))
    assert 0.05 < discriminator(16, 32, Random(0))(images).numpy().std() < 5


def test_every_weight_of_both_players_gets_a_gradient():
    made, judge = generator((4, 4), 8, 4, Random(0)), discriminator(8, 4, Random(0))
    judge(made(noise(16))).sum().backward()
    for network in (made, judge):
        for name, tensor in network.named_parameters():
            assert tensor.grad is not None, name
            assert np.any(tensor.grad.numpy() != 0), name


def weights(network):
    return {name: array.tobytes() for name, array in network.state_dict().items()}


@pytest.mark.parametrize(
    "make", [lambda r: generator((4, 4), 8, 2, r), lambda r: discriminator(8, 2, r)]
)
def test_the_random_source_alone_decides_the_weights(make):
    mg.manual_seed(1)
    first = weights(make(Random(3)))
    mg.manual_seed(2)
    assert weights(make(Random(3))) == first
    assert weights(make(Random(4))) != first


@pytest.mark.parametrize("size", [-4, 0, 2, 7, 30])
def test_sizes_that_do_not_halve_twice_are_refused(size):
    for make in (
        lambda: generator((4, 4), size, 2, Random(0)),
        lambda: discriminator(size, 2, Random(0)),
    ):
        with pytest.raises(ArgumentError, match=rf"size is {size}; it needs a multiple of 4"):
            make()


def test_no_channels_and_no_noise_are_refused():
    with pytest.raises(ArgumentError, match="width is 0; it needs to be at least 1"):
        discriminator(8, 0, Random(0))
    with pytest.raises(ArgumentError, match=r"noise_shape is \(0, 4\)"):
        generator((0, 4), 8, 2, Random(0))
