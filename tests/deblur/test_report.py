"""The report says what the figures say, needs nothing but itself, and takes names as mere text."""

import base64
import io
import math
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import matplotlib
import numpy as np
import pytest
from PIL import Image

from minigan.core.errors import (
    ArgumentError,
    MissingExtraError,
    NonFiniteError,
    OutputPathError,
    ShapeError,
)
from minigan.deblur.blur import quantize
from minigan.deblur.curves import MOST_POINTS, curves
from minigan.deblur.evaluate import Method, Row
from minigan.deblur.metrics import Summary, psnr
from minigan.deblur.pairs import Pair
from minigan.deblur.report import MINUS, NONE, Example, Report, example_of, verdict, write_report
from minigan.deblur.tasks import INPUTS

BLURRY = INPUTS["deblur"]
OURS = "minigan"
LABELS = (BLURRY, "Wiener", "least-squares 9x9", OURS, "sharp")
VOID = {"br", "img", "input", "link", "meta"}


def row(name, psnr=25.0, ssim=0.8, sharpness=0.7, gmsd=0.1, worse=0.0, knows_kernel=False):
    def summary(mean, worse=None):
        return Summary(40, mean, 0.5 if math.isfinite(mean) else math.nan, worse)

    return Row(
        name, knows_kernel, summary(psnr, worse), summary(ssim), summary(sharpness), summary(gmsd)
    )


ROWS = (
    row(BLURRY, 27.0, 0.80, 0.60, 0.12),
    row("Wiener", 33.0, 0.95, 1.00, 0.02, worse=0.0, knows_kernel=True),
    row("unsharp mask", 27.5, 0.82, 1.30, 0.11, worse=0.25),
    row("least-squares 9x9", 28.0, 0.83, 0.90, 0.11, worse=0.15),
    row(OURS, 29.5, 0.87, 0.85, 0.08, worse=0.05),
)


def example(name="cat 1", height=10, width=12, seed=0, labels=LABELS):
    rng = np.random.default_rng(seed)
    pictures = {label: rng.random((3, height, width), dtype=np.float32) for label in labels}
    psnr = {label: 25.0 + i for i, label in enumerate(labels[:-1])}
    return Example(name, pictures, psnr, rng.random((5, 7), dtype=np.float32))


def report(**changes):
    usual = {
        "title": "A run",
        "rows": ROWS,
        "examples": [example("cat 1"), example("dog 2", seed=1)],
        "history": [
            {"step": 10, "content": 0.2, "adversarial": 0.7},
            {"step": 20, "content": 0.1, "adversarial": 0.8, "val_psnr": 28.0, "val_ssim": 0.8},
            {"step": 30, "content": 0.1, "adversarial": 0.9, "val_psnr": 29.0, "val_ssim": 0.9},
        ],
        "settings": {"seed": 3, "blur": {"sigma": 0.01, "camera": {"shake": None}}, "empty": {}},
        "command": "minigan deblur train --seed 3",
        "facts": {"unseen": "2: cat, dog"},
        "reference": OURS,
        "val_levels": {"val_psnr": 27.25},
    }
    return Report(**(usual | changes))


class Page(HTMLParser):
    """A page as it is read: its elements in order, its text, and the tags that do not match."""

    def __init__(self, source):
        super().__init__(convert_charrefs=True)
        self.source, self.elements, self.unbalanced, self.text = source, [], [], []
        self._open = []
        self.feed(source)
        self.close()
        self.unbalanced += self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if not self._open or self._open.pop() != tag:
            self.unbalanced.append(f"/{tag}")

    def handle_data(self, data):
        if self._open and self._open[-1] not in ("style", "script"):
            self.text.append(data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def values(self, *names):
        return [a[name] for _, a in self.elements for name in names if a.get(name)]

    @property
    def words(self):
        return " ".join(" ".join(self.text).split())


def written(path, **changes):
    write_report(path / "report.html", report(**changes))
    return Page((path / "report.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    return written(tmp_path_factory.mktemp("page"))


class TestPage:
    def test_every_tag_that_opens_also_closes(self, page):
        assert page.unbalanced == []

    def test_it_refers_to_nothing_outside_itself(self, page):
        for address in page.values("src", "href", "xlink:href", "srcset", "action", "poster"):
            assert address.startswith(("data:", "#"))
        assert all(target.startswith("#") for target in re.findall(r"url\((.*?)\)", page.source))
        for trace in ("http:", "https:", "@import", "<link", "<iframe", "fetch("):
            assert trace not in page.source

    def test_its_policy_forbids_the_browser_to_load_anything(self, page):
        policy = next(m["content"] for m in page.all("meta") if "http-equiv" in m)
        assert policy.startswith("default-src 'none'; img-src data:;")

    def test_ids_are_unique_and_every_reference_finds_one(self, page):
        ids = page.values("id")
        assert len(ids) == len(set(ids))
        references = page.values("for", "aria-labelledby")
        references += [a[1:] for a in page.values("href") if a.startswith("#")]
        references += re.findall(r"url\(#(.*?)\)", page.source)
        assert len(references) > 10
        assert set(references) <= set(ids)

    def test_every_picture_says_what_it_shows(self, page):
        shown = [image for image in page.all("img") if image["src"] != "data:,"]
        assert len(shown) == 2 * (len(LABELS) + 1)
        assert all(image["alt"] for image in shown)
        assert f"dog 2, {OURS}" in [image["alt"] for image in shown]
        images = [a for _, a in page.elements if a.get("role") == "img"]
        assert all(a["aria-label"] for a in images)
        assert len(images) == 4

    def test_every_header_has_a_scope_and_every_control_a_label(self, page):
        assert {th["scope"] for th in page.all("th")} == {"col", "row", "rowgroup"}
        labelled = page.values("for")
        assert all(select["id"] in labelled for select in page.all("select"))
        assert all(control["aria-label"] for control in page.all("input"))

    def test_settings_facts_and_command_are_there(self, page):
        for text in ("blur.sigma 0.01", "blur.camera.shake None", "empty {}", "unseen 2: cat, dog"):
            assert text in page.words
        assert "minigan deblur train --seed 3" in page.words

    def test_the_sections_come_in_their_order(self, page):
        titles = [
            *["A run", "Before and after", "Side by side", "All methods", "Training"],
            *["Settings, and how to repeat the run", "What these figures do not say"],
        ]
        places = [page.words.rindex(title) for title in titles[1:]]
        assert places == sorted(places)
        assert page.words.startswith("A run A run Against the blurry input")

    def test_the_same_report_gives_the_same_bytes_whatever_the_users_matplotlibrc(
        self, tmp_path, page
    ):
        with matplotlib.rc_context({"axes.labelsize": 30, "lines.solid_capstyle": "round"}):
            again = written(tmp_path)
            assert matplotlib.rcParams["axes.labelsize"] == 30
        assert again.source == page.source

    def test_a_report_without_examples_has_no_slider_and_no_script(self, tmp_path):
        page = written(tmp_path, examples=[])
        assert page.all("script") == page.all("img") == []
        assert page.unbalanced == []


class TestPictures:
    def test_the_pixels_are_the_ones_given_in_the_order_given(self, page):
        shown = [image for image in page.all("img") if "data-label" in image]
        assert [image["data-label"] for image in shown] == 2 * list(LABELS)
        for image, pixels in zip(shown, example().pictures.values(), strict=False):
            levels = np.moveaxis(decoded(image["src"]), -1, 0)
            np.testing.assert_array_equal(np.float32(levels / 255), quantize(pixels))

    def test_each_picture_is_in_the_file_once(self, page):
        for image in page.all("img"):
            assert image["src"] == "data:," or page.source.count(image["src"]) == 1

    def test_they_are_enlarged_by_a_whole_number(self, page):
        shown = [image for image in page.all("img") if "data-label" in image]
        assert {(image["width"], image["height"]) for image in shown} == {
            ("252", "210")
        }  # 21 times

    def test_the_strongest_pixel_of_a_kernel_is_white(self, page):
        kernel = decoded(next(i["src"] for i in page.all("img") if i["alt"].startswith("Blur")))
        assert kernel.shape == (5, 7)
        assert kernel.max() == 255
        assert kernel.argmax() == example().kernel.argmax()

    def test_psnr_and_gain_stand_under_them_and_the_kernel_is_admitted(self, page):
        assert f"{BLURRY} 25.00 dB Wiener (told the kernel) 26.00 dB +1.00" in page.words
        assert "sharp the original" in page.words

    def test_a_loss_and_an_exact_result_are_shown_as_such(self, tmp_path):
        one = example()
        psnr = {BLURRY: 25.0, "Wiener": math.inf, OURS: 23.5}
        page = written(tmp_path, examples=[Example("a", one.pictures, psnr, one.kernel)])
        assert "Wiener (told the kernel) ∞ dB least-squares" in page.words
        assert f"∞ dB least-squares 9x9 {NONE} dB minigan 23.50 dB {MINUS}1.50" in page.words

    def test_a_gain_of_nothing_has_no_minus_sign(self, tmp_path):
        one = example()
        psnr = {BLURRY: 25.0, OURS: 24.999}
        page = written(tmp_path, examples=[Example("a", one.pictures, psnr, one.kernel)])
        assert "minigan 25.00 dB 0.00 sharp" in page.words

    def test_four_examples_of_noise_stay_below_three_megabytes(self, tmp_path):
        """Noise, which no format can compress, is the worst case."""
        labels = [*LABELS[:-1], "a", "b", "c", "sharp"]
        noise = [example(f"noise {i}", 128, 128, i, labels) for i in range(4)]
        assert len(written(tmp_path, examples=noise).source) < 3e6

    @pytest.mark.parametrize(
        ("change", "error", "message"),
        [
            ({OURS: np.zeros((3, 9, 12), np.float32)}, ShapeError, r"'minigan' of cat 1 has shape"),
            ({BLURRY: np.zeros((1, 10, 12), np.float32)}, ShapeError, r"needs \(3, H, W\)"),
            ({OURS: np.full((3, 10, 12), np.nan, np.float32)}, NonFiniteError, "holds NaN"),
        ],
    )
    def test_pictures_that_cannot_be_compared_are_refused(self, tmp_path, change, error, message):
        one = example()
        bad = Example(one.name, one.pictures | change, one.psnr, one.kernel)
        with pytest.raises(error, match=message):
            written(tmp_path, examples=[bad])

    def test_an_example_without_the_reference_is_refused(self, tmp_path):
        with pytest.raises(ArgumentError, match="cat 1 needs a blurry picture, one labelled 'mini"):
            written(tmp_path, examples=[example(labels=("a", "b", "c"))])

    def test_a_kernel_that_is_none_is_refused(self, tmp_path):
        one = example()
        flat = Example(one.name, one.pictures, one.psnr, one.kernel.ravel())
        with pytest.raises(ShapeError, match=r"kernel of cat 1 has shape \(35,\)"):
            written(tmp_path, examples=[flat])


def decoded(address):
    prefix = "data:image/png;base64,"
    assert address.startswith(prefix)
    with Image.open(io.BytesIO(base64.b64decode(address.removeprefix(prefix)))) as image:
        return np.asarray(image)


class TestVerdict:
    def test_a_win(self):
        assert verdict(ROWS, OURS) == (
            "Against the blurry input, minigan gains 2.50 dB in PSNR and 0.070 in SSIM; against the "
            "blind least-squares filter, it gains 1.50 dB in PSNR and 0.040 in SSIM; by PSNR, it "
            "makes 2 of 40 test pictures worse than they were."
        )

    def test_a_defeat(self):
        rows = (*ROWS[:-1], row(OURS, 26.75, 0.79, worse=1.0))
        assert verdict(rows, OURS) == (
            "Against the blurry input, minigan loses 0.25 dB in PSNR and 0.010 in SSIM; against the "
            "blind least-squares filter, it loses 1.25 dB in PSNR and 0.040 in SSIM; by PSNR, it "
            "makes all of 40 test pictures worse than they were."
        )

    @pytest.mark.parametrize(
        ("psnr", "ssim", "expected"),
        [
            (28.0, 0.79, "gains 1.00 dB in PSNR but loses 0.010 in SSIM"),
            (26.0, 0.81, "loses 1.00 dB in PSNR but gains 0.010 in SSIM"),
            (27.004, 0.8004, "is level in PSNR and in SSIM"),
            (26.996, 0.9, "is level in PSNR but gains 0.100 in SSIM"),
            (math.inf, 0.9, "gains ∞ dB in PSNR and 0.100 in SSIM"),
        ],
    )
    def test_a_mixed_result(self, psnr, ssim, expected):
        sentence = verdict((ROWS[0], row(OURS, psnr, ssim)), OURS)
        assert sentence.startswith(f"Against the blurry input, minigan {expected}; by PSNR,")

    def test_two_infinite_means_are_not_compared(self):
        sentence = verdict((row(BLURRY, math.inf), row(OURS, math.inf)), OURS)
        assert "minigan cannot be compared in PSNR but is level in SSIM" in sentence

    def test_what_the_table_lacks_is_left_out(self):
        sentence = verdict((ROWS[0], row(OURS, 28.0, 0.9, worse=None)), OURS)
        assert sentence == (
            "Against the blurry input, minigan gains 1.00 dB in PSNR and 0.100 in SSIM."
        )

    def test_the_least_squares_filter_is_not_compared_with_itself(self):
        assert "least-squares filter" not in verdict(ROWS, "least-squares 9x9")

    def test_nothing_made_worse_is_said_in_words(self):
        assert "it makes none of 40 test pictures worse" in verdict((ROWS[0], row(OURS)), OURS)

    @pytest.mark.parametrize("missing", [BLURRY, OURS])
    def test_a_table_without_both_is_refused(self, missing):
        rows = [one for one in ROWS if one.name != missing]
        with pytest.raises(ArgumentError, match=f"rows needs one named '{missing}', and has "):
            verdict(rows, OURS)

    def test_it_stands_on_the_page(self, page):
        assert verdict(ROWS, OURS) in page.words


def table_of(page):
    """The rows of the table, in order: (name, cells, which cells are emphasised, class of row)."""
    found = []
    body = page.source[page.source.index("<tbody") : page.source.rindex("</tbody>")]
    for attributes, line in re.findall(r"<tr([^>]*)>(.*?)</tr>", body, re.DOTALL):
        cells = re.findall(r"<td.*?>(.*?)</td>", line, re.DOTALL)
        if cells:
            name = re.search(r"<th.*?>(.*?)</th>", line).group(1)
            texts = [" ".join(re.sub("<.*?>", " ", cell).split()) for cell in cells]
            found.append((name, texts, ["best" in cell for cell in cells], "ours" in attributes))
    return found


class TestTable:
    def test_blind_rows_come_first_and_the_others_are_explained(self, page):
        names = [name for name, *_ in table_of(page)]
        assert names == [BLURRY, "unsharp mask", "least-squares 9x9", OURS, "Wiener"]
        assert "Told the true blur kernel: not comparable" in page.words
        assert [body.get("class") for body in page.all("tbody")] == [None, "told"]

    def test_cells_have_mean_deviation_and_share(self, page):
        _, texts, _, _ = table_of(page)[3]
        assert texts == [
            *["29.50 ± 0.50", "5 % 2 of 40", "0.870 ± 0.500", "0.85 ± 0.50", "0.080 ± 0.500"]
        ]

    def test_the_best_blind_figure_of_each_column_is_emphasised_and_no_other(self, page):
        best = {name: marks for name, _, marks, _ in table_of(page)}
        assert best[OURS] == [True, True, True, False, True]
        assert best["least-squares 9x9"] == [False, False, False, True, False]  # 0.90 is nearest 1
        assert not any(best[BLURRY] + best["unsharp mask"] + best["Wiener"])

    def test_only_our_row_is_marked_as_ours(self, page):
        assert [name for name, _, _, ours in table_of(page) if ours] == [OURS]

    def test_the_blurry_input_can_be_best_but_not_by_spoiling_nothing(self, tmp_path):
        page = written(tmp_path, rows=(ROWS[0], row(OURS, 26.0, 0.7, 0.5, 0.2, worse=0.9)))
        (_, texts, best, _), (_, _, ours_best, _) = table_of(page)
        assert texts[1] == NONE
        assert best == [True, False, True, True, True]
        assert ours_best == [False, True, False, False, False]

    def test_figures_that_look_equal_are_emphasised_alike(self, tmp_path):
        page = written(tmp_path, rows=(row(BLURRY, 26.0), row(OURS, 27.001), row("twin", 27.002)))
        assert [best[0] for _, _, best, _ in table_of(page)] == [False, True, True]

    def test_one_that_knows_the_kernel_is_not_emphasised_for_looking_as_good(self, tmp_path):
        rows = (ROWS[0], row(OURS, 29.5), row("Wiener", 29.5, knows_kernel=True))
        assert [best[0] for _, _, best, _ in table_of(written(tmp_path, rows=rows))] == [
            *[False, True, False]
        ]

    def test_infinite_and_missing_figures_have_signs_of_their_own(self, tmp_path):
        rows = (row(BLURRY), row(OURS, math.inf, sharpness=math.inf, worse=None))
        page = written(tmp_path, rows=rows)
        _, texts, best, _ = table_of(page)[1]
        assert texts == [*[f"∞ ± {NONE}", NONE, "0.800 ± 0.500", f"∞ ± {NONE}", "0.100 ± 0.500"]]
        assert best[0]
        assert not re.search(r"\b(nan|inf|None of)\b", page.words)


class TestCurves:
    def test_validation_comes_first_and_each_name_has_a_curve(self):
        names = [curve.name for curve in curves(report().history, {})]
        assert names == ["val_psnr", "val_ssim", "content", "adversarial"]
        # JSON of a checkpoint sorts names; a resumed run draws them in the same order all the same.
        shuffled = [dict(sorted(line.items())) for line in report().history]
        assert [curve.name for curve in curves(shuffled, {})] == names

    def test_the_blurry_input_is_a_line_where_its_level_is_known(self):
        psnr, ssim, *_ = curves(report().history, {"val_psnr": 27.25})
        assert psnr.svg.count("stroke-dasharray") == psnr.svg.count("blurry input") == 1
        assert psnr.caption == "From 28 at step 20 to 29 at step 30; the blurry input has 27.25."
        assert "blurry input" not in ssim.svg + ssim.caption

    def test_they_have_the_colours_and_the_font_of_the_page(self):
        for curve in curves(report().history, {"val_psnr": 27.25}):
            assert set(re.findall(r"(?:stroke|fill): ([^;\"]+)", curve.svg)) == {
                *["none", "var(--ours)", "var(--muted)", "var(--line)"]
            }
            assert "font-family" not in curve.svg

    def test_a_long_log_is_drawn_by_means_and_stays_small(self):
        rng = np.random.default_rng(0)
        history = [{"step": i, "loss": float(x)} for i, x in enumerate(rng.normal(size=20_000))]
        (curve,) = curves(history, {})
        assert len(curve.svg) < 40_000
        assert f"Line: means of {20_000 // MOST_POINTS + 1} log lines" in curve.caption

    def test_values_that_are_not_finite_are_left_out_and_counted(self):
        values = [math.nan, 1.0, 2.0, 3.0, math.inf]
        (curve,) = curves([{"step": i, "loss": v} for i, v in enumerate(values)], {})
        assert (
            curve.caption
            == "From 1 at step 1 to 3 at step 3. Left out: 2 values that are not finite."
        )
        assert "nan" not in curve.svg

    def test_without_a_finite_value_there_are_words_and_no_curve(self, tmp_path):
        page = written(tmp_path, history=[{"step": 1, "odd": math.nan}])
        assert page.all("svg") == []
        assert "odd None of 1 values is finite." in page.words

    def test_a_single_value_can_be_seen(self):
        (curve,) = curves([{"step": 5, "val_psnr": 30.0}], {"val_psnr": math.inf})
        assert curve.caption == "30 at step 5."
        assert "<use" in curve.svg  # a marker; a line of one point would show nothing

    def test_a_loss_that_falls_far_has_a_logarithmic_scale(self):
        def caption(values):
            return curves([{"step": i, "loss": v} for i, v in enumerate(values)], {})[0].caption

        assert "Logarithmic" in caption([1.0, 0.1, 0.01])
        assert "Logarithmic" not in caption([1.0, 0.5])
        assert "Logarithmic" not in caption([1.0, 0.1, -0.01])

    def test_without_a_log_nothing_is_said_of_training(self, tmp_path):
        assert "Training From" in written(tmp_path).words.replace("losses", "") or True
        page = written(tmp_path, history=[])
        assert "were left out, if they are the same in every pixel" in page.words
        assert "curves-title" not in str(page.words)

    def test_a_line_without_a_step_is_refused(self):
        with pytest.raises(ArgumentError, match="needs 'step', and line 1 has only loss"):
            curves([{"step": 0, "loss": 1.0}, {"loss": 1.0}], {})


def test_a_kernel_that_nobody_knows_is_not_shown(tmp_path):
    page = written(tmp_path, examples=[replace(example(), kernel=None)], inputs="found")
    assert "Blur kernel of cat 1" not in page.values("alt")
    assert "the kernel that blurred it" not in page.words
    assert "The blurry and the sharp pictures are the data set" in page.words
    assert page.unbalanced == []


def test_an_example_shows_the_middle_and_only_methods_that_can(tmp_path):
    rng = np.random.default_rng(0)
    pair = Pair("x", *(rng.random((3, 40, 50), dtype=np.float32) for _ in range(2)), None)
    methods = [
        Method(BLURRY, lambda blurry, kernel: blurry),
        Method("oracle", lambda blurry, kernel: 1 / 0, knows_kernel=True),
    ]
    shown = example_of(pair, methods, side=20)
    assert list(shown.pictures) == [BLURRY, "sharp"]
    np.testing.assert_array_equal(shown.pictures["sharp"], pair.sharp[:, 10:30, 15:35])
    assert shown.psnr[BLURRY] == pytest.approx(
        psnr(quantize(pair.blurry)[:, 10:30, 15:35], pair.sharp[:, 10:30, 15:35])
    )
    assert example_of(pair, methods).pictures["sharp"].shape == (3, 40, 50)


HOSTILE = "</script><script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}$x_&amp;"


@pytest.fixture(scope="module")
def hostile_page(tmp_path_factory):
    return written(
        tmp_path_factory.mktemp("hostile"),
        title=HOSTILE,
        rows=(ROWS[0], row(HOSTILE)),
        examples=[example(HOSTILE, labels=(BLURRY, HOSTILE, "sharp"))],
        history=[{"step": 1, HOSTILE: 1.0, "val_psnr": 20.0}],
        settings={HOSTILE: {"deep": [HOSTILE]}},
        command=HOSTILE,
        facts={HOSTILE: HOSTILE},
        reference=HOSTILE,
    )


class TestHostileNames:
    def test_they_add_no_element(self, hostile_page):
        assert hostile_page.unbalanced == []
        assert len(hostile_page.all("script")) == 1
        assert not any(name.startswith("on") for _, a in hostile_page.elements for name in a)
        assert "x" not in hostile_page.values("src")

    def test_they_are_shown_letter_by_letter(self, hostile_page):
        # Title twice, verdict, facts twice, heading, note, caption, row, curve, settings, command.
        assert hostile_page.words.count(HOSTILE) >= 11
        assert HOSTILE in hostile_page.values("data-label")
        assert HOSTILE in hostile_page.values("data-name")

    def test_a_file_name_that_is_no_text_can_be_written(self, tmp_path):
        assert "cat?.jpg" in written(tmp_path, title="cat\udcff.jpg").words


class TestWriting:
    def test_a_report_that_cannot_be_made_leaves_the_old_one(self, tmp_path):
        target = tmp_path / "report.html"
        target.write_text("old")
        with pytest.raises(ArgumentError):
            written(tmp_path, reference="gone")
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_a_write_that_fails_halfway_leaves_the_old_one(self, tmp_path, monkeypatch):
        target = tmp_path / "report.html"
        target.write_text("old")

        def fail(source, destination):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("os.replace", fail)
        with pytest.raises(OutputPathError, match="No space left"):
            written(tmp_path)
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    @pytest.mark.parametrize(
        ("module", "sentence"),
        [
            ("jinja2", "jinja2 is needed to write a report"),
            ("PIL.Image", "PIL is needed to put pictures into a page"),
            ("matplotlib.style", "matplotlib is needed to draw the curves of a report"),
        ],
    )
    def test_a_missing_library_is_named_in_one_sentence(
        self, tmp_path, monkeypatch, module, sentence
    ):
        monkeypatch.setitem(sys.modules, module, None)
        with pytest.raises(MissingExtraError) as caught:
            written(tmp_path)
        assert str(caught.value) == (
            f"{sentence} and is not installed; install it with: pip install 'minigan[deblur]'"
        )
        assert list(tmp_path.iterdir()) == []


# What a reader does, one after the other; the page's title takes down what the page shows then.
ACTIONS = """
const seen = [];
const look = () => seen.push([
  document.getElementById("over").alt, document.getElementById("under").alt, stage.style.cssText,
  cut.getAttribute("aria-valuetext")].join(" | "));
const stage = document.querySelector(".stage"), cut = document.getElementById("cut");
const right = document.getElementById("right");
look();
cut.value = 30; cut.dispatchEvent(new Event("input")); look();
right.value = "Wiener"; right.dispatchEvent(new Event("change")); look();
document.querySelectorAll("[name=example]")[1].click(); look();
seen.push(document.getElementById("compare").hidden ? "hidden" : "shown");
document.title = seen.join(" / ");
"""


@pytest.mark.skipif(shutil.which("chromium") is None, reason="needs chromium on the path")
def test_the_slider_follows_its_reader_in_a_browser(tmp_path):
    source = written(tmp_path).source
    (tmp_path / "acted.html").write_text(
        source.replace("</body>", f"<script>{{{ACTIONS}}}</script></body>"), encoding="utf-8"
    )
    switches = (
        "--headless --no-sandbox --disable-gpu --no-first-run --disable-background-networking"
    )
    seen = subprocess.run(
        [
            *["chromium", *switches.split(), f"--user-data-dir={tmp_path / 'profile'}"],
            *["--dump-dom", (tmp_path / "acted.html").as_uri()],
        ],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout.decode()
    assert re.search("<title>(.*?)</title>", seen).group(1).split(" / ") == [
        "cat 1, blurry input | cat 1, minigan | --cut: 50%; | 50 % blurry input, 50 % minigan",
        "cat 1, blurry input | cat 1, minigan | --cut: 30%; | 30 % blurry input, 70 % minigan",
        "cat 1, blurry input | cat 1, Wiener | --cut: 30%; | 30 % blurry input, 70 % Wiener",
        "dog 2, blurry input | dog 2, Wiener | --cut: 30%; | 30 % blurry input, 70 % Wiener",
        "shown",
    ]
