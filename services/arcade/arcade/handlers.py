"""The message handlers of one tree, loaded into one Lua runtime."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from arcade.errors import ArcadeError, HandlerError, RefusedError, UnknownActionError
from arcade.message import Message, Reply
from arcade.sandbox import MEMORY_LIMIT, Sandbox
from arcade.store import Store, host_calls


@dataclass(frozen=True)
class Handler:
    """One handler: its file as `handlers/name.lua`, its action, its Lua function."""

    name: str
    action: str
    function: Any


class HandlerSet:
    """Handlers by action. Like its Sandbox, not to be used by two threads at the same time."""

    def __init__(self, sandbox: Sandbox, handlers: list[Handler]) -> None:
        self._sandbox = sandbox
        self._by_action = {handler.action: handler for handler in handlers}

    @property
    def actions(self) -> list[str]:
        """The known actions, sorted."""
        return sorted(self._by_action)

    def handle(self, message: Message, store: Store) -> Reply:
        """What the handler of the message's action answers.

        Raises UnknownActionError, RefusedError with the handler's reason, HandlerError with file and line,
        and what the store raises.
        """
        handler = self._by_action.get(message.action)
        if handler is None:
            raise UnknownActionError(f"no handler for the action {message.action!r}")
        sandbox = self._sandbox
        calls = sandbox.store(host_calls(store, sandbox.to_lua))
        answer = sandbox.call(handler.function, handler.name, sandbox.to_lua(message.for_lua()), calls)
        return self._reply(handler, answer)

    def _reply(self, handler: Handler, answer: Any) -> Reply:
        try:
            fields = self._sandbox.to_python(answer)
        except ValueError as error:
            raise HandlerError(f"{handler.name}:1: the answer is no data: {error}") from error
        if not isinstance(fields, dict):
            raise HandlerError(f"{handler.name}:1: a handler must return a table of output, messages, refuse")
        if "refuse" in fields:
            raise RefusedError(str(fields["refuse"]))
        messages = fields.get("messages", [])
        if not isinstance(messages, list):
            raise HandlerError(f"{handler.name}:1: messages must be an array")
        return Reply(output=fields.get("output"), messages=messages)


def load_handlers(folder: Path, memory_limit: int = MEMORY_LIMIT) -> HandlerSet:
    """The handlers of `folder`, in a runtime with `memory_limit` bytes. Raises ArcadeError with every problem found."""
    sandbox = Sandbox(memory_limit)
    handlers, problems = compile_handlers(sandbox, folder)
    if problems:
        raise ArcadeError("\n".join(problems))
    return HandlerSet(sandbox, handlers)


def compile_handlers(sandbox: Sandbox, folder: Path) -> tuple[list[Handler], list[str]]:
    """The handlers that compile, and one `handlers/file.lua:line: message` for each problem."""
    handlers: list[Handler] = []
    problems: list[str] = []
    for path in sorted(folder.glob("*.lua")):
        try:
            handlers.append(_compile(sandbox, path, handlers))
        except HandlerError as error:
            problems.append(str(error))
    if not handlers and not problems:
        problems.append(f"{folder} holds no handlers")
    return handlers, problems


def read_lua(path: Path, name: str) -> str:
    """The text of a Lua file. Raises HandlerError when it cannot be read as UTF-8."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise HandlerError(f"{name}:1: the file cannot be read: {error}") from error


def _compile(sandbox: Sandbox, path: Path, known: list[Handler]) -> Handler:
    name = f"handlers/{path.name}"
    made = sandbox.call(sandbox.compile(read_lua(path, name), name), name)
    shape = dict(made.items()) if hasattr(made, "items") else {}
    action, function = shape.get("action"), shape.get("handle")
    if not isinstance(action, str) or not action or not callable(function):
        raise HandlerError(f"{name}:1: a handler file must return {{ action = string, handle = function }}")
    for other in known:
        if other.action == action:
            raise HandlerError(f"{name}:1: the action {action!r} is already handled by {other.name}")
    return Handler(name, action, function)
