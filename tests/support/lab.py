"""A lab that is really open, and its page in a real browser."""

import json
import re
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from tests.support import browser
from tests.support.project import Project, until


class Opened:
    """`told` is what the command said of it; `folder` is its private folder."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        assert process.stdout is not None
        line = process.stdout.readline()
        self.told: dict[str, Any] = json.loads(line)
        assert "address" in self.told, line
        self.address = str(self.told["address"])
        self.base = self.address.partition("/lab/")[0]
        server = next(process for process, words in self.commands() if "opsbook.lab.jupyter_server" in words)
        self.server = server
        self.folder = Path(server.environ()["JUPYTER_DATA_DIR"]).parent

    def processes(self) -> list[psutil.Process]:
        """The lab and everything below it."""
        lab = psutil.Process(self.process.pid)
        return [lab, *lab.children(recursive=True)]

    def commands(self) -> Iterator[tuple[psutil.Process, list[str]]]:
        """Its processes with their arguments; one that has just ended has none any more."""
        for process in self.processes():
            with suppress(psutil.Error):
                yield process, process.cmdline()

    def end(self, number: int = signal.SIGINT) -> int:
        """The exit code, after this signal."""
        self.process.send_signal(number)
        self.process.communicate(timeout=180)
        return self.process.returncode


@contextmanager
def opened(project: Project, *arguments: str) -> Iterator[Opened]:
    """`opsbook lab` with these arguments, ended in any case."""
    process = project.start("lab", *arguments, "--json")
    try:
        yield Opened(process)
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=180)


class Notebook:
    """The page of a lab in JupyterLab. In the end nothing has failed there, and nothing came from elsewhere."""

    def __init__(self, page: Any, lab: Opened) -> None:
        self.page = page
        self._runs: Callable[[], bool] = lambda: True
        self.asked: list[str] = []
        self.wrong: list[str] = []
        page.on("request", lambda request: self.asked.append(request.url))
        page.on("pageerror", lambda error: self.wrong.append(str(error)))
        page.on("console", lambda message: self.wrong.append(message.text) if message.type == "error" else None)
        self.lab = lab
        page.goto(lab.address)
        page.wait_for_selector(".jp-NotebookPanel .jp-CodeCell")
        page.get_by_text(re.compile(r"\| Idle$")).wait_for()

    def cell(self, text: str) -> Any:
        """The code cell that holds this text."""
        return self.page.locator(".jp-CodeCell").filter(has=self.page.locator(".jp-InputArea-editor", has_text=text))

    def run(self, text: str) -> None:
        """Run one cell, and leave it going on."""
        self._started(self.cell(text))
        self.cell(text).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+Enter")

    def run_all(self) -> None:
        self._started(self.page.locator(".jp-CodeCell").first)
        self.menu("Run", "Run All Cells")

    def _started(self, cell: Any) -> None:
        """A cell is about to run: its prompt is another one as soon as it does."""
        prompt = cell.locator(".jp-InputArea-prompt").first
        before = prompt.inner_text()
        self._runs = lambda: prompt.inner_text() != before

    def menu(self, name: str, entry: str) -> None:
        self.page.get_by_role("menuitem", name=name, exact=True).click()
        self.page.get_by_role("menuitem", name=entry).first.click()

    def source(self, text: str) -> str:
        """What is written in the cell that holds this text."""
        return "\n".join(self.cell(text).locator(".cm-line").all_inner_texts())

    def rewrite(self, text: str, new: str) -> None:
        """Another source for the cell that holds this text."""
        self.cell(text).locator(".jp-InputArea-editor").click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(new)

    def save(self) -> None:
        self.page.keyboard.press("Control+s")

    def answer(self, text: str) -> None:
        """Type an answer where a cell asks."""
        field = self.page.wait_for_selector(".jp-Stdin-input")
        field.fill(text)
        field.press("Enter")
        # It stays for a moment, and the next question would be answered in it.
        field.wait_for_element_state("hidden")

    def answer_all(self, cell: str, *answers: str) -> str:
        """Run a cell that asks, and answer its questions one after the other; what stands below it then."""
        self.run(cell)
        for answer in answers:
            self.answer(answer)
        self.wait()
        return self.output(cell)

    def output(self, text: str) -> str:
        """What stands below the cell that holds this text."""
        return "\n".join(self.cell(text).locator(".jp-OutputArea-output").all_inner_texts())

    def wait(self, seconds: float = 180.0) -> None:
        """Until no cell runs or waits to run."""
        until(lambda: self.page.wait_for_timeout(20) or self._runs(), "the start of the cell")
        self._runs = lambda: True
        going = self.page.locator(".jp-InputArea-prompt", has_text="*")
        until(lambda: self.page.wait_for_timeout(50) or going.count() == 0, "the end of all cells", seconds)

    def check(self) -> None:
        assert not self.wrong
        assert {url for url in self.asked if not url.startswith((self.lab.base, "data:", "blob:"))} == set()


@contextmanager
def notebook(chromium: Any, lab: Opened, width: int = 1440, height: int = 1000) -> Iterator[Notebook]:
    context = chromium.new_context(viewport={"width": width, "height": height})
    context.set_default_timeout(browser.PATIENCE)
    try:
        book = Notebook(context.new_page(), lab)
        yield book
        book.check()
    finally:
        context.close()
