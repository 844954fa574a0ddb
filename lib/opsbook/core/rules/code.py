"""C001 to C004, C006, C007, C013, C014: the code of Python cells. Shell cells are not checked."""

import ast
import difflib
import re
from collections.abc import Iterator

import opsbook
from opsbook import params
from opsbook.core.model.runbook import Cell, Role, Runbook, Step
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Found, Known, at, calls, cells
from opsbook.core.source import names
from opsbook.core.source.names import Call

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
_HOMES = {
    **dict.fromkeys(("Annotated", "Literal"), "typing"),
    **dict.fromkeys(params.__all__, "opsbook.params"),
    **dict.fromkeys(opsbook.__all__, "opsbook"),
}
"""Where a page imports these names from."""

_ARGUMENTS = {
    name: frozenset(words.split())
    for name, words in {
        "ask": "name question choices key",
        "attach": "name data key",
        "command": "argv cwd env stdin expect timeout changes idempotent pretend ignore key",
        "confirm": "name question key",
        "done": "step",
        "http": "method url json data headers expect timeout changes idempotent pretend ignore key",
        "kubectl": "manifest file options timeout idempotent pretend ignore key",
        "note": "text key",
        "notify": "event values pretend key",
        "playbook": "name limit tags skip_tags verbosity vars max_unreachable timeout changes check pretend ignore key",
        "promql": "query over step prometheus timeout ignore key",
        "secret": "name key",
        "sql": "statement values database password rows changes timeout idempotent pretend ignore key",
        "terraform": "action folder plan vars env backend timeout pretend ignore key",
        "value": "name make",
        "wait_until": "name check timeout every ignore key",
    }.items()
}
"""What the effects take by name. A test compares it with their code, whose import takes longer than a check."""

_OF_IPYTHON = frozenset({"In", "Out", "display", "get_ipython", "__annotations__", "__builtins__", "__file__"})
_NUMBERED = re.compile(r"_+|_(?:i+|[id]h|oh|i?\d+)")
"""Earlier inputs and results, as IPython names them."""

_ANY_NAME = frozenset({"*", "annotations", "dir", "exec", "get_ipython", "globals", "locals", "vars"})
"""Whoever uses or imports these may define names that are not written down, or need none (`__future__`)."""


def _syntax(runbook: Runbook, _: Known) -> Found:
    """C001: a cell that is not Python."""
    for _step, cell in cells(runbook):
        if cell.language != "python":
            continue
        # What was not written for opsbook may hold what only IPython understands, and runs in IPython.
        error = names.tree(names.without_magics(cell) if runbook.bare else cell)
        if isinstance(error, SyntaxError):
            line = cell.line + (error.lineno or 1) - 1
            yield at(runbook, line, "C001", f"not Python: {error.msg}", column=error.offset or 1)


def _forbidden_calls(runbook: Runbook, _: Known) -> Found:
    """C002, C003: calls that end the kernel, or bypass the gate."""
    for _step, call in calls(runbook):
        root = call.name.split(".")[0]
        if call.name in _ENDS:
            text = f"{call.name}() ends the kernel; raise an error, or let the cell end"
            yield at(runbook, call.line, "C002", text, column=call.column)
        elif call.name in _SIDE or (root in _SIDE_MODULES and "." in call.name) or _writes(call):
            text = (
                f"{call.name}() acts without the gate: no journal, no replay; use an effect (playbook, http, command)"
            )
            yield at(runbook, call.line, "C003", text, column=call.column)


def _writes(call: Call) -> bool:
    if call.name.rpartition(".")[2] in ("write_text", "write_bytes"):
        return True
    return call.name == "open" and bool(_WRITE_MODES & set(call.literal(1, "mode") or "r"))


def _chance(runbook: Runbook, _: Known) -> Found:
    """C004: a value that will differ in a replay."""
    found = [call for _step, call in calls(runbook)]
    recorded = {inner for call in found if call.name == "value" for inner in ast.walk(call.node)}
    for call in found:
        if call.node in recorded:
            continue
        if call.name in _RANDOM or (call.name.split(".")[0] in _RANDOM_MODULES and "." in call.name):
            text = f"{call.name}() gives another value each time; wrap it: value('name', lambda: {call.name}())"
            yield at(runbook, call.line, "C004", text, column=call.column, warning=True)


def _playbooks(runbook: Runbook, known: Known) -> Found:
    """C006: a playbook that is not there."""
    for _step, call in calls(runbook):
        name = call.literal(0, "name") if call.name == "playbook" else None
        if name is not None and name not in known.playbooks:
            text = f"there is no playbooks/{name}. {nearest(name, known.playbooks)}"
            yield at(runbook, call.line, "C006", text, column=call.column)


def _question_names(runbook: Runbook, _: Known) -> Found:
    """C007: a question must have a literal name, used once."""
    manual = (question for question in names.questions(runbook.steps()) if question.kind == "manual")
    seen = {question.name for question in manual}
    for _step, call in calls(runbook):
        if call.name not in ("ask", "confirm"):
            continue
        name = call.literal(0, "name")
        if name is None:
            yield at(runbook, call.line, "C007", f"{call.name}() needs a literal name", column=call.column)
        elif name in seen:
            text = f"the question {name} is there twice; each needs its own name"
            yield at(runbook, call.line, "C007", text, column=call.column)
        seen.add(name or "")


def _undefined(runbook: Runbook, _: Known) -> Found:
    """C013: a name that no cell defines before it is used, or that is imported from where it is not."""
    steps = [step for step in runbook.all_steps() if step.role is not Role.PROSE]
    python = [cell for step in steps for cell in _python(step)]
    if any(isinstance(names.tree(cell), SyntaxError) for cell in python):
        return
    for line, column, name, module in (found for cell in python for found in names.imported(cell)):
        if module in _HOMES.values() and _HOMES.get(name, module) != module:
            text = f"{module} has no {name}: from {_HOMES[name]} import {name}"
            yield at(runbook, line, "C013", text, column=column)
    defined = {parameter.name for parameter in runbook.parameters}.union(*map(names.bound, python))
    read = [found for cell in python for found in names.used(cell)]
    if _ANY_NAME & (defined | {name for name, _line, _column in read}):
        return
    for name, line, column in read:
        if name not in defined | names.BUILTINS | _OF_IPYTHON and not _NUMBERED.fullmatch(name):
            yield at(runbook, line, "C013", f"no cell defines {name}{_way(name, defined)}", column=column)
    yield from _too_early(runbook, defined)


def _own_names(python: list[Cell]) -> set[str]:
    """Names that cells import from opsbook as they are, and that nothing else in the page has."""
    nodes = [node for cell in python if isinstance(found := names.tree(cell), ast.Module) for node in ast.walk(found)]
    imports = [(node.module, each) for node in nodes if isinstance(node, ast.ImportFrom) for each in node.names]
    others = {each.asname or each.name for module, each in imports if module != "opsbook" or each.asname}
    others |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    return {each.name for module, each in imports if module == "opsbook" and not each.asname} - others


def _arguments(runbook: Runbook, _: Known) -> Found:
    """C014: an argument that an effect does not take."""
    python = [cell for step in runbook.all_steps() if step.role is not Role.PROSE for cell in _python(step)]
    ours = _own_names(python)
    for _step, call in calls(runbook):
        for given in call.node.keywords if call.name in ours else ():
            known = _ARGUMENTS.get(call.name)
            if known and given.arg is not None and given.arg not in known:
                text = f"{call.name}() takes no {given.arg}. {nearest(given.arg, known)}".rstrip()
                yield at(runbook, call.line, "C014", text, column=call.column)


def _too_early(runbook: Runbook, defined: set[str]) -> Found:
    """Names that are read before the cell that defines them has run. A rollback has a rule of its own."""
    before = {parameter.name for parameter in runbook.parameters} | names.BUILTINS
    parameters = (step for step in runbook.all_steps() if step.role is Role.PARAMETERS)
    for cell in (cell for step in (*parameters, *runbook.forward()) for cell in _python(step)):
        before |= names.bound(cell)
        for name, line, column in names.used_at_once(cell):
            if name in defined - before:
                yield at(runbook, line, "C013", f"no cell defines {name} before this one", column=column)


def _python(step: Step) -> Iterator[Cell]:
    return (cell for cell in step.cells if cell.language == "python")


def _way(name: str, defined: set[str]) -> str:
    if name in _HOMES:
        return f": from {_HOMES[name]} import {name}"
    near = difflib.get_close_matches(name, defined, n=1, cutoff=0.7)
    return f". Did you mean {near[0]}?" if near else ""


CHECKS = (_syntax, _forbidden_calls, _chance, _playbooks, _question_names, _undefined, _arguments)
