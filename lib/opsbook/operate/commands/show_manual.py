"""A runbook as a checklist of commands to type: `opsbook show RUNBOOK --manual`."""

import argparse
from dataclasses import asdict

from opsbook.console import common, inputs
from opsbook.console.text import say, say_text
from opsbook.core.planning import drafts
from opsbook.operate import manual
from opsbook.operate.manual import ManualStep


def show(options: argparse.Namespace) -> int:
    """Print the commands. They run nothing here, and leave no record when a person types them."""
    settings = common.project(options)
    planned = drafts.plan(settings, inputs.complete(settings, inputs.named(settings, options)))
    values, steps = manual.values(planned), list(manual.steps(planned, settings.ansible.playbooks))
    if options.json:
        common.print_json(
            {"runbook": planned.plan.runbook, "values": values, "steps": [asdict(each) for each in steps]}
        )
        return 0
    say(f"# {planned.plan.title} in {planned.plan.environment}, by hand, in {settings.root}")
    say("# opsbook keeps no record of it, and takes no lock: " + (", ".join(planned.plan.locks) or "it has none"))
    for line in values:
        say_text(line)
    section = ""
    for number, step in enumerate(steps, 1):
        if step.section != section:
            section = step.section
            say("", f"## {section}" + ("  (only to undo it)" if step.undo else ""))
        _step(number, step)
    return 0


def _step(number: int, step: ManualStep) -> None:
    say("", f"# {number}. {step.title}")
    for line in step.text.split("\n") if step.text else ():
        say(f"# {line}".rstrip())
    for line in step.lines:
        say_text(line)
    if step.expected:
        say(f"# Expected: {step.expected}")
