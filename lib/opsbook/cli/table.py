"""The commands: which feature each belongs to, and what it is for."""

import importlib
from types import ModuleType
from typing import NamedTuple


class CommandEntry(NamedTuple):
    """Which feature a command belongs to, and what it is for; without that, it is for opsbook's own use and not listed.

    Its module is `opsbook.FEATURE.commands.NAME`.
    """

    feature: str
    text: str


COMMANDS = {
    "init": CommandEntry("scaffold", "make a repository of your own, with one of everything"),
    "new": CommandEntry("scaffold", "write a new page of a kind"),
    "list": CommandEntry("operate", "what runbooks and procedures there are"),
    "show": CommandEntry("operate", "one runbook: parameters, steps, roles"),
    "check": CommandEntry("lint", "every problem of every document"),
    "test": CommandEntry("replay", "run runbooks against their recordings; reaches nothing"),
    "plan": CommandEntry("operate", "what a run would do, with its digest; runs nothing"),
    "run": CommandEntry("operate", "run a runbook"),
    "approve": CommandEntry("operate", "sign a plan that somebody else wants to run"),
    "reject": CommandEntry("operate", "say no to such a plan"),
    "review": CommandEntry("operate", "close what an emergency left open"),
    "status": CommandEntry("operate", "what goes on, waits for somebody, or was lost; and what is locked"),
    "attach": CommandEntry("operate", "watch a run that goes on elsewhere, and answer it"),
    "resume": CommandEntry("operate", "go on with a run that was lost, stopped or failed"),
    "rollback": CommandEntry("operate", "undo what a run did"),
    "cancel": CommandEntry("operate", "ask a run that goes on to stop"),
    "answer": CommandEntry("operate", "answer a question of a run that goes on"),
    "records": CommandEntry("records", "what runs left: list, show, diff, verify, anchor, export, prune"),
    "env": CommandEntry("environments", "environments: list, show, ports"),
    "locks": CommandEntry("operate", "what is locked, and by which run"),
    "unlock": CommandEntry("operate", "take a lock from a run that will never finish"),
    "diagnose": CommandEntry("diagnose", "a decision tree: looks where it can, asks the rest, says what to do"),
    "training": CommandEntry("training", "who has passed what: status, sign-off, certificate"),
    "site": CommandEntry("site", "the docs site: build, serve"),
    "drill": CommandEntry("training", "a fault to find and mend, with a clock: list, start, status, hint, stop"),
    "lab": CommandEntry("lab", "open a page in JupyterLab, to practise"),
    "doctor": CommandEntry("doctor", "what would keep opsbook, or one run, from working"),
    "completion": CommandEntry("cli", "what makes bash, zsh or fish complete all this"),
    "session": CommandEntry("lab", ""),
}


def module(name: str) -> ModuleType:
    """The module of a command, with `configure` and `execute`."""
    return importlib.import_module(f"opsbook.{COMMANDS[name].feature}.commands.{name}")
