"""Lua handlers: what they may do, and how their errors look."""

import time
from pathlib import Path

import pytest

from arcade.errors import HandlerError, MalformedError, RefusedError, UnknownActionError
from arcade.handlers import HandlerSet, load_handlers
from arcade.memory_store import MemoryStore
from arcade.message import Message, parse_message
from arcade.sandbox import Sandbox


def handler_set(folder: Path, body: str) -> HandlerSet:
    """One handler for the action Try whose function has `body` from line 3 on."""
    text = f'return {{ action = "Try",\nhandle = function(msg, store)\n{body}\nend }}\n'
    (folder / "try.lua").write_text(text)
    return load_handlers(folder)


def output(folder: Path, body: str, data: str = "") -> object:
    return handler_set(folder, body).handle(Message("Try", "ann", data), MemoryStore()).output


@pytest.mark.parametrize(
    "name", ["os", "io", "load", "require", "python", "debug", "pcall", "coroutine", "getmetatable", "_G"]
)
def test_there_is_no_way_out(tmp_path: Path, name: str) -> None:
    with pytest.raises(HandlerError, match=rf"^handlers/try\.lua:3: unknown name '{name}'$"):
        output(tmp_path, f"return {{ output = {name}.x }}")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("while true do end", "runs too long"),
        ("for i = 1, math.huge do local t = {} end", "runs too long"),
        ("local t = {} while true do t[#t + 1] = 'a' .. #t end", "MiB|runs too long"),
        ("local function f() return 1 + f() end return f()", "or never returns"),
        ("error({})", "an error of type table"),
        ("error(nil)", "an error of type nil"),
        ("counter = 1", "global 'counter' is not allowed"),
        ("string.upper = nil", "cannot be changed"),
        ("store.top = nil", "cannot be changed"),
        ("local x = store.top('3')", "store.top argument 1 is a str"),
        ("local x = store.top()", "store.top argument 1 is a NoneType"),
        ("local x = store.top(1, 2)", "store.top takes 1 arguments, not 2"),
        ("local x = store.drop()", "attempt to call a nil value"),
        ("local x = ('a'):rep(3)", "attempt to call a nil value"),
        ("return { output = print }", "unknown name 'print'"),
        ("return { output = type }", "a function is no data"),
        ("return 5", "must return a table"),
        ("return { messages = 'x' }", "messages must be an array"),
        ("local t = {} t.t = t return { output = t }", "nested too deep"),
        ("return { output = { [1.5] = 1 } }", "1.5 is no key"),
        ("return { output = utf8.char(0xD800) }", "is no data"),
        ("return utf8.char(0xD800)", "not UTF-8"),
        ("store.player_name(utf8.char(0xD800))", "not UTF-8"),
        ("error(utf8.char(0xD800))", ""),
    ],
)
def test_an_error_names_file_and_line(tmp_path: Path, body: str, message: str) -> None:
    with pytest.raises(HandlerError, match=rf"^handlers/try\.lua:[13]: .*({message})"):
        output(tmp_path, body)


def test_an_endless_loop_ends_soon_and_the_runtime_survives(tmp_path: Path) -> None:
    handlers = handler_set(tmp_path, "if msg.Data == 'loop' then while true do end end return { output = 1 }")
    started = time.monotonic()
    with pytest.raises(HandlerError):
        handlers.handle(Message("Try", data="loop"), MemoryStore())
    assert time.monotonic() - started < 30
    assert handlers.handle(Message("Try"), MemoryStore()).output == 1


def test_lists_and_objects_keep_their_kind(tmp_path: Path) -> None:
    assert output(tmp_path, "return { output = store.top(5) }") == []
    assert output(tmp_path, "return { output = {} }") == {}
    assert output(tmp_path, "return { output = { 1, { a = 'ä' }, array() } }") == [1, {"a": "ä"}, []]


def test_json_for_handlers(tmp_path: Path) -> None:
    body = "return { output = { back = json.encode(json.decode(msg.Data)), bad = json.decode('{') } }"
    assert output(tmp_path, body, '{"a":[1,[],{"b":null}]}') == {"back": '{"a":[1,[],{}]}'}
    for data in ("[" * 5000, '"\\ud800"', "1" * 400, "NaN"):
        assert output(tmp_path, "return { output = json.decode(msg.Data) }", data) is None


def test_two_runtimes_share_nothing() -> None:
    one, other = Sandbox(), Sandbox()
    assert one.lua is not other.lua


def test_unknown_action_and_refusal(tmp_path: Path) -> None:
    handlers = handler_set(tmp_path, "return { refuse = 'not today' }")
    with pytest.raises(RefusedError, match=r"^not today$"):
        handlers.handle(Message("Try"), MemoryStore())
    with pytest.raises(UnknownActionError):
        handlers.handle(Message("Other"), MemoryStore())


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b'{"Action": 5}',
        b'{"Action": "A", "Data": {}}',
        b'{"Action": "A", "Tags": "x"}',
        b'{"Action": "A", "Tags": ["x"]}',
        b'{"Action": "A", "Tags": [{"name": "x"}]}',
        b'{"Action": "A", "Tags": {"x": 5}}',
        b'{"Action": "A", "Data": "\\ud800"}',
        b'{"Action": "A", "Data": NaN}',
        b'{"Action": "A", "Data": "\xff"}',
        b'{"Action": "' + b"a" * 65 + b'"}',
        b'{"Action": "A", "From": "' + b"a" * 129 + b'"}',
        b'{"Action": "A", "Tags": ' + b"[" * 30_000 + b"]" * 30_000 + b"}",
    ],
)
def test_malformed_messages(body: bytes) -> None:
    with pytest.raises(MalformedError):
        parse_message(body)


def test_both_shapes_of_tags() -> None:
    as_list = parse_message(b'{"Action": "A", "Tags": [{"name": "k", "value": "v"}]}')
    as_object = parse_message(b'{"Action": "A", "Tags": {"k": "v"}, "Owner": "ignored"}')
    assert as_list == as_object == Message("A", tags={"k": "v"})
