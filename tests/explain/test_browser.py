"""The stepper in a browser: keys are pressed, and what the page says is compared with the engine."""

import re

import numpy as np
import pytest
from browsing import browser_page, needs_browser
from small_network import small_loss

import minigan as mg
from minigan import explain

pytestmark = needs_browser


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """A small network's trace, and the address of its page."""
    network, image, target = small_loss()
    trace = explain.trace(lambda: ((network(image) - target) ** 2).mean())
    path = tmp_path_factory.mktemp("page") / "p.html"
    trace.write(path, "A small network")
    return trace, path.as_uri()


def numbers(page, selector):
    """The numbers that an element shows, as written and as they are."""
    cells = page.locator(f"{selector} td[data-value]")
    texts = [text.replace("−", "-") for text in cells.all_inner_texts()]
    exact = [float(cell.get_attribute("data-value")) for cell in cells.all()]
    np.testing.assert_allclose([float(text) for text in texts], exact, rtol=6e-3, atol=1e-12)
    return np.array(exact)


def test_the_keys_step_through_every_gradient(traced):
    trace, address = traced
    with browser_page() as page:
        page.goto(address)
        page.keyboard.press("b")
        seen = 0
        for i, visit in enumerate(trace.visits):
            assert page.locator("#where").inner_text() == f"backward {i + 1} of {len(trace.visits)}"
            heading = page.locator("#step h2").inner_text()
            assert heading.endswith(visit.traced.name or visit.traced.node.name)
            if visit.gradient.size <= 64:
                shown = numbers(page, "#incoming .array")
                np.testing.assert_array_equal(shown, visit.gradient.reshape(-1))
                seen += 1
            for k, passed in enumerate(visit.passed):
                if passed.gradient.size <= 64:
                    box = page.locator(f'[data-passed="{k}"] > .array').first
                    cells = box.locator("td[data-value]").all()
                    values = [float(cell.get_attribute("data-value")) for cell in cells]
                    np.testing.assert_array_equal(values, passed.gradient.reshape(-1))
            page.keyboard.press("ArrowRight")
        assert seen >= 7
        assert page.locator("#next").is_disabled()


def test_home_end_space_slider_and_the_address(traced):
    _, address = traced
    with browser_page() as page:
        page.goto(address + "#step=5")
        assert page.locator("#where").inner_text().startswith("forward 5 of")
        page.keyboard.press("End")
        assert re.match(r"backward (\d+) of \1$", page.locator("#where").inner_text())
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("Home")
        assert page.locator("#where").inner_text().startswith("forward 1 of")
        assert page.url.endswith("#step=1")
        page.locator("#slider").fill("9")
        assert page.url.endswith("#step=10")
        page.keyboard.press(" ")
        page.wait_for_url("**#step=11", timeout=5000)
        page.keyboard.press(" ")
        page.locator("[data-box='0']").click()
        assert page.url.endswith("#step=1")


@pytest.mark.parametrize("operation", ["conv2d", "max_pool2d", "upsample_nearest2d"])
@pytest.mark.parametrize("backwards", [False, True])
def test_windows_add_up_to_the_engines_numbers(traced, operation, backwards):
    trace, address = traced
    steps = [visit.traced.node.name for visit in trace.visits]
    with browser_page() as page:
        page.goto(address)
        turn = int(page.locator("#slider").get_attribute("max")) + 1 - len(steps)
        if backwards:
            step = turn + steps.index(operation) + 1
        else:
            boxes = page.evaluate("data.boxes.map((box) => box.op)")
            step = boxes.index(operation) + 1
        page.goto(address + f"#step={step}")
        engine = set()
        for key in ("i", "i", "j", "k", "l", "l", "l", "k"):
            page.keyboard.press(key)
            total = float(page.locator("#sum").get_attribute("data-value"))
            known = float(page.locator("#engine").get_attribute("data-value"))
            assert total == pytest.approx(known, rel=1e-5, abs=1e-7)
            engine.add(known)
        assert len(engine) > 1  # the frame did move
        assert "pixel=" in page.url
        shared = page.url
        page.goto("about:blank")
        page.goto(shared)
        again = float(page.locator("#engine").get_attribute("data-value"))
        assert again == known


def test_the_gradient_of_the_weights_has_its_windows_too(traced):
    trace, address = traced
    with browser_page() as page:
        page.goto(address)
        page.keyboard.press("b")
        while not page.locator(".windows").count():
            page.keyboard.press("ArrowRight")
        page.locator(".windows select").first.select_option("∂L/∂weight")
        page.keyboard.press("i")
        total, known = (
            float(page.locator(name).get_attribute("data-value")) for name in ("#sum", "#engine")
        )
        assert total == pytest.approx(known, rel=1e-5)
        last = next(v for v in trace.visits if v.traced.name == "last.weight")
        assert known in last.gradient


def test_finite_differences_are_beside_the_numbers(traced):
    _, address = traced
    with browser_page() as page:
        page.goto(address + "#step=999")
        assert "all agree" in page.locator(".slopes summary").inner_text()


def test_a_phones_width_has_no_sideways_scroll_and_dark_is_dark(traced):
    _, address = traced
    with browser_page(390, 780, color_scheme="dark") as page:
        page.goto(address + "#step=20")
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert max(map(int, re.findall(r"\d+", colour)[:3])) < 60
        assert page.locator("#next").is_visible()


def test_a_summary_can_be_stepped_through(tmp_path):
    x = mg.tensor(0.5, requires_grad=True)

    def loss():
        y = x
        for _ in range(300):
            y = y.sin() + 0.1
        return y

    explain.trace(loss).write(tmp_path / "p.html", "long")
    with browser_page() as page:
        page.goto((tmp_path / "p.html").as_uri())
        assert "601 nodes are too many" in page.locator("#about").inner_text()
        page.keyboard.press("End")
        shown = float(page.locator("#step b[data-value]").get_attribute("data-value"))
        assert 0 < shown < 1
