"""The names that cells import from opsbook, as Markdown."""

import dataclasses
import inspect
import re
import typing
from collections.abc import Callable, Iterator
from typing import Any

import opsbook
from opsbook import errors
from tools.reference.text import annotation, documented, fence, link, sentence, table, unqualified

_WIDTH = 100
"""Characters of a signature on one line; a longer one has one line for each parameter."""

_RAISES = re.compile(r"\bRaises\s+((?:(?!\.\s).)*)", re.DOTALL)
_ERROR = re.compile(r"\b(?:EffectFailed|[A-Z][A-Za-z]*Error)\b")

_CHANGES = {
    True: "yes, unless `changes=False`",
    None: "by its method, unless `changes` says it",
    False: "with `changes=True`",
}
"""The column *changes*, by the default of the parameter `changes`."""

_BY_ITS_WORDS = {"kubectl": "by its verb", "notify": "yes", "terraform": "`apply` does"}

_HEAD = """\
[Effects, in words](../effects.md) says how effects work. Common to all of them:

- `changes` says whether the effect changes an external system. A changing effect is refused in a section that only
  reads, and as part of an effect that does not change anything.
- `key` names a call. Effects that run in parallel, or in a loop whose length may change, each need one.
- `idempotent` says that the effect may run again when its outcome is unknown.
- `pretend` is the result that a check gives the cell, since the real one is unknown.
- `ignore` names the parts of an answer that vary by themselves: they count as no difference when a run resumes, nor
  between two records. In JSON a name stands for its values at any depth (`"instance"`, `"build.host"`); in any other
  text, for the lines that contain it.

Besides the errors under *raises*, each effect may end the run with one of these, which no cell can catch:

"""


def body() -> str:
    things = {name: getattr(opsbook, name) for name in opsbook.__all__}
    effects = {name: thing for name, thing in things.items() if inspect.isfunction(thing)}
    classes = {thing.__name__: thing for thing in things.values() if inspect.isclass(thing)}
    classes |= _results(effects.values())
    others = {name: thing for name, thing in things.items() if name not in effects and name not in classes}
    parts = [_HEAD, _stops(), "## Functions\n"]
    parts += [_effect(name, effect, classes) for name, effect in effects.items()]
    parts += ["## The run\n", *(_context(name, thing) for name, thing in others.items())]
    parts += ["## Results and errors\n", *(_class(classes[name]) for name in sorted(classes))]
    return "\n".join(parts)


def _stops() -> str:
    """What ends a run, in a list."""
    found = errors.RunStopped.__subclasses__()
    return "".join(f"- `{each.__name__}`: {_lower(inspect.getdoc(each) or '')}\n" for each in found)


def _lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def _results(effects: typing.Iterable[Callable[..., Any]]) -> dict[str, type]:
    """Classes that effects return, and those of their fields."""
    todo = [inspect.signature(effect).return_annotation for effect in effects]
    found: dict[str, type] = {}
    while todo:
        kind = todo.pop()
        todo += typing.get_args(kind)
        if isinstance(kind, type) and dataclasses.is_dataclass(kind) and kind.__name__ not in found:
            found[kind.__name__] = kind
            todo += typing.get_type_hints(kind).values()
    return found


def _effect(name: str, effect: Callable[..., Any], classes: dict[str, type]) -> str:
    facts = table(("changes", "gives back", "raises"), [(_changes(effect), _given(effect, classes), _raised(effect))])
    return "\n".join([f"### {name}\n", fence("python", signature(name, effect)), facts, f"{_text(effect)}\n"])


def _text(thing: object) -> str:
    """The docstring, with its code in fences."""
    text = inspect.getdoc(thing) or ""
    code = re.compile(r"(?:^ {4}.*\n?|^\n(?= {4}))+", re.MULTILINE)
    return code.sub(lambda match: "\n" + fence("python", inspect.cleandoc(match[0])), text)


def _changes(effect: Callable[..., Any]) -> str:
    parameter = inspect.signature(effect).parameters.get("changes")
    if parameter is None:
        return _BY_ITS_WORDS.get(effect.__name__, "no")
    return "as it is declared" if parameter.default is parameter.empty else _CHANGES[parameter.default]


def _given(effect: Callable[..., Any], classes: dict[str, type]) -> str:
    """What it returns, with a link if the class is documented."""
    text = annotation(inspect.signature(effect).return_annotation)
    if text == "None":
        return "nothing"
    if text in classes:
        return f"[{text}]({link(_heading(classes[text]))})"
    return "[Secret](parameters.md#secret)" if text == "Secret" else f"`{text}`"


def _raised(effect: Callable[..., Any]) -> str:
    """The errors that its docstring names after "Raises"."""
    said = " ".join(_RAISES.findall(inspect.getdoc(effect) or ""))
    return ", ".join(f"`{name}`" for name in dict.fromkeys(_ERROR.findall(said))) or "nothing of its own"


def signature(name: str, function: Callable[..., Any]) -> str:
    """A signature as an author reads it, the same for every version of Python."""
    found = inspect.signature(function, eval_str=True)
    given = f" -> {annotation(found.return_annotation)}" if found.return_annotation is not found.empty else ""
    parts = list(_parts(found))
    line = f"{name}({', '.join(parts)}){given}"
    return line if len(line) <= _WIDTH else "\n".join([f"{name}(", *(f"    {part}," for part in parts), f"){given}"])


def _parts(found: inspect.Signature) -> Iterator[str]:
    star = False
    for parameter in found.parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            yield "*"
        if parameter.name != "self":
            yield unqualified(str(parameter))


def _context(name: str, thing: object) -> str:
    """A value that is neither function nor class: its own text, and that of its class."""
    module = inspect.getmodule(type(thing))
    said = documented(module).get(name, "") if module else ""
    parts = [f"### {name}\n", f"{_text(type(thing))}\n", f"It has: {sentence(said)[:1].lower()}{sentence(said)[1:]}\n"]
    return "\n".join([*parts, *_members(type(thing))])


def _heading(kind: type) -> str:
    return f"Class {kind.__name__}"


def _class(kind: type) -> str:
    """A class: its text, its fields, its methods and properties."""
    parts = [f"### {_heading(kind)}\n", f"{_text(kind)}\n"]
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        fields = (f"{field.name}: {annotation(hints[field.name])}" for field in dataclasses.fields(kind))
        parts.append(fence("python", "\n".join(fields)))
    else:
        parts.append(fence("python", signature(kind.__name__, kind)))
    return "\n".join([*parts, *_members(kind)])


def _members(kind: type) -> Iterator[str]:
    """Its own methods and properties that have a text."""
    for name, member in vars(kind).items():
        function = getattr(member, "func", None) or getattr(member, "fget", None) or member
        if not name.startswith("_") and inspect.isfunction(function) and function.__doc__:
            shown = f".{signature(name, function)}" if function is member else f".{name}"
            yield f"`{shown}`: {_text(function)}\n"
