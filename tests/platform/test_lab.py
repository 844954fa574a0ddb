"""A deployment in JupyterLab, on the real platform: all cells of the page, in a real browser. Part of `make soak`."""

import os
from typing import Any

import pytest

from tests.platform.conftest import Platform
from tests.support import browser
from tests.support.lab import Notebook, notebook, opened

pytestmark = [pytest.mark.slow, pytest.mark.soak]

chromium = browser.chromium


def test_a_trainee_deploys_and_takes_it_back(platform: Platform, chromium: Any) -> None:
    platform.have("1.0.0", "1.1.0")
    platform.serve("1.0.0")
    page = platform.root / "runbooks/deploy-service.md"
    before = page.read_bytes()
    runs = len(platform.records())
    with opened(platform, "deploy-service", "-p", "version=1.1.0") as lab, notebook(chromium, lab) as book:
        book.run_all()
        going = book.cell("switch.yml").locator(".jp-OutputArea-output", has_text="arcade-")
        going.wait_for(timeout=600_000)
        look(book, "going", "switch.yml")
        book.wait(600)
        look(book, "all", "switch.yml")
        assert "arcade in dev: 1.0.0 -> 1.1.0, rolling" in book.output("answer.json")
        assert "playbook release.yml: changed" in book.output("release.yml")
        assert "playbook switch.yml: changed" in book.output("switch.yml")
        assert "did not run" in book.output("revert.yml"), "all cells of a good deployment do not undo it"
        assert platform.versions() == {"1.1.0"}
        book.rewrite("roll_back = False", "roll_back = True")
        book.run("roll_back = True")
        for cell in ("revert.yml", "def serves"):
            book.run(cell)
        book.wait(600)
        look(book, "back", "revert.yml")
        assert book.page.locator(".jp-OutputArea-output[data-mime-type*='error']").count() == 0
    assert len(platform.records()) == runs, "a lab leaves no record"
    assert page.read_bytes() == before


def look(book: Notebook, name: str, cell: str) -> None:
    """Keep a picture where somebody wants to see it."""
    if folder := os.environ.get("OPSBOOK_PICTURES"):
        book.cell(cell).scroll_into_view_if_needed()
        book.page.screenshot(path=f"{folder}/lab-{name}.png")
