"""A headless Chromium for tests of pages: the system's own, driven by playwright."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = (
    shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
)

needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed here")


@contextmanager
def browser_page(
    width: int = 1280, height: int = 900, allow: tuple[str, ...] = (), **options: Any
) -> Iterator[Any]:
    """A page of a new browser, which fails the test where a script raises or anything is fetched
    from elsewhere than the page's own address, or what begins like one of `allow`.
    """
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM)
        context = browser.new_context(viewport={"width": width, "height": height}, **options)
        page = context.new_page()
        fetched: list[str] = []
        errors: list[str] = []
        page.on("request", lambda request: fetched.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
        try:
            yield page
            assert errors == []
            own = (page.url.split("#")[0], "about:blank", "data:", *allow)
            assert [url for url in fetched if not url.startswith(own)] == []
        finally:
            browser.close()


def until(page: Any, expression: str, seconds: float = 30) -> None:
    """Wait until a script's expression is true; playwright's own waiting needs eval in the page."""
    deadline = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"{expression} did not come true in {seconds} s"
        time.sleep(0.05)
