"""The commands: which feature each belongs to, and what it is for."""

import importlib
from types import ModuleType
from typing import NamedTuple


class Command(NamedTuple):
    """Which feature a command belongs to, and what it is for; without that, it is for opsbook's own use and not listed.

    Its module is `opsbook.FEATURE.commands.NAME`.
    """

    feature: str
    text: str


COMMANDS = {
    "init": Command("scaffold", "make a repository of your own, with one of everything"),
    "new": Command("scaffold", "write a new page of a kind"),
    "list": Command("operate", "what runbooks and procedures there are"),
    "show": Command("operate", "one runbook: parameters, steps, roles"),
    "check": Command("lint", "every problem of every document"),
    "test": Command("replay", "run runbooks against their recordings; reaches nothing"),
    "plan": Command("operate", "what a run would do, with its digest; runs nothing"),
    "run": Command("operate", "run a runbook"),
    "approve": Command("operate", "sign a plan that somebody else wants to run"),
    "reject": Command("operate", "say no to such a plan"),
    "review": Command("operate", "close what an emergency left open"),
    "status": Command("operate", "what goes on, waits for somebody, or was lost; and what is locked"),
    "attach": Command("operate", "watch a run that goes on elsewhere, and answer it"),
    "resume": Command("operate", "go on with a run that was lost, stopped or failed"),
    "rollback": Command("operate", "undo what a run did"),
    "cancel": Command("operate", "ask a run that goes on to stop"),
    "answer": Command("operate", "answer a question of a run that goes on"),
    "records": Command("records", "what runs left: list, show, diff, verify, anchor, export, prune"),
    "env": Command("environments", "environments: list, show, ports"),
    "locks": Command("operate", "what is locked, and by which run"),
    "unlock": Command("operate", "take a lock from a run that will never finish"),
    "diagnose": Command("diagnose", "a decision tree: looks where it can, asks the rest, says what to do"),
    "training": Command("training", "who has passed what: status, sign-off, certificate"),
    "site": Command("site", "the docs site: build, serve"),
    "drill": Command("training", "a fault to find and mend, with a clock: list, start, status, hint, stop"),
    "lab": Command("lab", "open a page in JupyterLab, to practise"),
    "doctor": Command("doctor", "what would keep opsbook, or one run, from working"),
    "completion": Command("cli", "what makes bash, zsh or fish complete all this"),
    "session": Command("lab", ""),
}


def module(name: str) -> ModuleType:
    """The module of a command, with `configure` and `execute`."""
    return importlib.import_module(f"opsbook.{COMMANDS[name].feature}.commands.{name}")
