"""The page of a film, in a browser."""

import json
from dataclasses import replace

import numpy as np
import pytest
from browsing import browser_page, needs_browser, until

from minigan.core.errors import ArgumentError, ShapeError
from minigan.gan.health import Variety
from minigan.gan.pages.course import keep_moment, moments, pushed, write_course
from minigan.gan.pages.dynamics import columns, write_film, write_trajectory
from minigan.gan.toys.film import Notice, filmed
from minigan.gan.toys.game import ToyGame, ToySettings
from minigan.gan.toys.mixtures import ring
from minigan.gan.toys.trajectory import Trajectory
from minigan.images import read_image


@pytest.fixture(scope="module")
def film():
    game = ToyGame(ToySettings(batch=16, width=8), ring().sample)
    found = filmed(game, ring(), steps=40, every=10)
    return replace(found, notices=[Notice(20, "collapse", "all on one <heap>")])


@needs_browser
def test_moments_figures_and_notices_are_those_of_the_film(film, tmp_path):
    write_film(film, ring(), tmp_path / "p.html", "A ring", "forty steps")
    with browser_page() as page:
        page.goto((tmp_path / "p.html").as_uri())
        for i, frame in enumerate(film.frames):
            assert page.locator("#where").inner_text() == f"step {frame.step}"
            assert frame.covered is not None
            modes = page.locator("[data-figure='modes'] b").inner_text()
            assert modes == f"{frame.covered.modes} of 8"
            shown = page.evaluate("Array.from(floatsOf(frames[moment].points))")
            assert shown == pytest.approx(frame.points.reshape(-1).tolist())
            later = page.locator("#notices li.later").count()
            assert later == (frame.step < 20)
            if i:
                loss = page.locator('[data-figure="D\'s loss"] b').inner_text()
                assert float(loss) == pytest.approx(film.reports[frame.step - 1].d_loss, rel=6e-3)
            page.keyboard.press("ArrowRight")
        page.get_by_role("button", name="step 20").click()
        assert page.locator("#where").inner_text() == "step 20"
        assert page.url.endswith("#moment=3")
        assert "all on one <heap>" in page.locator("#notices").inner_text()
        assert page.locator(".chart").count() == 5
        page.keyboard.press("Home")
        page.click("#play")
        until(page, "moment === frames.length - 1")


def test_figures_of_many_steps_are_means_of_neighbours():
    found = columns([{"step": i + 1, "loss": float(i)} for i in range(10)], most=5)
    assert found == {"step": [2, 4, 6, 8, 10], "loss": [0.5, 2.5, 4.5, 6.5, 8.5]}
    assert columns([]) == {"step": []}


# ---------------------------------------------------------------------- games of two numbers


def spiral(factor, steps=100, rate=0.1):
    """Round (0, 0) by `rate` a step, and `factor` as far from it."""
    step = np.arange(steps + 1)
    angles, radii = rate * step, 2.0 * factor**step
    return np.stack([radii * np.cos(angles), radii * np.sin(angles)], axis=1)


@pytest.mark.parametrize(
    ("factor", "kinds"), [(1.01, ["divergence"]), (1.0, ["oscillation"]), (0.99, [])]
)
def test_a_turn_that_does_not_lead_in_is_noticed_once(factor, kinds):
    notices = Trajectory(spiral(factor, 200), lambda x, y: (-y, x)).notices()
    assert [notice.kind for notice in notices] == kinds
    assert all(notice.step == 63 for notice in notices)  # 2 pi / 0.1, rounded up


def test_half_a_turn_says_nothing():
    assert Trajectory(spiral(1.0, 62), lambda x, y: (-y, x)).notices() == []


@pytest.mark.parametrize(
    ("places", "error", "words"),
    [
        (np.zeros((3, 3)), ShapeError, r"places has shape \(3, 3\)"),
        (np.zeros((1, 2)), ShapeError, "T >= 1"),
        (np.array([[0, 1], [np.inf, 0]]), ArgumentError, r"places\[1\]"),
    ],
)
def test_places_that_are_none_are_refused(places, error, words):
    with pytest.raises(error, match=words):
        Trajectory(places, lambda x, y: (x, y))


@needs_browser
def test_the_page_of_two_numbers_shows_where_they_are_and_where_they_are_pushed(tmp_path):
    places = spiral(1.01)
    trajectory = Trajectory(places, lambda x, y: (-y, 2 * x), names=("θ", "ψ"))
    write_trajectory(trajectory, tmp_path / "p.html", "Round", "by hand")
    with browser_page() as page:
        page.goto((tmp_path / "p.html").as_uri() + "#moment=41")
        x, y = places[40]
        for name, value in (("θ", x), ("ψ", y), ("distance", np.hypot(x, y))):
            said = page.locator(f"[data-figure='{name}'] b").inner_text().replace("\u2212", "-")
            assert float(said) == pytest.approx(value, rel=1e-3)
        drawn = page.evaluate("trajectoryAt(frames[moment])")
        assert drawn["points"] == pytest.approx([x, y], rel=1e-6)
        assert drawn["pushes"] == pytest.approx([-y, 2 * x], rel=1e-3)
        assert drawn["trail"] == pytest.approx(places[:41].reshape(-1).tolist(), rel=1e-5, abs=1e-6)
        assert page.locator("#notices li[data-kind='divergence']").count() == 1
        assert page.locator(".chart").count() == 2


# ---------------------------------------------------------------------- a training on pictures


def test_moments_are_some_of_the_reports_and_the_last_step():
    assert moments(6) == {1, 2, 3, 4, 5, 6}
    assert moments(50, every=20) == {20, 40, 50}
    some = moments(4000, every=100)
    assert max(some) == 4000
    assert all(step % 100 == 0 for step in some)
    assert 12 <= len(some) <= 48
    assert len(moments(300_001, every=100)) < 48


def test_a_push_is_against_the_slope_and_grey_where_there_is_none():
    slope = np.array([[[[4.0, -2.0, 0.0]]]], np.float32)
    np.testing.assert_allclose(pushed(slope), [[[[0.0, 0.75, 0.5]]]])
    assert (pushed(0 * slope) == 0.5).all()


@needs_browser
def test_the_page_of_a_folder_shows_its_pictures_figures_and_notices(tmp_path):
    black, white = np.zeros((2, 1, 8, 8), np.float32), np.ones((2, 1, 8, 8), np.float32)
    for step, picture in ((0, black), (10, white), (20, black)):
        keep_moment(tmp_path, step, picture, white)
    lines = [
        {"step": 10, "critic": 0.25, "gradient": 3.0},
        {"step": 10, "variety": 0.5},
        {"step": 15, "kind": "vanishing", "notice": "nothing comes back"},
        {"step": 20, "critic": 0.125, "gradient": 2.0},
    ]
    (tmp_path / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    names = {"critic": "d_loss", "gradient": "g_gradient"}
    write_course(tmp_path, "T", "about", "two <rows>", {"the real": white}, names)
    with browser_page() as page:
        page.goto((tmp_path / "dynamics.html").as_uri())
        assert "two <rows>" in page.locator("#shown").inner_text()
        assert page.locator("#shown img").count() == 2
        assert page.locator("#notices li.later").count() == 1
        page.keyboard.press("ArrowRight")
        assert page.locator("#where").inner_text() == "step 10"
        assert page.locator('[data-figure="D\'s loss"] b').inner_text() == "0.25"
        assert page.locator('[data-figure="variety"] b').inner_text() == "0.5"
        shown = page.evaluate(
            "(() => { const i = byId('picture'), c = document.createElement('canvas');"
            "c.width = i.naturalWidth; c.height = i.naturalHeight;"
            "const x = c.getContext('2d'); x.drawImage(i, 0, 0);"
            "return [c.width, c.height, x.getImageData(5, 5, 1, 1).data[0]]; })()"
        )
        height, width = read_image(tmp_path / "moments/0000010.png").shape[1:]
        assert shown == [width, height, 255]
        page.keyboard.press("End")
        assert page.locator("#notices li.later").count() == 0
        assert page.locator("[data-kind='vanishing']").count() == 1


def test_pictures_that_are_all_alike_are_noticed_once_until_it_is_over():
    rng = np.random.default_rng(0)
    real = rng.random((50, 1, 4, 4))
    variety = Variety(real)
    assert variety.look(real) == (1.0, [])
    alike = 0.5 + 0.1 * (real - 0.5)
    share, troubles = variety.look(alike)
    assert share == pytest.approx(0.1)
    assert [trouble.kind for trouble in troubles] == ["collapse"]
    assert "0.10 times" in troubles[0].sentence
    assert variety.look(alike)[1] == []
    assert variety.look(real)[1] == []
    assert len(variety.look(alike)[1]) == 1
    assert Variety(np.ones((3, 1, 4, 4))).look(real) == (1.0, [])
