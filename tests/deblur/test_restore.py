"""Restoring in tiles: the same as restoring whole, for any size, without seams."""

import subprocess
import sys

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import no_grad
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.deblur import restore as restoring
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model
from minigan.deblur.networks import Generator, GeneratorSettings
from minigan.deblur.restore import Tiling, receptive_radius, restore, restorer, tiling_for
from minigan.devices.cpu.threads import has_help
from minigan.ops.random import manual_seed


def model(norm="none", blocks=1):
    """A generator whose weights are large enough that it changes every pixel."""
    manual_seed(3)
    settings = GeneratorSettings(width=4, blocks=blocks, norm=norm)
    generator = Generator(settings)
    rng = np.random.default_rng(0)
    generator.leave.weight.copy_(0.05 * rng.standard_normal(generator.leave.weight.shape))
    return Model(generator, settings, 32, BlurSettings(), [], LeastSquaresFilter())


def picture(*shape):
    return np.random.default_rng(1).random(shape, dtype=np.float32)


def test_tiles_give_what_the_whole_picture_gives():
    m, x = model(), picture(3, 500, 420)
    rim = 64
    padded = np.pad(x, ((0, 0), (rim, rim + 12), (rim, rim + 28)), mode="reflect")
    with no_grad():
        whole = m.generator(Tensor(padded[None])).numpy()[0, :, rim : rim + 500, rim : rim + 420]
    assert np.abs(whole - x).max() > 0.05  # the network does something
    np.testing.assert_allclose(restore(m, x), np.clip(whole, 0, 1), atol=1e-5)


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_the_receptive_radius_is_no_smaller_than_measured(blocks):
    m = model(blocks=blocks)
    size = 2 * receptive_radius(blocks) + 64
    for offset in range(4):  # where the pixel lies in the coarse grid matters
        x = Tensor(picture(1, 3, size, size)).requires_grad_()
        centre = size // 2 + offset
        with mg.exact():  # where nothing flows, Winograd's tiles hold rounding instead of zeros
            m.generator(x)[0, 0, centre, centre].backward()
        assert x.grad is not None
        touched = np.flatnonzero(np.abs(x.grad.numpy()).sum(axis=(0, 1, 3)))
        assert max(centre - touched[0], touched[-1] - centre) <= receptive_radius(blocks)


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (5, 3), (33, 65), (64, 64), (129, 200)])
def test_any_size_in_grey_and_in_colour(norm, size):
    for channels in (1, 3):
        result = restore(model(norm), picture(channels, *size))
        assert result.shape == (channels, *size)
        assert result.dtype == np.float32
        assert 0 <= result.min() <= result.max() <= 1


def test_a_grey_picture_is_restored_like_the_same_in_colour():
    m, x = model(), picture(1, 40, 50)
    colour = restore(m, np.repeat(x, 3, axis=0))
    grey = restore(m, x)
    # The mean is taken before clipping there, and after it here.
    inside = (colour > 0).all(axis=0) & (colour < 1).all(axis=0)
    np.testing.assert_allclose(grey[0][inside], colour.mean(axis=0)[inside], atol=1e-6)


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("forks", [0, 1, 1000])
def test_processes_and_threads_do_not_change_the_bits(monkeypatch, norm, forks):
    monkeypatch.setattr(restoring, "_WORTH_FORKING", forks)
    monkeypatch.setattr(restoring, "_LARGEST", 48)
    m, x = model(norm), picture(3, 130, 110)
    with workers(3) as pool:
        np.testing.assert_array_equal(restore(m, x, pool), restore(m, x))
        with restorer(m, pool) as restored:
            for again in (x, x[:, :20, :90], x[:1]):
                np.testing.assert_array_equal(restored(again), restore(m, again))


def test_the_operations_of_a_single_tile_are_shared_out(monkeypatch):
    through, helped = restoring._through, []
    monkeypatch.setattr(
        restoring, "_through", lambda *tile: helped.append(has_help()) or through(*tile)
    )
    m = model(blocks=0)
    with workers(2) as pool:
        restore(m, picture(3, 30, 30), pool)
        with restorer(m, pool) as restored:
            restored(picture(3, 30, 30))
    assert helped == [True, True]


def test_a_generator_on_a_device_stays_with_the_threads(monkeypatch):
    monkeypatch.setattr(restoring, "_WORTH_FORKING", 0)
    monkeypatch.delattr(restoring, "ForkedMap")
    m, x = model("instance", blocks=0), picture(3, 40, 20)
    expected = restore(m, x)
    m.generator.to("emulator")
    with workers(2) as pool:
        np.testing.assert_allclose(restore(m, x, pool), expected, atol=1e-5)


def test_blended_tiles_add_up_to_the_picture_where_the_network_adds_nothing():
    m, x = model("instance"), picture(3, 70, 85)
    m.generator.leave.weight.copy_(np.zeros(m.generator.leave.weight.shape))
    np.testing.assert_allclose(restore(m, x), x, atol=1e-6)


def test_with_instance_norm_tiles_are_as_large_as_training_crops():
    assert tiling_for(model("instance"), (100, 40)).kept == (32, 32)


@pytest.mark.parametrize("size", [(1, 1), (30, 320), (321, 322), (720, 1280), (1333, 2000)])
def test_without_norm_equal_tiles_cover_the_picture_with_little_waste(size):
    tiling = tiling_for(model(), size)
    for n, kept in zip(size, tiling.kept, strict=True):
        count = -(-n // kept)
        assert count == -(-n // 320)
        assert n <= count * kept < n + 4 * count


@pytest.mark.parametrize(
    "bad", [((32, 30), 0, 0), ((32, 32), 1, 0), ((64, 32), 0, 32), ((36, 36), -2, 0)]
)
def test_a_tiling_that_cannot_cover_a_picture_is_refused(bad):
    with pytest.raises(ArgumentError, match="Tiling"):
        Tiling(*bad)


def test_a_picture_of_two_channels_is_refused():
    with pytest.raises(ArgumentError, match="2 channels; it needs 1 or 3"):
        restore(model(), picture(2, 8, 8))
    with pytest.raises(ShapeError, match=r"\(C, H, W\)"):
        restore(model(), picture(8, 8))


PROGRAM = """
import resource, sys
import subprocess
import sys

import numpy as np
from minigan.core.parallel import workers
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model
from minigan.deblur.networks import Generator, GeneratorSettings
from minigan.deblur.restore import restore
settings = GeneratorSettings()
model = Model(Generator(settings), settings, 64, BlurSettings(), [], LeastSquaresFilter())
with workers(2) as pool:
    restore(model, np.zeros((3, 1333, 2000), np.float32), pool)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in kilobytes on Linux only")
def test_a_photograph_of_2000_x_1333_takes_less_than_600_megabytes():
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True
    )
    assert int(done.stdout) * 1024 < 600e6
