"""Restoring in tiles: the same as restoring whole, for any size, without seams."""

import subprocess
import sys
import weakref

import numpy as np
import pytest

import minigan as mg
from minigan.core.errors import ArgumentError, ShapeError
from minigan.core.graph import no_grad
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.deblur import restore as restoring
from minigan.deblur import tiles
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model
from minigan.deblur.networks import GeneratorSettings, fixed_noise, new_generator
from minigan.deblur.restore import restore, restorer
from minigan.deblur.tiles import Tiling, receptive_radius, tiling_for
from minigan.devices.cpu.threads import has_help
from minigan.ops.random import manual_seed


def model(norm="none", blocks=1, **others):
    """A generator whose weights are large enough that it changes every pixel."""
    manual_seed(3)
    settings = GeneratorSettings(width=4, blocks=blocks, norm=norm, **others)
    generator = new_generator(settings)
    rng = np.random.default_rng(0)
    last = generator.parameters()[-2]
    last.copy_(0.05 * rng.standard_normal(last.shape))
    if (
        settings.architecture == "resnet"
    ):  # its first weights are so small that nothing comes through
        for p in generator.parameters():
            p.copy_(5 * p.numpy())
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


@pytest.mark.parametrize(
    ("blocks", "others"),
    [
        (0, {}),
        (1, {}),
        (4, {}),
        (1, {"up": "transposed"}),
        (0, {"architecture": "resnet"}),
        (1, {"architecture": "resnet", "up": "transposed"}),
    ],
)
def test_the_receptive_radius_is_no_smaller_than_measured(blocks, others):
    m = model(blocks=blocks, **others)
    radius = receptive_radius(m.generator_settings)
    size = 2 * radius + 64
    for offset in range(4):  # where the pixel lies in the coarse grid matters
        x = Tensor(picture(1, 3, size, size)).requires_grad_()
        centre = size // 2 + offset
        with mg.exact():  # where nothing flows, Winograd's tiles hold rounding instead of zeros
            m.generator(x)[0, 0, centre, centre].backward()
        assert x.grad is not None
        touched = np.flatnonzero(np.abs(x.grad.numpy()).sum(axis=(0, 1, 3)))
        assert max(centre - touched[0], touched[-1] - centre) <= radius


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


@pytest.mark.parametrize("largest", [16, 48, 100, 1000])
def test_without_norm_the_size_of_the_tiles_changes_rounding_alone(monkeypatch, largest):
    m, x = model(), picture(3, 130, 110)
    monkeypatch.setattr(tiles, "LARGEST", largest)
    tiled = restore(m, x)
    monkeypatch.setattr(tiles, "LARGEST", 4000)
    assert np.abs(tiled - restore(m, x)).max() <= 1e-6  # measured: 3e-7


def test_with_instance_norm_the_size_of_the_tiles_changes_little_of_what_is_added():
    """Statistics of a tile are not those of another: the difference is there, and it is bounded."""
    m, x = model("instance"), picture(3, 130, 110)
    small = restore(m, x)
    m.crop = 64
    difference, change = restore(m, x) - small, small - x
    assert 0 < np.abs(difference).mean() < 0.12 * np.abs(change).mean()  # measured: 0.10


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_whole_numbers_are_restored_as_floats_are(monkeypatch, norm, dtype):
    monkeypatch.setattr(tiles, "LARGEST", 48)
    m, white = model(norm), np.iinfo(dtype).max
    whole = np.random.default_rng(2).integers(0, white, (130, 110, 3), dtype, endpoint=True)
    for x in (whole.transpose(2, 0, 1), whole[::-1, :, :1].transpose(2, 1, 0)):
        result = restore(m, x)
        assert (result.dtype, result.shape) == (dtype, x.shape)
        assert result.transpose(1, 2, 0).flags.c_contiguous  # as files have it
        expected = np.rint(restore(m, x / np.float32(white)) * np.float32(white))
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("large", [1, 4, 1000])
@pytest.mark.parametrize("count", [1, 3])
def test_many_pictures_give_what_each_gives_alone(monkeypatch, large, count):
    monkeypatch.setattr(tiles, "LARGEST", 48)
    monkeypatch.setattr(restoring, "_LARGE", large)
    m = model(blocks=0)
    sizes = [(3, 30, 30), (3, 130, 110), (1, 20, 40), (3, 40, 40), (3, 100, 100)]
    pictures = [picture(*size) for size in sizes]
    seen = []
    with workers(count) as pool, restorer(m, pool) as restored:
        assert list(restored.each([])) == []
        for _ in range(2):
            results = list(restored.each(enumerate(pictures), seen.append))
            assert [key for key, _ in results] == list(range(5))
            for x, (_, result) in zip(pictures, results, strict=True):
                np.testing.assert_array_equal(result, restore(m, x))
    assert sum(seen) == 2 * sum(h * w for _, h, w in sizes)


def test_after_a_large_picture_none_is_fetched_before_it_is_done(monkeypatch):
    monkeypatch.setattr(tiles, "LARGEST", 48)
    monkeypatch.setattr(restoring, "_LARGE", 4)
    told = []

    def pictures():
        for i in range(3):
            told.append(f"fetch {i}")
            yield i, picture(3, 100, 100)

    with workers(3) as pool, restorer(model(blocks=0), pool) as restored:
        for i, _ in restored.each(pictures()):
            told.append(f"done {i}")
    assert told == [f"{what} {i}" for i in range(3) for what in ("fetch", "done")]


def test_a_large_picture_and_its_result_go_before_the_next_is_fetched(monkeypatch):
    monkeypatch.setattr(restoring, "_LARGE", 1)
    kept: list[weakref.ref] = []

    def pictures():
        for _ in range(3):
            assert [ref() for ref in kept] == [None] * len(kept)
            fetched = picture(3, 30, 30)
            kept.append(weakref.ref(fetched))
            yield None, fetched
            del fetched

    with workers(1) as pool, restorer(model(blocks=0), pool) as restored:
        for _, result in restored.each(pictures()):
            kept.append(weakref.ref(result))
            del result
    assert len(kept) == 6


@pytest.mark.parametrize("norm", ["none", "instance"])
@pytest.mark.parametrize("forks", [0, 1, 1000])
def test_processes_and_threads_do_not_change_the_bits(monkeypatch, norm, forks):
    monkeypatch.setattr(restoring, "_WORTH_FORKING", forks)
    monkeypatch.setattr(tiles, "LARGEST", 48)
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
    for bad in (picture(8, 8), np.zeros((8, 8), np.uint8), np.zeros((3, 0, 8), np.uint16)):
        with pytest.raises(ShapeError, match=r"\(C, H, W\)"):
            restore(model(), bad)
    with pytest.raises(ArgumentError, match="int64"):
        restore(model(), np.zeros((3, 8, 8), np.int64))


PROGRAM = """
import resource, sys
import subprocess
import sys

import numpy as np
from minigan.core.parallel import workers
from minigan.deblur.blur import BlurSettings
from minigan.deblur.classical import LeastSquaresFilter
from minigan.deblur.model import Model
from minigan.deblur.networks import GeneratorSettings, UnetGenerator
from minigan.deblur.restore import restore
settings = GeneratorSettings()
model = Model(UnetGenerator(settings), settings, 64, BlurSettings(), [], LeastSquaresFilter())
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


def test_noise_belongs_to_the_place_and_not_to_the_tile():
    m = model(noise_channels=2)
    x = picture(3, 400, 360)
    rows, columns = (np.arange(n) for n in x.shape[1:])
    noise = fixed_noise(2, rows, columns)
    with no_grad():
        whole = m.generator(Tensor(x[None]), Tensor(noise[None])).numpy()[0]
    tiled = restore(m, x)
    inner = np.s_[:, 40:-40, 40:-40]  # at the borders, tiles are mirrored
    np.testing.assert_allclose(tiled[inner], np.clip(whole, 0, 1)[inner], atol=1e-5)
    shared = []
    for threads in (1, 2):
        with workers(threads) as pool:
            shared.append(restore(m, x, pool))
    np.testing.assert_array_equal(*shared)
