"""Show one runbook: its parameters, its steps, and what each section may do."""

import argparse
from dataclasses import asdict
from typing import Any

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.catalog import catalog
from opsbook.core.model.runbook import Role, Runbook, tally

_ROLES = {Role.READ: "reads only", Role.CHANGE: "changes", Role.UNDO: "undoes; runs only in a rollback"}


def execute(options: argparse.Namespace) -> int:
    if options.manual:
        # Only then is the environment read, and what a plan needs.
        from opsbook.operate.commands import show_manual

        return show_manual.show(options)
    runbook = catalog.load(common.project(options), options.runbook)
    if options.json:
        common.print_json(_json(runbook))
        return 0
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
    _parameters(runbook)
    _steps(runbook)
    needed = " ".join(f"-p {p.name}=…" for p in runbook.parameters if p.required)
    say("", f"opsbook run {runbook.name} -e ENVIRONMENT {needed}".rstrip())
    return 0


def _parameters(runbook: Runbook) -> None:
    if runbook.parameters:
        say("", "Parameters")
        asked = runbook.parameters
        rows = [(p.name, p.kind, "required" if p.required else str(p.default), p.description) for p in asked]
        common.table(("NAME", "TAKES", "DEFAULT", "WHAT FOR"), rows)


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
