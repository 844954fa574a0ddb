"""C005, C008 to C012: what effects and shell cells may do, and whether a cell was written to be run by nobody."""

import re

from opsbook.core.model.kubectl import CHANGES, kubectl_verb
from opsbook.core.model.runbook import SHELLS, Cell, Role, Runbook
from opsbook.core.rules.base import Found, Known, at, calls, cells
from opsbook.core.source.names import Call
from opsbook.core.source.prompts import unanswered, way_out

_COMPARED = ("http", "command", "playbook", "wait_until", "effect", "sql", "promql", "kubectl", "terraform")
_PLACEHOLDER = re.compile(r"(?<![<\w])<[A-Za-z](?:[A-Za-z0-9_ .-]*[A-Za-z0-9_])?>")
_QUOTED = re.compile(r"""\\.|'[^']*'|"(?:\\.|\$\([^()]*\)|[^"\\])*"|(?:^|(?<=\s))\#[^\n]*""", re.MULTILINE | re.DOTALL)
_PROMPTS = ("$ ", "# ")


def _changes_where_only_reading(runbook: Runbook, _: Known) -> Found:
    """C005: a changing effect in a section that reads."""
    for step, call in calls(runbook):
        if step.role is Role.READ and _changes(call):
            text = f"{call.name}() changes something, and {step.section} may only read; move it, or say changes=False"
            yield at(runbook, call.line, "C005", text, column=call.column)
    for step, cell in cells(runbook):
        if step.role is Role.READ and cell.language in SHELLS and not cell.reads:
            text = f'a {cell.language} cell changes, and {step.section} may only read; move it, or say tags=["read"]'
            yield at(runbook, cell.line - 1, "C005", text)


def _changes(call: Call) -> bool:
    if call.flag("changes") is not None:
        return bool(call.flag("changes"))
    if call.flag("check"):
        return False
    first = call.literal(0, "action" if call.name == "terraform" else "method") or ""
    match call.name:
        case "http":
            return (first or "GET").upper() not in ("GET", "HEAD")
        case "kubectl":
            return kubectl_verb((first, call.literal(1, "") or "")) in CHANGES
        case "terraform":
            return first == "apply"
    return call.name in ("playbook", "command")


def _said_to_read(runbook: Runbook, _: Known) -> Found:
    """C008: an author's claim that something only reads, shown to every reviewer."""
    for _step, call in calls(runbook):
        if call.name in ("playbook", "command", "http", "sql") and call.flag("changes") is False:
            text = f"{call.name}() is declared to change nothing; a reviewer should agree"
            yield at(runbook, call.line, "C008", text, column=call.column, warning=True)
    for _step, cell in cells(runbook):
        if cell.reads:
            text = f"this {cell.language} cell is declared to change nothing; a reviewer should agree"
            yield at(runbook, cell.line - 1, "C008", text, warning=True)


def _not_written_to_run(runbook: Runbook, _: Known) -> Found:
    """C009: a shell prompt or a placeholder in a cell that runs."""
    for _step, cell in cells(runbook):
        if cell.language not in SHELLS:
            continue
        for line, text in enumerate(cell.body.split("\n"), cell.line):
            word = _PLACEHOLDER.search(text)
            if prompt := _prompt(text, cell):
                said = f"{prompt!r} is a prompt, and this cell runs; remove it, or use a console fence"
                yield at(runbook, line, "C009", said, warning=True)
            elif word:
                said = f"{word[0]} is for a person to replace, and this cell runs; make it a parameter"
                yield at(runbook, line, "C009", said, column=word.start() + 1, warning=True)


def _prompt(text: str, cell: Cell) -> str:
    """The prompt with which this line begins. A # is a prompt only if every line has a prompt, else a comment."""
    lines = [line.lstrip() for line in cell.body.split("\n") if line.strip()]
    prompt = next((prompt for prompt in _PROMPTS if text.lstrip().startswith(prompt)), "")
    return prompt if prompt == "$ " or all(line.startswith(_PROMPTS) for line in lines) else ""


def _unquoted_parameter(runbook: Runbook, _: Known) -> Found:
    """C010: an unquoted text parameter, which the shell would split."""
    texts = [re.escape(p.name) for p in runbook.parameters if p.base in ("str", "secret") and not p.choices]
    uses = re.compile(rf"(?<!=)\$(?:({'|'.join(texts)})\b|\{{({'|'.join(texts)})\}})")
    for _step, cell in cells(runbook) if texts else ():
        if cell.language not in SHELLS:
            continue
        # Quoted text and comments as blanks.
        script = _QUOTED.sub(lambda match: re.sub(r"[^\n]", " ", match[0]), cell.body)
        for line, text in enumerate(script.split("\n"), cell.line):
            found = uses.search(text) if "[[" not in text else None
            if found:
                said = f'the shell splits {found[0]} at its blanks; write "{found[0]}"'
                yield at(runbook, line, "C010", said, column=found.start() + 1, warning=True)


def _ignores_nothing(runbook: Runbook, _: Known) -> Found:
    """C012: an ignore= that has no effect: not a list, or on a call whose result is not compared."""
    for _step, call in calls(runbook):
        if call.name not in _COMPARED or call.argument("ignore") is None:
            continue
        if (said := call.literal(None, "ignore")) is not None:
            text = f"{call.name}(): ignore= takes a list of names, such as [{said!r}]"
            yield at(runbook, call.line, "C012", text, column=call.column)
        elif _changes(call):
            text = f"{call.name}() changes something, and only what is read is compared; take ignore= away"
            yield at(runbook, call.line, "C012", text, column=call.column)


def _asks(runbook: Runbook, known: Known) -> Found:
    """C011: a prompt that no call answers."""
    for _step, call in calls(runbook):
        name = call.literal(0, "name") if call.name == "playbook" else None
        if name is None or known.prompts is None:
            continue
        for prompt in unanswered(call, known.prompts(name)):
            text = f"{prompt}, and nobody can answer; {way_out(prompt)}"
            yield at(runbook, call.line, "C011", text, column=call.column, warning=not prompt.sure)


CHECKS = (
    _changes_where_only_reading,
    _said_to_read,
    _not_written_to_run,
    _unquoted_parameter,
    _ignores_nothing,
    _asks,
)
