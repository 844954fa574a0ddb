"""Before the shift: find what would keep opsbook, or one run of one runbook, from working.

Without arguments it checks the machine and the project; with RUNBOOK -e ENV everything that run needs, without running
any of it. Exit code 1 if anything is wrong (✗); ! is a warning.
"""

import argparse
import contextlib
import sys
from collections.abc import Iterator
from dataclasses import asdict

from opsbook.console import common, inputs
from opsbook.console.text import say
from opsbook.doctor import checks as doctor
from opsbook.errors import InputError
from opsbook.settings import Settings

_MARKS = {"fine": "✓", "warning": "!", "wrong": "✗"}


def execute(options: argparse.Namespace) -> int:
    checks = _checks(common.project(options), options)
    rows = []
    for check in checks:
        with _going_on(check, quiet=options.json):
            findings = list(check.findings())
        for finding in findings:
            rows.append({"check": check.name, **asdict(finding)})
            if not options.json:
                say(f"{_MARKS[finding.level]} {finding.text}")
                if finding.hint:
                    say(f"    {finding.hint}")
    return common.tell(options, rows, code=1 if any(row["level"] == "wrong" for row in rows) else 0)


def _checks(settings: Settings, options: argparse.Namespace) -> "list[doctor.Check]":
    if options.runbook is None and not (options.environment or options.parameter or options.params_file):
        return doctor.project_checks(settings)
    if options.runbook is None or options.environment is None:
        raise InputError("To look at one run, the doctor needs both.", "opsbook doctor RUNBOOK -e ENV.")
    return doctor.runbook_checks(settings, inputs.request(options))


@contextlib.contextmanager
def _going_on(check: "doctor.Check", *, quiet: bool) -> Iterator[None]:
    """Show that a slow check is running: a spinner on a terminal, one line elsewhere."""
    if quiet or not check.slow:
        yield
    elif sys.stderr.isatty():
        from opsbook.console.steady import Steady

        with Steady(stderr=True).status(f"{check.name} …"):
            yield
    else:
        say(f"  looking at {check.name} …", to=sys.stderr)
        yield
