"""The cache of decoded pictures: what it keeps, and that it never keeps more than it may."""

import numpy as np
import pytest

from minigan.deblur.stored import PixelCache


def made(value, size=10):
    return lambda: np.full(size, value, np.uint8)


def test_what_was_used_last_stays_and_the_limit_holds():
    cache = PixelCache(limit=30)
    for key in (1, 2, 3, 1, 4):  # 2 was not used for the longest time
        cache.get(key, made(key))
    assert cache.used == 30
    for key in (1, 3, 4):
        assert cache.get(key, lambda: pytest.fail("decoded again"))[0] == key
    assert cache.get(2, made(20))[0] == 20


def test_what_is_larger_than_all_room_is_not_kept_and_pushes_nothing_out():
    cache = PixelCache(limit=30)
    cache.get(1, made(1))
    assert len(cache.get(2, made(2, size=31))) == 31
    assert cache.used == 10
    assert cache.get(1, lambda: pytest.fail("decoded again"))[0] == 1


def test_an_error_leaves_it_as_it_was():
    cache = PixelCache(limit=30)
    with pytest.raises(ZeroDivisionError):
        cache.get(1, lambda: 1 / 0)
    assert cache.get(1, made(5))[0] == 5
