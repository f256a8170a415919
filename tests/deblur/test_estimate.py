"""What restoring will take."""

import sys

import pytest
from mutate_pictures import model as save_smallest

from minigan.deblur import estimate as estimating
from minigan.deblur.estimate import estimate
from minigan.deblur.model import load_model
from minigan.deblur.tiles import tiles_of
from minigan.images import Header


def test_twice_the_pixels_take_twice_the_time(tmp_path, monkeypatch):
    save_smallest(tmp_path / "model")
    model = load_model(tmp_path / "model")
    monkeypatch.setattr(estimating.time, "perf_counter", iter([0.0, 2.0] * 3).__next__)
    small, large = Header("JPEG", 320, 320, 3, 8), Header("JPEG", 640, 640, 3, 8)
    one = estimate(model, [small], 1)
    assert one.seconds == 2.0  # it is a single tile, the one that was measured
    assert tiles_of(model, (640, 640))[0] == 4
    assert estimate(model, [large], 1).seconds == pytest.approx(8.0)
    assert estimate(model, [large, small, small], 2).seconds == pytest.approx(6.0)


def test_memory_grows_with_the_largest_picture(tmp_path):
    save_smallest(tmp_path / "model")
    model = load_model(tmp_path / "model")
    small, large = Header("PNG", 100, 100, 3, 16), Header("PNG", 5000, 4000, 3, 16)
    few, many = (estimate(model, pictures, 2).megabytes for pictures in ([small], [small, large]))
    if sys.platform != "linux":
        assert few is many is None
    else:
        assert few is not None
        assert many is not None
        assert 200 < many - few < 600  # 120 MB of pixels, a few times
