"""`arcade check`: every handler compiles and passes its tests, without a database."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcade.errors import HandlerError
from arcade.handlers import Handler, compile_handlers, read_lua
from arcade.memory_store import MemoryStore
from arcade.sandbox import Sandbox
from arcade.store import host_calls

_HARNESS = Path(__file__).with_name("harness.lua")


@dataclass(frozen=True)
class CheckReport:
    """How many handlers and tests there are, and the problems as `handlers/file.lua:line: message`."""

    handlers: int
    tests: int
    problems: list[str]


def check(tree: Path) -> CheckReport:
    """Compile the handlers of `tree` and, when all compile, run the tests in handlers/tests."""
    sandbox = Sandbox()
    handlers, problems = compile_handlers(sandbox, tree / "handlers")
    if problems:
        return CheckReport(len(handlers), 0, problems)
    tests = 0
    for path in sorted((tree / "handlers" / "tests").glob("*.lua")):
        count, found = _run_file(sandbox, handlers, path)
        tests += count
        problems += found
    return CheckReport(len(handlers), tests, problems)


def _run_file(sandbox: Sandbox, handlers: list[Handler], path: Path) -> tuple[int, list[str]]:
    name = f"handlers/tests/{path.name}"
    try:
        cases = _cases(sandbox, path, name)
    except HandlerError as error:
        return 0, [str(error)]
    problems = []
    for title, case in sorted(cases.items()):
        try:
            sandbox.call(case, name, _harness(sandbox, handlers))
        except HandlerError as error:
            problems.append(f"{error} (in the test {title!r} of {name})")
    return len(cases), problems


def _cases(sandbox: Sandbox, path: Path, name: str) -> dict[str, Any]:
    made = sandbox.call(sandbox.compile(read_lua(path, name), name), name)
    cases = dict(made.items()) if hasattr(made, "items") else {}
    if not cases or not all(isinstance(title, str) and callable(case) for title, case in cases.items()):
        raise HandlerError(f"{name}:1: a test file must return a table of named functions")
    return cases


def _harness(sandbox: Sandbox, handlers: list[Handler]) -> Any:
    chunk = sandbox.compile(_HARNESS.read_text(encoding="utf-8"), "arcade/harness.lua")
    functions = sandbox.lua.table_from({handler.action: handler.function for handler in handlers})
    store = sandbox.store(host_calls(MemoryStore(), sandbox.to_lua))
    return sandbox.call(chunk, "arcade/harness.lua", functions, store)
