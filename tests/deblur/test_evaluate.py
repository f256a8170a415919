"""The table: the same pairs for all, figures for each picture, and methods that lack their kernel."""

import csv
import math

import pytest

from minigan.core.errors import ArgumentError, OutputPathError
from minigan.deblur import metrics
from minigan.deblur.blur import BlurSettings, quantize
from minigan.deblur.evaluate import Method, evaluate, measured, table, write_csv
from minigan.deblur.pairs import Pair, unseen_pairs
from minigan.deblur.tasks import INPUTS

BLURRY = INPUTS["deblur"]

METHODS = [
    Method(BLURRY, lambda blurry, kernel: blurry),
    Method("told", lambda blurry, kernel: blurry * kernel.sum(), knows_kernel=True),
    Method("darker", lambda blurry, kernel: 0.9 * blurry),
]


@pytest.fixture
def pairs(photographs):
    return unseen_pairs(photographs, BlurSettings(exposure=1.0), 32, each=2)


def without_kernel(pair):
    return Pair(pair.name, pair.blurry, pair.sharp, None)


def test_rows_sum_up_what_single_pairs_give(pairs):
    row = evaluate(METHODS, pairs)[2]
    results = [quantize(0.9 * p.blurry) for p in pairs]
    figures = [metrics.psnr(r, p.sharp) for r, p in zip(results, pairs, strict=True)]
    before = [metrics.psnr(p.blurry, p.sharp) for p in pairs]
    assert row.psnr == metrics.summarise(figures, before)
    gmsd = [metrics.gmsd(r, p.sharp) for r, p in zip(results, pairs, strict=True)]
    assert row.gmsd == metrics.summarise(gmsd)


def test_pairs_are_taken_one_after_the_other(pairs):
    taken = []

    def one_by_one():
        for pair in pairs:
            taken.append(pair.name)
            yield pair

    figures = measured(METHODS, one_by_one())
    assert next(figures).picture == pairs[0].name
    assert taken == [pairs[0].name]


def test_methods_without_their_kernel_are_left_out(pairs):
    rows = evaluate(METHODS, map(without_kernel, pairs))
    assert [row.name for row in rows] == [BLURRY, "darker"]
    some = [pairs[0], *map(without_kernel, pairs[1:])]
    assert [row.name for row in evaluate(METHODS, some)] == [BLURRY, "darker"]
    counts = {f.method: 0 for f in measured(METHODS, some)}
    assert counts.keys() == {
        BLURRY,
        "told",
        "darker",
    }  # in the figures of single pictures, it is there


def test_no_pairs_make_no_table():
    assert table([]) == []
    assert evaluate(METHODS, []) == []


def test_the_csv_has_a_line_for_each_picture_and_method(pairs, tmp_path):
    sharp = pairs[0].sharp
    same = Pair('odd, "name"', sharp, sharp, None)
    figures = list(measured(METHODS, [pairs[0], same]))
    write_csv(tmp_path / "a.csv", figures)
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    assert [line["method"] for line in lines] == [BLURRY, "told", "darker", BLURRY, "darker"]
    assert lines[3]["picture"] == 'odd, "name"'
    assert float(lines[3]["psnr"]) == math.inf
    assert [line["made_worse"] for line in lines[3:]] == ["False", "True"]
    for line, figure in zip(lines, figures, strict=True):
        assert float(line["ssim"]) == figure.ssim
        assert float(line["blurry_psnr"]) == figure.blurry_psnr


def test_a_csv_that_cannot_be_written(tmp_path):
    with pytest.raises(OutputPathError):
        write_csv(tmp_path / "none" / "a.csv", [])


def test_summaries_need_figures():
    with pytest.raises(ArgumentError):
        metrics.summarise([])
