"""The commands: which feature each belongs to, and what it is for."""

import importlib
from types import ModuleType
from typing import NamedTuple


class CommandEntry(NamedTuple):
    """A command's feature and purpose. A command without a purpose is internal, and not listed.

    Its module is `opsbook.FEATURE.commands.NAME`.
    """

    feature: str
    text: str


COMMANDS = {
    "init": CommandEntry("scaffold", "create a new repository, with one of everything"),
    "new": CommandEntry("scaffold", "write a new page of a kind"),
    "list": CommandEntry("operate", "list runbooks and procedures"),
    "show": CommandEntry("operate", "one runbook: parameters, steps, roles"),
    "check": CommandEntry("lint", "every problem of every document"),
    "test": CommandEntry("replay", "run runbooks against their recordings; reaches nothing"),
    "plan": CommandEntry("operate", "what a run would do, with its digest; runs nothing"),
    "run": CommandEntry("operate", "run a runbook"),
    "approve": CommandEntry("operate", "sign another person's plan"),
    "reject": CommandEntry("operate", "reject another person's plan"),
    "review": CommandEntry("operate", "review an emergency run of another person"),
    "status": CommandEntry("operate", "runs that are running, waiting or lost; and what is locked"),
    "attach": CommandEntry("operate", "watch a run that was started elsewhere, and answer it"),
    "resume": CommandEntry("operate", "resume a run that was lost, stopped or failed"),
    "rollback": CommandEntry("operate", "undo what a run did"),
    "cancel": CommandEntry("operate", "ask a running run to stop"),
    "answer": CommandEntry("operate", "answer a question of a running run"),
    "records": CommandEntry("records", "what runs left: list, show, diff, verify, anchor, export, prune"),
    "env": CommandEntry("environments", "environments: list, show, ports"),
    "locks": CommandEntry("operate", "what is locked, and by which run"),
    "unlock": CommandEntry("operate", "take a lock from a run that will never finish"),
    "diagnose": CommandEntry("diagnose", "a decision tree: checks what it can, asks the rest, says what to do"),
    "training": CommandEntry("training", "who has passed what: status, sign-off, certificate"),
    "site": CommandEntry("site", "the docs site: build, serve"),
    "drill": CommandEntry("training", "a timed fault to find and fix: list, start, status, hint, stop"),
    "lab": CommandEntry("lab", "open a page in JupyterLab, to practise"),
    "doctor": CommandEntry("doctor", "what would keep opsbook, or one run, from working"),
    "completion": CommandEntry("cli", "print the completion script for bash, zsh or fish"),
    "session": CommandEntry("lab", ""),
}


def module(name: str) -> ModuleType:
    """The module of a command, with `configure` and `execute`."""
    return importlib.import_module(f"opsbook.{COMMANDS[name].feature}.commands.{name}")
