"""Open a page in JupyterLab, to practise: a private copy, whose cells may read, and change a sandbox only.

Nothing written there reaches the page. A change takes the page's locks, and what cells do is in a record with the
outcome ended. Ctrl-C ends the lab and removes the copy.
"""

import argparse
import os
import signal
import sys
import time
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager

from opsbook.console import common, inputs
from opsbook.console.text import json_text, say, say_text
from opsbook.lab.jupyter import Lab
from opsbook.lab.opening import Lesson, lesson, opened_lab

_LOOK = 0.1


def execute(options: argparse.Namespace) -> int:
    found = lesson(common.project(options), inputs.request(options), options.replay)
    if options.port:
        common.check_free(options.port)
    with _told_to_end() as ends, opened_lab(found, options.port) as lab:
        for _ in lab.start():
            if ends:
                return 0
        _tell(found, lab, as_json=options.json)
        if not (options.no_browser or options.json):
            _browse(lab)
        while lab.alive and not ends:
            time.sleep(_LOOK)
    say("The lab has ended, and its copy is removed.", to=sys.stderr)
    return 0


@contextmanager
def _told_to_end() -> Iterator[list[int]]:
    """Collect signals that ask for the end. Repeated ones do not interrupt the clean-up."""
    came: list[int] = []
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, lambda received, _: came.append(received)) for number in numbers]
    try:
        yield came
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _tell(found: Lesson, lab: Lab, *, as_json: bool) -> None:
    page, place = found.drafted.runbook.path.as_posix(), found.drafted.environment
    missing = found.drafted.bound.missing
    if as_json:
        told = {
            "address": lab.address,
            "token": lab.token,
            "page": page,
            "environment": place.name,
            "sandbox": place.policy.sandbox,
            "missing": [parameter.name for parameter in missing],
        }
        say_text(json_text(told))
        return
    rule = "is a sandbox: changes are made there" if place.policy.sandbox else "is no sandbox: changes are refused"
    if found.replay:
        rule = f"is not reached: every effect is answered from {found.replay}, which ended {found.outcome}"
    say(f"A copy of {page}, in JupyterLab. {place.name} {rule}.")
    for parameter in missing:
        about = f" ({parameter.description})" if parameter.description else ""
        say(f"  {parameter.name} has no value yet{about}: write it in the cell # Parameters, or give -p.")
    say(f"  {lab.address}")
    say("Saving reaches only the copy. Ctrl-C ends the lab and removes it.")


def _browse(lab: Lab) -> None:
    """Open a browser if there is a display. A file keeps the address with its token out of process arguments."""
    if sys.platform.startswith("linux") and not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        return
    page = lab.private / "open.html"
    page.touch(mode=0o600)
    page.write_text(f'<meta http-equiv="refresh" content="0; url={lab.address}">', encoding="utf-8")
    if not webbrowser.open(page.as_uri()):
        say("No browser could be opened; open that address yourself.", to=sys.stderr)
