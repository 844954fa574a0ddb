"""Rules about documents. Pure: what exists in the project comes in as `Known`.

A rule is a generator of problems; RULES lists them all, so a new rule is one function and one entry.
Codes: F front matter, D document form, P parameters cell, S sections, M ownership, C cells, R rollback.
"""

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from opsbook.model.runbook import Cell, Role, Runbook, Step
from opsbook.model.text import nearest, slug
from opsbook.source import names
from opsbook.source.names import Call
from opsbook.source.problem import Problem


@dataclass(frozen=True)
class Known:
    """What exists in the project besides the document."""

    playbooks: frozenset[str]


Found = Iterator[Problem]
Rule = Callable[[Runbook, Known], Found]

_CHANGING = frozenset({"deploy", "maintenance", "capacity", "recovery", "security", "environment"})
_ENDS = frozenset({"sys.exit", "exit", "quit", "os._exit", "os.abort"})
_SIDE = frozenset(
    {
        "os.system",
        "os.popen",
        "os.remove",
        "os.unlink",
        "os.rename",
        "shutil.rmtree",
        "shutil.copy",
        "urllib.request.urlopen",
    }
)
_SIDE_MODULES = frozenset({"subprocess", "requests", "httpx", "socket", "paramiko"})
_RANDOM = frozenset({"datetime.now", "datetime.utcnow", "datetime.datetime.now", "time.time", "date.today"})
_RANDOM_MODULES = frozenset({"random", "uuid", "secrets"})
_WRITE_MODES = frozenset("wax+")


def document(runbook: Runbook, known: Known) -> list[Problem]:
    """Every problem of one document."""
    return [problem for rule in RULES for problem in rule(runbook, known)]


def _at(runbook: Runbook, line: int, code: str, text: str, *, column: int = 1, warning: bool = False) -> Problem:
    return Problem(str(runbook.path), line, column, code, text, warning)


def _cells(runbook: Runbook) -> Iterator[tuple[Step, Cell]]:
    for section in runbook.sections:
        for step in section.steps:
            yield from ((step, cell) for cell in step.cells)


def _calls(runbook: Runbook) -> Iterator[tuple[Step, Call]]:
    for step, cell in _cells(runbook):
        yield from ((step, call) for call in names.calls(cell))


def _sections(runbook: Runbook, _: Known) -> Found:
    """S001: a section the kind needs is missing."""
    titles = {section.title.lower() for section in runbook.sections}
    front = runbook.front
    wanted = []
    if front.kind in _CHANGING:
        wanted.append("Steps")
    if front.kind == "incident":
        wanted.append("Mitigation")
    if front.kind == "deploy":
        wanted += ["Prerequisites", "Validation"]
    if front.rollback in ("automatic", "ask"):
        wanted.append("Rollback")
    for title in wanted:
        if title.lower() not in titles:
            yield _at(runbook, 1, "S001", f"a {front.kind} runbook with rollback {front.rollback} needs ## {title}")


def _prose_cells(runbook: Runbook, _: Known) -> Found:
    """S002: a cell where nothing may run."""
    for section in runbook.sections:
        for step in section.steps if section.role is Role.PROSE else ():
            for cell in step.cells:
                text = (
                    f"a cell under {section.title} never runs; move it to a section that runs, or use a console fence"
                )
                yield _at(runbook, cell.line, "S002", text)


def _parameters_cell(runbook: Runbook, _: Known) -> Found:
    """S003: the Parameters section holds one cell, tagged parameters."""
    for section in runbook.sections:
        if section.role is not Role.PARAMETERS:
            continue
        cells = [cell for step in section.steps for cell in step.cells]
        if len(cells) > 1:
            yield _at(runbook, cells[1].line, "S003", "only one cell may stand under Parameters")
        if cells and "parameters" not in cells[0].tags:
            yield _at(
                runbook,
                cells[0].line - 1,
                "S003",
                'the parameters cell opens with ```python tags=["parameters"]',
            )


def _step_names(runbook: Runbook, _: Known) -> Found:
    """S004: two steps whose titles give the same name."""
    # The parameters cell has this name in the journal.
    count = Counter([*(step.id for step in runbook.steps()), "parameters"])
    for step in runbook.steps():
        if count[step.id] > 1:
            yield _at(runbook, step.line, "S004", f"another step is also named {step.id}; change one title")


def _repeated_sections(runbook: Runbook, _: Known) -> Found:
    """S005: two sections with the same role's title."""
    seen: set[str] = set()
    for section in runbook.sections:
        title = section.title.lower()
        if section.role is not Role.PROSE and title in seen:
            yield _at(runbook, section.line, "S005", f"there is another ## {section.title}; put their steps together")
        seen.add(title)


def _ownership(runbook: Runbook, _: Known) -> Found:
    """M001, M002: nobody owns the page, or nobody ever reviewed it (warnings)."""
    if not runbook.front.owner:
        yield _at(runbook, 1, "M001", "no owner: who keeps this page right?", warning=True)
    if not runbook.front.reviewed:
        yield _at(runbook, 1, "M002", "no review date: reviewed: YYYY-MM-DD", warning=True)


def _syntax(runbook: Runbook, _: Known) -> Found:
    """C001: a cell that is not Python."""
    for _step, cell in _cells(runbook):
        error = names.tree(cell) if cell.language == "python" else None
        if isinstance(error, SyntaxError):
            line = cell.line + (error.lineno or 1) - 1
            yield _at(runbook, line, "C001", f"not Python: {error.msg}", column=error.offset or 1)


def _forbidden_calls(runbook: Runbook, _: Known) -> Found:
    """C002, C003: calls that end the kernel, or act behind the gate's back."""
    for _step, call in _calls(runbook):
        root = call.name.split(".")[0]
        if call.name in _ENDS:
            text = f"{call.name}() ends the kernel; raise an error, or let the cell end"
            yield _at(runbook, call.line, "C002", text, column=call.column)
        elif call.name in _SIDE or (root in _SIDE_MODULES and "." in call.name) or _writes(call):
            text = (
                f"{call.name}() acts without the gate: no journal, no replay; use an effect (playbook, http, command)"
            )
            yield _at(runbook, call.line, "C003", text, column=call.column)


def _writes(call: Call) -> bool:
    if call.name.rpartition(".")[2] in ("write_text", "write_bytes"):
        return True
    return call.name == "open" and bool(_WRITE_MODES & set(call.literal(1, "mode") or "r"))


def _chance(runbook: Runbook, _: Known) -> Found:
    """C004: a value that will differ in a replay (warning)."""
    calls = [call for _step, call in _calls(runbook)]
    recorded = {inner for call in calls if call.name == "value" for inner in ast.walk(call.node)}
    for call in calls:
        if call.node in recorded:
            continue
        if call.name in _RANDOM or (call.name.split(".")[0] in _RANDOM_MODULES and "." in call.name):
            text = f"{call.name}() gives another value each time; wrap it: value('name', lambda: {call.name}())"
            yield _at(runbook, call.line, "C004", text, column=call.column, warning=True)


def _changes_where_only_reading(runbook: Runbook, _: Known) -> Found:
    """C005: a changing effect in a section that reads."""
    for step, call in _calls(runbook):
        if step.role is Role.READ and _changes(call):
            text = f"{call.name}() changes something, and {step.section} may only read; move it, or say changes=False"
            yield _at(runbook, call.line, "C005", text, column=call.column)


def _changes(call: Call) -> bool:
    if call.flag("changes") is not None:
        return bool(call.flag("changes"))
    if call.name == "http":
        return (call.literal(0, "method") or "GET").upper() not in ("GET", "HEAD")
    return call.name in ("playbook", "command")


def _playbooks(runbook: Runbook, known: Known) -> Found:
    """C006: a playbook that is not there."""
    for _step, call in _calls(runbook):
        name = call.literal(0, "name") if call.name == "playbook" else None
        if name is not None and name not in known.playbooks:
            text = f"there is no playbooks/{name}. {nearest(name, known.playbooks)}"
            yield _at(runbook, call.line, "C006", text, column=call.column)


def _question_names(runbook: Runbook, _: Known) -> Found:
    """C007: a question must have a literal name, used once."""
    seen: dict[str, int] = {
        question.name: 0 for question in names.questions(runbook.steps()) if question.kind == "manual"
    }
    for _step, call in _calls(runbook):
        if call.name not in ("ask", "confirm"):
            continue
        name = call.literal(0, "name")
        if name is None:
            yield _at(runbook, call.line, "C007", f"{call.name}() needs a literal name", column=call.column)
        elif name in seen:
            text = f"the question {name} is there twice; each needs its own name"
            yield _at(runbook, call.line, "C007", text, column=call.column)
        seen[name or ""] = call.line


def _said_to_read(runbook: Runbook, _: Known) -> Found:
    """C008: an author's word that something only reads (warning: shown to every reviewer)."""
    for _step, call in _calls(runbook):
        if call.name in ("playbook", "command", "http") and call.flag("changes") is False:
            text = f"{call.name}() is declared to change nothing; a reviewer should agree"
            yield _at(runbook, call.line, "C008", text, column=call.column, warning=True)


def _rollback_names(runbook: Runbook, _: Known) -> Found:
    """R001: the rollback may rely only on what a fresh kernel can know again."""
    safe = set(names.BUILTINS) | {parameter.name for parameter in runbook.parameters}
    for step, cell in _cells(runbook):
        if step.role in (Role.UNDO, Role.PARAMETERS) or step.section.lower() == "prerequisites":
            safe |= names.bound(cell)
    for step, cell in _cells(runbook):
        for name, line, column in names.used(cell) if step.role is Role.UNDO else ():
            if name not in safe:
                text = f"the rollback uses {name}, which only a later step defines; define it under Prerequisites"
                yield _at(runbook, line, "R001", text, column=column)


def _done_names(runbook: Runbook, _: Known) -> Found:
    """R002: done() must name a step of this page."""
    steps = {step.id for step in runbook.steps()}
    for _step, call in _calls(runbook):
        name = call.literal(0, "step") if call.name == "done" else None
        if name is not None and slug(name) not in steps:
            yield _at(
                runbook,
                call.line,
                "R002",
                f"no step is named {name}. {nearest(slug(name), steps)}",
                column=call.column,
            )


def _locks(runbook: Runbook, _: Known) -> Found:
    """F004: a lock names a target by parameters that exist and are not secret."""
    usable = {p.name for p in runbook.parameters if not p.secret} | {"environment"}
    for target in runbook.front.lock:
        for name in placeholders(target):
            if name not in usable:
                line = next((n for n, text in enumerate(runbook.source.split("\n"), 1) if text.startswith("lock:")), 1)
                yield _at(runbook, line, "F004", f"the lock names {{{name}}}. {nearest(name, usable)}")


def placeholders(target: str) -> list[str]:
    """The names in braces of a lock target."""
    import string

    try:
        return [name for _, name, _, _ in string.Formatter().parse(target) if name is not None]
    except ValueError:
        return [target]


RULES: tuple[Rule, ...] = (
    _sections,
    _prose_cells,
    _parameters_cell,
    _step_names,
    _repeated_sections,
    _ownership,
    _syntax,
    _forbidden_calls,
    _chance,
    _changes_where_only_reading,
    _playbooks,
    _question_names,
    _said_to_read,
    _rollback_names,
    _done_names,
    _locks,
)
