"""The page of a film, in a browser."""

from dataclasses import replace

import pytest
from browsing import browser_page, needs_browser, until

from minigan.gan.pages.dynamics import columns, write_film
from minigan.gan.toys.film import Notice, filmed
from minigan.gan.toys.game import ToyGame, ToySettings
from minigan.gan.toys.mixtures import ring


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
