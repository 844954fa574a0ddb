"""A real browser, for tests of pages and of notebooks."""

import contextlib
import shutil
from collections.abc import Iterator

import pytest

PATIENCE = 120_000
"""Milliseconds a page may take for anything."""


@pytest.fixture(scope="module")
def chromium() -> Iterator[object]:
    """A browser for one module: as long as Playwright runs, no other event loop can, in any test behind it."""
    from playwright.sync_api import sync_playwright

    names = ("chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("needs chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"], timeout=180_000)
        with contextlib.closing(browser):
            yield browser
