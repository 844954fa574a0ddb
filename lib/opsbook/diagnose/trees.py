"""Decision trees: pages in docs/trees/ whose first list is questions, answers, and what to do.

- Does it answer? `get arcade/health`
    - yes: Do players see errors?
        - yes: [Roll a service back](../runbooks/rollback-service.md)
        - no: All is well.
    - no: [Bring the platform up](../runbooks/platform-up.md)
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from opsbook.core.model.front import span_seconds, split
from opsbook.core.model.text import nearest
from opsbook.diagnose.tree import Check, Node, Tree
from opsbook.errors import InputError
from opsbook.files import parse_yaml
from opsbook.settings import Settings

FOLDER = "docs/trees"

_DEEPEST = 30
"""Nobody answers that many questions at 3 a.m., and what reads Markdown recurses."""

_ITEM = re.compile(r"^(\s*)[-*+] +(.*?)\s*$")
_FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
_CHECK = re.compile(r"\s*`((?:get|port) [^`]+)`\s*$")
_GET = re.compile(r"get (?P<where>[\w.-]+(?:/\S*)?)(?: is (?P<status>[1-5][0-9]{2}))?(?: within (?P<within>\S+))?")
_PORT = re.compile(r"port (?P<where>[\w.-]+:[0-9]+)(?: within (?P<within>\S+))?")


@dataclass
class _Item:
    indent: int
    text: str
    line: int
    children: "list[_Item]" = field(default_factory=list)


def names(settings: Settings) -> list[str]:
    """Names of all trees. What is called as the page of a whole folder is a page, and no tree."""
    return sorted(path.stem for path in (settings.root / FOLDER).glob("*.md") if path.stem not in ("index", "README"))


def load(settings: Settings, name: str) -> Tree:
    """The tree of this name. Raises InputError with file and line for what is none."""
    known = names(settings)
    if name not in known:
        raise InputError(f"There is no decision tree {name}. {nearest(name, known)}", f"Trees are pages in {FOLDER}/.")
    path = settings.root / FOLDER / f"{name}.md"
    try:
        return parse(path.read_text(encoding="utf-8"), f"{FOLDER}/{path.name}")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{FOLDER}/{path.name} cannot be read: {error}.", "Correct the file.") from error


def parse(text: str, shown: str) -> Tree:
    """The tree of a page. Raises InputError."""
    matter, start = split(text)
    try:
        front = parse_yaml(matter or "") or {}
    except yaml.YAMLError as error:
        raise InputError(f"{shown}:2: the front matter is not valid YAML: {error}.", "Correct it.") from error
    lines = text.split("\n")
    code = _code(lines)
    titles = [n for n in range(start, len(lines)) if n not in code and lines[n].startswith("# ")]
    heading = lines[titles[0]][2:].strip() if titles else Path(shown).stem
    first = next((n for n in range(start, len(lines)) if n not in code and _ITEM.match(lines[n])), None)
    if first is None:
        raise _wrong(shown, 1, "there is no list of questions", "Write `- A question?` and its answers below it.")
    root, end = _items(lines, first, shown)
    intro = "\n".join(lines[n] for n in range(start, first) if n not in titles[:1]).strip()
    outro = "\n".join(lines[n] for n in range(end, len(lines)) if n not in titles[:1]).strip()
    symptoms = front.get("symptoms") if isinstance(front, dict) else None
    told = tuple(map(str, symptoms)) if isinstance(symptoms, list) else ()
    title = str(front.get("title") or heading) if isinstance(front, dict) else heading
    return Tree(Path(shown).stem, title, _node(root, shown), told, intro, outro)


def _code(lines: list[str]) -> set[int]:
    """Indexes of the lines of fences that are no part of a list."""
    found, closer = set(), ""
    for number, line in enumerate(lines):
        mark = _FENCE.match(line)
        if closer or mark:
            found.add(number)
        if closer:
            closer = "" if mark and mark[1].startswith(closer) and not line.strip().strip(closer[0]) else closer
        elif mark:
            closer = mark[1]
    return found


def _items(lines: list[str], first: int, shown: str) -> tuple[_Item, int]:
    """The first item of the list with those below it, and the index of the line behind the list.

    Lines that are indented go on with the item before them.
    """
    stack: list[_Item] = []
    end = len(lines)
    for number in range(first, len(lines)):
        line = lines[number]
        match = _ITEM.match(line)
        if match:
            item = _Item(len(match[1].expandtabs(4)), match[2], number + 1)
            while stack and stack[-1].indent >= item.indent:
                stack.pop()
            if len(stack) > _DEEPEST:
                raise _wrong(shown, item.line, f"the list is more than {_DEEPEST} deep", "Make two trees of it.")
            if stack:
                stack[-1].children.append(item)
            elif number != first:
                raise _wrong(shown, item.line, "a tree has one first question", "Put this below another question.")
            else:
                root = item
            stack.append(item)
        elif line.strip() and stack and line[:1].isspace():
            stack[-1].text += f" {line.strip()}"
        elif line.strip():
            end = number
            break
    return root, end


def _node(item: _Item, shown: str) -> Node:
    found = _CHECK.search(item.text)
    text = item.text[: found.start()] if found else item.text
    answers: list[tuple[str, Node]] = []
    for child in item.children:
        label, mark, rest = child.text.partition(":")
        if not mark or not rest.strip() or "[" in label or "`" in label:
            raise _wrong(shown, child.line, "an answer begins with its word", "Write `- yes: what follows`.")
        child.text = rest.strip()
        label = label.strip()
        # A terminal takes an answer in either case.
        if label.casefold() in (known.casefold() for known, _ in answers):
            raise _wrong(shown, child.line, f"the answer {label} is there twice", "Give one of them another word.")
        answers.append((label, _node(child, shown)))
    if len(answers) == 1:
        raise _wrong(shown, item.line, "a question has at least two answers", "Write the other one.")
    check = _check(found[1], shown, item.line) if found else None
    if check and [label for label, _ in answers] not in (["yes", "no"], ["no", "yes"]):
        raise _wrong(shown, item.line, "a check answers yes or no", "Name the answers yes and no.")
    return Node(text.strip(), item.line, check, tuple(answers))


def _check(written: str, shown: str, line: int) -> Check:
    match = _GET.fullmatch(written) or _PORT.fullmatch(written)
    if not match:
        known = "`get SERVICE/PATH [is STATUS] [within 2s]` or `port HOST:PORT [within 2s]`"
        raise _wrong(shown, line, f"`{written}` is no check", f"Write {known}.")
    given = match.groupdict()
    try:
        within = span_seconds(given["within"]) if given["within"] else 5.0
    except ValueError as error:
        raise _wrong(shown, line, str(error), "Correct it.") from error
    status = int(given["status"]) if given.get("status") else None
    return Check(written, written.partition(" ")[0], given["where"], status, within)


def _wrong(shown: str, line: int, what: str, hint: str) -> InputError:
    return InputError(f"{shown}:{line}: {what}.", hint)
