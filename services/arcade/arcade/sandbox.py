"""A restricted Lua runtime: no way out to Python or the system, bounded in steps, time and memory."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

from lupa import lua54

from arcade import jsontext
from arcade.errors import HandlerError
from arcade.values import to_lua, to_python

MEMORY_LIMIT = 32 * 1024 * 1024
_BOOTSTRAP = Path(__file__).with_name("sandbox.lua")
_PLACE = re.compile(r"[\w./-]+\.lua:\d+: ")

# A call from Lua into the host answers (problem, value); exactly one of them counts.
HostCall = Callable[..., tuple[str | None, Any]]


class Sandbox:
    """One Lua runtime. Not to be used by two threads at the same time."""

    def __init__(self, memory_limit: int = MEMORY_LIMIT) -> None:
        self._memory_limit = memory_limit
        self.lua = lua54.LuaRuntime(
            register_eval=False,
            register_builtins=False,
            unpack_returned_tuples=True,
            attribute_filter=_no_attributes,
            max_memory=memory_limit,
        )
        calls = self.lua.table_from({"decode": self._json_decode, "encode": self._json_encode})
        self._tools = self.lua.execute(_BOOTSTRAP.read_text(encoding="utf-8"), calls)

    def compile(self, text: str, name: str) -> Any:
        """The chunk as a function, in an environment of its own. Raises HandlerError with file and line."""
        compiled = self._tools["compile"](text, name)
        if isinstance(compiled, tuple):
            raise HandlerError(one_line(str(compiled[1])))
        return compiled

    def call(self, function: Any, name: str, *arguments: Any) -> Any:
        """What the Lua `function` returns, as a Lua value.

        Raises HandlerError that begins with file and line; `name` is the file when Lua gave no place.
        Errors of the store other than a wrong argument pass through as they are.
        """
        self._tools["arm"]()
        try:
            return function(*arguments)
        except lua54.LuaMemoryError as error:
            limit = self._memory_limit // (1024 * 1024)
            problem = f"the handler needs more than {limit} MiB, or never returns"
            raise HandlerError(f"{name}:1: {problem}") from error
        except lua54.LuaError as error:
            raise HandlerError(_with_place(str(error), name)) from error
        except UnicodeDecodeError as error:
            raise HandlerError(f"{name}:1: the handler made text that is not UTF-8") from error
        finally:
            self._tools["disarm"]()

    def store(self, calls: Mapping[str, HostCall]) -> Any:
        """The read-only Lua table through which handlers reach the store."""
        return self._tools["store"](self.lua.table_from(dict(calls)))

    def to_lua(self, value: object) -> Any:
        """A JSON-like value as Lua sees it; lists stay lists even when they are empty."""
        return to_lua(value, self.lua.table_from, self._tools["array"])

    def to_python(self, value: Any) -> Any:
        """A Lua value as JSON-like Python. Raises ValueError for functions, cycles and odd keys."""
        return to_python(value, lua54.lua_type, self._tools["is_array"])

    def _json_decode(self, text: object = None, *_: object) -> tuple[str | None, Any]:
        if not isinstance(text, str):
            return "json.decode needs a string", None
        try:
            return None, self.to_lua(jsontext.loads(text))
        except ValueError:
            return None, None

    def _json_encode(self, value: Any = None, *_: object) -> tuple[str | None, Any]:
        try:
            return None, jsontext.dumps(self.to_python(value))
        except ValueError as error:
            return f"json.encode: {error}", None


def one_line(text: str) -> str:
    """Lua's message without its stack trace, on one line."""
    return " ".join(text.partition("\nstack traceback:")[0].split())


def _with_place(text: str, name: str) -> str:
    line = one_line(text)
    return line if _PLACE.match(line) else f"{name}:1: {line or 'the handler failed'}"


def _no_attributes(_owner: object, name: object, _is_setting: bool) -> NoReturn:
    raise AttributeError(f"Lua code has no access to {name!r}")
