"""Report every problem of every document, as PATH:LINE:COLUMN CODE MESSAGE."""

import argparse
import sys
from dataclasses import asdict
from pathlib import Path

from opsbook.console import common
from opsbook.console.text import say, say_text
from opsbook.core.model.text import nearest
from opsbook.core.source.page_name import name_of
from opsbook.errors import InputError
from opsbook.lint import checks, documented
from opsbook.lint.commands import formats
from opsbook.settings import Settings


def execute(options: argparse.Namespace) -> int:
    if options.explain:
        return _explain(options.explain)
    settings = common.project(options)
    form = "json" if options.json else options.format
    options.json = form == "json"
    chosen = checks.chosen_by(settings, options.runbook)
    if options.freshness:
        return _freshness(settings, set(map(name_of, chosen)) if options.runbook else set(), options)
    if options.fix:
        for path, fixes in checks.correct(settings, options.runbook).items():
            for fix in fixes:
                said = f"fixed {path}:{fix.line} {fix.code} {fix.text}"
                say(said, to=sys.stdout if form == "text" else sys.stderr)
    problems, tally = checks.counted(settings, options.runbook)
    errors = sum(not problem.warning for problem in problems)
    if form != "text":
        text = formats.FORMATS[form](problems, _prefix(settings.root))
        say_text(text, end="\n" if text else "")
        return 2 if errors else 0
    for problem in problems:
        say(f"{problem}{'  (warning)' if problem.warning else ''}")
    said = f"{len(chosen)} documents ({tally}), {errors} errors, {len(problems) - errors} warnings"
    say(said, to=sys.stderr)
    return 2 if errors else 0


def _freshness(settings: Settings, names: set[str], options: argparse.Namespace) -> int:
    from opsbook.site import publishing

    found = sorted(publishing.stale(settings, names), key=lambda each: (each.owner, each.name))
    rows = [(each.name, each.owner, each.state, common.local(each.good)) for each in found]
    columns, none = ("PAGE", "OWNER", "STATE", "LAST RUN THAT SUCCEEDED"), "Every page was proved by a run lately."
    common.tell_rows(options, [asdict(each) for each in found], columns, rows, none)
    return 1 if found else 0


def _explain(code: str) -> int:
    if code == "all":
        say_text(documented.whole(), end="")
        return 0
    known = {rule.code: rule for rule in documented.rules()}
    if code.upper() not in known:
        raise InputError(f"There is no rule {code}. {nearest(code.upper(), known)}", "opsbook check --explain all.")
    say_text(documented.one(known[code.upper()]), end="")
    return 0


def _prefix(root: Path) -> str:
    """The project's folder relative to the working directory: tools expect paths from the repository's root."""
    here = Path.cwd()
    return root.relative_to(here).as_posix() if root.is_relative_to(here) and root != here else ""
