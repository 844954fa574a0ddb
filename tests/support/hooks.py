"""What pytest does besides: it says which files take long, and in CI lets no test be left out."""

import os
import signal
import sys
from collections import Counter
from collections.abc import Generator, Iterable
from typing import TypeVar

import pytest

Report = TypeVar("Report", pytest.TestReport, pytest.CollectReport)

_FILES = 10
_ROOT = "only root can"
"""Why a test needs root: to act as somebody else, or to mount a file system."""


def seconds(reports: Iterable[object]) -> Counter[str]:
    """How long each file took, with what its tests set up; over all processes."""
    taken: Counter[str] = Counter()
    for report in reports:
        if isinstance(report, pytest.TestReport):
            # Floats are fine: a counter adds whatever can be added.
            taken[report.nodeid.partition("::")[0]] += report.duration  # type: ignore[assignment]
    return taken


def pytest_configure() -> None:
    """Let Ctrl-C reach what tests start, also where pytest runs in the background of a shell, which ignores it."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Keep compiled what pytest compiles of tests, whatever the shell says: each worker of each session needs all."""
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, False
    try:
        return (yield)
    finally:
        sys.dont_write_bytecode = before


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    taken = seconds(report for reports in terminalreporter.stats.values() for report in reports)
    if len(taken) < 2:
        return
    terminalreporter.section(f"{_FILES} slowest files")
    for name, took in taken.most_common(_FILES):
        terminalreporter.write_line(f"{took:7.1f} s  {name}")
    terminalreporter.write_line(f"{sum(taken.values()):7.1f} s  all {len(taken)} files")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    return _demanded((yield))


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    return _demanded((yield))


def _demanded(report: Report) -> Report:
    """In CI a test that is skipped has failed: `.ci/run` installs what it needs. It cannot make somebody root."""
    why = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    if report.skipped and os.environ.get("CI") and _ROOT not in str(why):
        report.outcome = "failed"
        report.longrepr = f"{why}. In CI no test may be skipped; CI= runs the tests as on a laptop."
    return report
