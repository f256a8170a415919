"""The picture of before and after."""

import numpy as np
import pytest

from minigan.deblur import compare
from minigan.deblur.compare import comparison
from minigan.images import Levels


def pair(height, width, channels=3, dtype=np.uint8):
    """A grey field and the same with a square of stripes at rows 40 to 60, columns 136 to 152."""
    white = np.iinfo(dtype).max
    before = np.full((height, width, channels), white // 2, dtype)
    after = before.copy()
    after[40:60, 136:152:2] = white
    return Levels(before, None, b"profile"), Levels(after)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_small_pictures_stand_side_by_side_as_they_are(channels, dtype):
    before, after = pair(80, 160, channels, dtype)
    sheet = comparison(before, after)
    assert sheet.values.shape == (28 + 80 + 8, 3 * 8 + 2 * 160, channels)
    assert sheet.values.dtype == np.uint8
    assert sheet.profile == b"profile"
    for left, levels in ((8, before), (176, after)):
        shown = sheet.values[28:108, left : left + 160]
        np.testing.assert_array_equal(shown, levels.values // (257 if dtype == np.uint16 else 1))
        caption = sheet.values[:28, left : left + 60]
        assert caption.min() < 128  # something is written there


def test_of_large_pictures_the_place_with_detail_is_shown_at_full_size(monkeypatch):
    monkeypatch.setattr(compare, "SIDE", 100)
    before, after = pair(300, 160)
    sheet = comparison(before, after).values
    assert sheet.shape == (28 + 100 + 8 + 75 + 8, 3 * 8 + 2 * 53, 3)
    small, large = sheet[28:128], sheet[136:211]
    np.testing.assert_array_equal(small[:, 8:61], np.full((100, 53, 3), 127))
    detail = large[:, 69:122]
    assert (detail == 255).sum() == 20 * 8 * 3  # every pixel of it, unscaled
    assert (large[:, 8:61] == 127).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 5000), (5000, 1), (3, 900), (801, 801), (1700, 900)])
def test_any_size(size):
    values = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    sheet = comparison(Levels(values), Levels(values[::-1])).values
    assert max(sheet.shape[1] // 2, sheet.shape[0]) < 6000
