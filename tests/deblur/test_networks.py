"""What the two networks promise."""

from dataclasses import replace

import numpy as np
import pytest

from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import no_grad
from minigan.core.tensor import Tensor
from minigan.deblur.networks import (
    ConditionalCritic,
    CriticSettings,
    GeneratorSettings,
    UnetGenerator,
    fixed_noise,
    new_critic,
    new_generator,
)
from minigan.deblur.settings import PRESETS


def noise(*shape):
    return Tensor(np.random.default_rng(0).random(shape, dtype=np.float32))


@pytest.mark.parametrize("norm", ["none", "instance"])
def test_an_untrained_generator_changes_nothing(norm):
    x = noise(2, 3, 16, 24)
    y = UnetGenerator(GeneratorSettings(width=2, blocks=2, norm=norm))(x)
    np.testing.assert_array_equal(x.numpy(), y.numpy())


def test_the_small_generator_has_the_size_it_is_said_to_have():
    assert sum(p.numel() for p in UnetGenerator().parameters()) == 342_531


def test_every_parameter_of_the_generator_comes_to_learn():
    generator = UnetGenerator(GeneratorSettings(width=2, blocks=1))
    last = generator.leave.weight
    last.copy_(np.ones(last.shape))  # at 0 it would pass no gradient on
    generator(noise(1, 3, 16, 16)).sum().backward()
    for name, p in generator.named_parameters():
        assert p.grad is not None, name
        assert np.abs(p.grad.numpy()).max() > 0, name


def test_each_judgement_of_the_critic_sees_a_patch_of_38_pixels():
    critic = ConditionalCritic(CriticSettings(width=2))
    blurry, candidate = noise(1, 3, 128, 128), noise(1, 3, 128, 128).requires_grad_()
    critic(blurry, candidate)[0, 0, 8, 8].backward()
    assert candidate.grad is not None
    rows = np.flatnonzero(np.abs(candidate.grad.numpy()).sum(axis=(0, 1, 3)))
    assert rows[-1] - rows[0] + 1 == 38


def test_the_critic_looks_at_both_pictures():
    critic = ConditionalCritic(CriticSettings(width=2))
    a, b = noise(1, 3, 32, 32), Tensor(noise(1, 3, 32, 32).numpy()[:, :, ::-1].copy())
    with no_grad():
        assert not np.array_equal(critic(a, a).numpy(), critic(b, a).numpy())
        assert not np.array_equal(critic(a, a).numpy(), critic(a, b).numpy())


@pytest.mark.parametrize(
    "bad",
    [
        {"width": 0},
        {"blocks": -1},
        {"norm": "batch"},
        {"architecture": "vit"},
        {"up": "bilinear"},
        {"dropout": 1.0},
        {"noise_channels": True},
    ],
)
def test_settings_that_make_no_network_are_refused(bad):
    with pytest.raises(ArgumentError, match="GeneratorSettings"):
        GeneratorSettings(**bad)


# ---------------------------------------------------------------------- DeblurGAN's networks


def count(network):
    return sum(p.numel() for p in network.parameters())


@pytest.mark.parametrize("up", ["upsample", "transposed"])
def test_deblurgans_networks_have_the_published_numbers_of_parameters(up):
    preset = PRESETS["deblurgan"]
    assert count(new_generator(replace(preset.generator, up=up))) == 11_378_179
    assert count(new_critic(preset.critic)) == 2_764_737


def in_pytorch(ours, layers):
    """The PyTorch layers with the weights of ours, in the order in which both have them."""
    torch = pytest.importorskip("torch")
    network = torch.nn.Sequential(*layers(torch.nn))
    own, theirs = (list(dict(n.named_parameters()).values()) for n in (ours, network))
    for a, b in zip(own, theirs, strict=True):
        b.data = torch.tensor(a.numpy())
    return network


@pytest.mark.parametrize("up", ["upsample", "transposed"])
def test_the_resnet_is_the_published_chain_of_layers(up):
    w, settings = 2, GeneratorSettings(2, 2, "instance", "resnet", up=up)
    torch = pytest.importorskip("torch")

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            n, c = torch.nn, 4 * w
            self.first = n.Sequential(
                n.ReflectionPad2d(1), n.Conv2d(c, c, 3), n.InstanceNorm2d(c), n.ReLU()
            )
            self.second = n.Sequential(n.ReflectionPad2d(1), n.Conv2d(c, c, 3), n.InstanceNorm2d(c))

        def forward(self, x):
            return x + self.second(self.first(x))

    def layers(n):
        def doubled(c, out):
            if up == "transposed":
                return [n.ConvTranspose2d(c, out, 3, stride=2, padding=1, output_padding=1)]
            return [n.Upsample(scale_factor=2), n.Conv2d(c, out, 3, padding=1)]

        def normed(c):
            return [n.InstanceNorm2d(c), n.ReLU()]

        return [
            *[n.ReflectionPad2d(3), n.Conv2d(3, w, 7), *normed(w)],
            *[n.Conv2d(w, 2 * w, 3, stride=2, padding=1), *normed(2 * w)],
            *[n.Conv2d(2 * w, 4 * w, 3, stride=2, padding=1), *normed(4 * w)],
            *[Block(), Block()],
            *[*doubled(4 * w, 2 * w), *normed(2 * w)],
            *[*doubled(2 * w, w), *normed(w)],
            *[n.ReflectionPad2d(3), n.Conv2d(w, 3, 7), n.Tanh()],
        ]

    ours = new_generator(settings)
    for p in ours.parameters():  # larger than at the start, so that clipping takes part
        p.copy_(p.numpy() * 20)
    x = noise(2, 3, 16, 24)
    t = torch.tensor(x.numpy()) * 2 - 1
    with torch.no_grad():
        theirs = (torch.clamp(t + in_pytorch(ours, layers)(t), -1, 1) + 1) / 2
    np.testing.assert_allclose(ours(x).numpy(), theirs.numpy(), atol=1e-4)


def test_the_patch_critic_is_the_published_chain_of_layers():
    def layers(n):
        def normed(c, out, stride):
            convolution = n.Conv2d(c, out, 4, stride=stride, padding=2)
            return [convolution, n.InstanceNorm2d(out), n.LeakyReLU(0.2)]

        return [
            *[n.Conv2d(3, 2, 4, stride=2, padding=2), n.LeakyReLU(0.2)],
            *[*normed(2, 4, 2), *normed(4, 8, 2), *normed(8, 16, 1)],
            n.Conv2d(16, 1, 4, padding=2),
        ]

    ours = new_critic(CriticSettings(2, "patch"))
    theirs = in_pytorch(ours, layers)
    x = noise(2, 3, 40, 48)
    import torch

    with torch.no_grad():
        expected = theirs(torch.tensor(x.numpy()) * 2 - 1).numpy()
    np.testing.assert_allclose(ours(x, x).numpy(), expected, rtol=1e-3, atol=1e-5)
    blurry = Tensor(np.zeros(x.shape, np.float32))
    np.testing.assert_array_equal(ours(blurry, x).numpy(), ours(x, x).numpy())


def test_each_number_of_the_patch_critic_sees_70_pixels():
    layers = [(4, 2), (4, 2), (4, 2), (4, 1), (4, 1)]
    convolutions = [c for c in new_critic(CriticSettings(1, "patch")).layers if hasattr(c, "how")]
    assert [(c.weight.shape[2], c.how["stride"]) for c in convolutions] == layers
    seen = 1
    for size, stride in reversed(layers):
        seen = seen * stride + size - stride
    assert seen == 70


def awaken(network):
    """Weights that let everything through: a generator that begins as the identity hides what it does."""
    rng = np.random.default_rng(5)
    for p in network.parameters():
        p.copy_(0.1 * rng.standard_normal(p.shape))


@pytest.mark.parametrize("architecture", ["unet", "resnet"])
def test_dropout_is_noise_in_training_and_nothing_in_use(architecture):
    settings = GeneratorSettings(4, 1, architecture=architecture, dropout=0.5)
    network = new_generator(settings)
    awaken(network)
    x = noise(1, 3, 16, 16)
    assert not np.array_equal(network(x).numpy(), network(x).numpy())
    network.eval()
    np.testing.assert_array_equal(network(x).numpy(), network(x).numpy())


@pytest.mark.parametrize("architecture", ["unet", "resnet"])
def test_noise_comes_in_beside_the_blurry_picture(architecture):
    network = new_generator(GeneratorSettings(2, 1, architecture=architecture, noise_channels=2))
    awaken(network)
    x, rows, columns = noise(1, 3, 16, 24), np.arange(16), np.arange(24)
    a = Tensor(fixed_noise(2, rows, columns)[None])
    b = Tensor(fixed_noise(2, rows + 5, columns)[None])
    assert network(x, a).shape == x.shape
    assert not np.array_equal(network(x, a).numpy(), network(x, b).numpy())
    with pytest.raises(ShapeError, match=r"noise has shape None; it needs \(1, 2, 16, 24\)"):
        network(x)
    with pytest.raises(ShapeError, match="takes no noise"):
        new_generator(GeneratorSettings(2, 1))(x, a)


def test_a_pixel_has_the_same_noise_in_whatever_tile_it_comes():
    whole = fixed_noise(1, np.arange(600), np.arange(300))
    tile = fixed_noise(1, np.arange(400, 500), np.arange(250, 290))
    np.testing.assert_array_equal(tile, whole[:, 400:500, 250:290])
    assert whole.std() == pytest.approx(1, abs=0.02)
