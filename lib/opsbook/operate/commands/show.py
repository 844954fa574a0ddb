"""Show one runbook: its parameters, its steps, and what each section may do."""

import argparse
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from opsbook.console import common
from opsbook.console.text import say, say_text
from opsbook.core.catalog import catalog
from opsbook.core.model.runbook import Role, Runbook, tally

if TYPE_CHECKING:
    from opsbook.operate.manual import ManualStep

_ROLES = {Role.READ: "reads only", Role.CHANGE: "changes", Role.UNDO: "undoes; runs only in a rollback"}


def execute(options: argparse.Namespace) -> int:
    if options.manual:
        return _by_hand(options)
    runbook = catalog.load(common.project(options), options.runbook)
    if options.json:
        return common.tell(options, _json(runbook))
    front = runbook.front
    say(f"{runbook.title}  ({runbook.name}, {runbook.path})")
    if front.summary:
        say(f"  {front.summary}")
    facts = {
        "kind": front.kind,
        "owner": front.owner or "nobody",
        "takes": front.duration or "—",
        "rollback": front.rollback,
        "locks": ", ".join(front.lock) or "—",
    }
    say("  " + " · ".join(f"{name}: {value}" for name, value in facts.items()))
    if runbook.parameters:
        say("", "Parameters")
        rows = [
            (p.name, p.kind, "required" if p.required else str(p.default), p.description) for p in runbook.parameters
        ]
        common.table(("NAME", "TAKES", "DEFAULT", "WHAT FOR"), rows)
    _steps(runbook)
    needed = " ".join(f"-p {p.name}=…" for p in runbook.parameters if p.required)
    say("", f"opsbook run {runbook.name} -e ENVIRONMENT {needed}".rstrip())
    return 0


def _steps(runbook: Runbook) -> None:
    say("", f"{tally(runbook.steps())}")
    for section in runbook.sections:
        steps = [step for step in section.steps if step.acts]
        if section.role in _ROLES and steps:
            say("", f"{section.title}  ({_ROLES[section.role]})")
            for step in steps:
                say(f"  {'☐ by hand: ' if step.manual else ''}{step.title}")
                for example in step.examples if step.cells else ():
                    say(f"      not run: line {example.line}, since {example.why}")
                if step.expected:
                    say(f"      Expected: {step.expected}")


def _json(runbook: Runbook) -> dict[str, Any]:
    parameters = runbook.parameters
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "required": [p.name for p in parameters if p.required],
        "properties": {
            p.name: p.schema() | {"description": p.description} | ({} if p.required else {"default": p.default})
            for p in parameters
        },
    }
    sections = [
        {
            "title": section.title,
            "role": section.role,
            "steps": [
                {
                    "id": s.id,
                    "title": s.title,
                    "manual": s.manual,
                    "expected": s.expected,
                    "cells": len(s.cells),
                    "examples": [asdict(example) for example in s.examples],
                }
                for s in section.steps
            ],
        }
        for section in runbook.sections
    ]
    return {
        "name": runbook.name,
        "path": str(runbook.path),
        **asdict(runbook.front),
        "title": runbook.title,
        "parameters": schema,
        "sections": sections,
    }


# -- by hand


def _by_hand(options: argparse.Namespace) -> int:
    """Print the page as a checklist of commands to type. They run nothing here, and leave no record."""
    # Only then is the environment read, and what a plan needs.
    from opsbook.console import inputs
    from opsbook.core.planning import drafts
    from opsbook.operate import manual

    settings = common.project(options)
    planned = drafts.plan(settings, inputs.complete(settings, inputs.named(settings, options)))
    values, steps = manual.values(planned), list(manual.steps(planned, settings.ansible.playbooks))
    if options.json:
        told = {"runbook": planned.plan.runbook, "values": values, "steps": [asdict(each) for each in steps]}
        return common.tell(options, told)
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


def _step(number: int, step: "ManualStep") -> None:
    say("", f"# {number}. {step.title}")
    for line in step.text.split("\n") if step.text else ():
        say(f"# {line}".rstrip())
    for line in step.lines:
        say_text(line)
    if step.expected:
        say(f"# Expected: {step.expected}")
