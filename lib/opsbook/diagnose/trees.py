"""Decision trees: pages in docs/trees/ whose first list is questions, answers, and what to do.

- Does it answer? `get arcade/health`
    - yes: Do players see errors?
        - yes: [Roll a service back](../runbooks/rollback-service.md)
        - no: All is well.
    - no: What is wrong with it? `run service-health says`
        - does not answer: [Restart an instance](../runbooks/restart-instance.md)
        - something else: Read what the page says.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import yaml

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model.front import split
from opsbook.core.model.runbook import Role, Step
from opsbook.core.model.text import nearest, span_seconds
from opsbook.core.source import front
from opsbook.core.source.markdown import Document, Heading, Item, document
from opsbook.core.source.page_name import name_of
from opsbook.core.source.problem import Problem
from opsbook.errors import InputError
from opsbook.settings import Settings

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class TreeCheck:
    """A check that answers a question, such as `get arcade/health is 200`. It only reads.

    `what`: get, port, run or says. `where`: a service and a path, host:port, or a page. `status` is the expected one;
    without it, any below 400. `has` is text that the answer has to hold, however its spaces are. `within` is the time
    limit in seconds.
    """

    written: str
    what: str
    where: str
    status: int | None = None
    within: float = 5.0
    has: str = ""


@dataclass(frozen=True)
class Node:
    """A question with its answers, or a leaf that says what to do. `text` is one line of Markdown."""

    text: str
    line: int
    check: TreeCheck | None = None
    answers: tuple[tuple[str, "Node"], ...] = ()

    @property
    def plain(self) -> str:
        """The text without Markdown."""
        return _LINK.sub(r"\1", self.text).replace("**", "").replace("`", "")

    def below(self) -> Iterator["Node"]:
        """This one, and all that follow it."""
        yield self
        for _, following in self.answers:
            yield from following.below()

    def pages(self) -> Iterator[str]:
        """The names of the runbooks and procedures it links to."""
        for _, target in _LINK.findall(self.text):
            path = PurePosixPath(target.partition("#")[0])
            if path.suffix == ".md" and path.parent.name in ("runbooks", "procedures"):
                yield path.stem


@dataclass(frozen=True)
class Tree:
    """A decision tree. `symptoms` say when it applies; `intro` and `outro` are the text around its list."""

    name: str
    title: str
    root: Node
    symptoms: tuple[str, ...] = ()
    intro: str = ""
    outro: str = ""


FOLDER = "docs/trees"

_DEEPEST = 30
"""Levels of questions. The Markdown parser recurses; and nobody answers more at 3 a.m."""

_CHECK = re.compile(r"\s*`((?:get|port|run) [^`]+)`\s*$")
_STATUS, _WITHIN = r"(?: is (?P<status>[1-5][0-9]{2}))?", r"(?: within (?P<within>\S+))?"
_HAS = r"(?: has (?P<has>.+?))?"
_GET = re.compile(rf"get (?P<where>[\w.-]+(?:/\S*)?){_STATUS}{_HAS}{_WITHIN}")
_PORT = re.compile(rf"port (?P<where>[\w.-]+:[0-9]+){_WITHIN}")
_RUN = re.compile(r"run (?P<where>\S+)(?P<says> says)?")


class NoTree(InputError):
    """A page that is no decision tree. `problem` says where."""

    def __init__(self, problem: Problem, hint: str) -> None:
        super().__init__(f"{problem.path}:{problem.line}: {problem.message}.", hint)
        self.problem = problem


def names(settings: Settings) -> list[str]:
    """The names of all trees. index.md and README.md are no trees."""
    return sorted(path.stem for path in (settings.root / FOLDER).glob("*.md") if path.stem not in ("index", "README"))


def load(settings: Settings, name: str) -> Tree:
    """The tree of this name. Raises InputError, with file and line for an invalid page."""
    known = names(settings)
    if name not in known:
        raise InputError(f"There is no decision tree {name}. {nearest(name, known)}", f"Trees are pages in {FOLDER}/.")
    path = settings.root / FOLDER / f"{name}.md"
    shown = f"{FOLDER}/{path.name}"
    try:
        tree = parse(files.read_text(path, within=settings.root), shown)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise _wrong(shown, 1, f"it cannot be read: {why}", "Correct the file.") from error
    for node in tree.root.below():
        if node.check and node.check.what in ("run", "says"):
            _looks_only(settings, node.check.where, shown, node.line)
    return tree


def problems(settings: Settings) -> Iterator[Problem]:
    """What is wrong with the trees of the project."""
    for name in names(settings):
        try:
            tree = load(settings, name)
        except NoTree as error:
            yield error.problem
            continue
        # Only here: with a page that is gone, all other ways of the tree still help.
        known = {name_of(path) for path in catalog.paths(settings)}
        for node in tree.root.below():
            for page in set(node.pages()) - known:
                said = f"there is no page {page}. {nearest(page, known)}".strip()
                yield Problem(f"{FOLDER}/{name}.md", node.line, 1, "L007", said)


def _steps(settings: Settings, page: str) -> list[Step]:
    """The steps of a page; none if it cannot be read, which running it reports."""
    try:
        return list(catalog.load(settings, page).forward())
    except (InputError, OSError):
        return []


def _looks_only(settings: Settings, page: str, shown: str, line: int) -> None:
    """Raise NoTree unless the page is there, is of the kind check, and can run without values."""
    try:
        matter, _ = front.parse(catalog.text_of(catalog.find(settings, page), settings.content), page)
    except (InputError, OSError, UnicodeDecodeError) as error:
        known = [each.name for each in catalog.entries(settings) if each.front.kind == "check"]
        raise _wrong(shown, line, f"`run {page}`: there is no page of this name", nearest(page, known)) from error
    if matter.kind != "check":
        said = f"`run {page}`: its kind is {matter.kind}, and a tree runs pages of the kind check only"
        raise _wrong(shown, line, said, "Name another page, or link to this one in an answer.")
    if any(step.role is Role.CHANGE for step in _steps(settings, page)):
        said = f"`run {page}`: it has steps that change something, so a check leaves its Validation out"
        raise _wrong(shown, line, said, "Let the tree ask a page that only looks.")
    if needed := catalog.required(settings, page):
        said = f"`run {page}`: it needs a value for {', '.join(needed)}"
        raise _wrong(shown, line, said, "Give these parameters a default.")


def parse(text: str, shown: str) -> Tree:
    """The tree of a page. Raises InputError."""
    matter, start = split(text)
    try:
        front = files.parse_yaml(matter or "") or {}
    except yaml.YAMLError as error:
        raise _wrong(
            shown, 2, f"the front matter is not valid YAML: {files.yaml_says(error)}", "Correct it."
        ) from error
    page = document(text)
    title = next((each for each in page.headings if each.level == 1 and not each.depth), None)
    if not page.first_list:
        raise _wrong(shown, 1, "there is no list of questions", "Write `- A question?` and its answers below it.")
    root, *others = page.first_list
    for other in others:
        raise _wrong(shown, other.line + 1, "a tree has one first question", "Put this below another question.")
    intro = _text(page, start, root.line, title)
    outro = _text(page, root.end, len(page.lines), title)
    symptoms = front.get("symptoms") if isinstance(front, dict) else None
    told = tuple(map(str, symptoms)) if isinstance(symptoms, list) else ()
    heading = title.title if title else Path(shown).stem
    said = str(front.get("title") or heading) if isinstance(front, dict) else heading
    return Tree(Path(shown).stem, said, _node(root, shown), told, intro, outro)


def _text(page: Document, start: int, end: int, title: Heading | None) -> str:
    """The text between two lines, without the title."""
    apart = range(title.line, title.end) if title else range(0)
    return "\n".join(page.lines[line] for line in range(start, end) if line not in apart).strip()


def _node(item: Item, shown: str, depth: int = 0) -> Node:
    if depth > _DEEPEST:
        raise _wrong(shown, item.line + 1, f"the list is more than {_DEEPEST} deep", "Make two trees of it.")
    found = _CHECK.search(item.text)
    text = item.text[: found.start()] if found else item.text
    answers: list[tuple[str, Node]] = []
    for child in item.items:
        label, mark, rest = child.text.partition(":")
        if not mark or not rest.strip() or "[" in label or "`" in label:
            raise _wrong(shown, child.line + 1, "an answer begins with its word", "Write `- yes: what follows`.")
        below = replace(child, text=rest.strip())
        label = label.strip()
        # Answers on a terminal are case-insensitive.
        if label.casefold() in (known.casefold() for known, _ in answers):
            raise _wrong(shown, child.line + 1, f"the answer {label} is there twice", "Give one of them another word.")
        answers.append((label, _node(below, shown, depth + 1)))
    if len(answers) == 1:
        raise _wrong(shown, item.line + 1, "a question has at least two answers", "Write the other one.")
    check = _check(found[1], shown, item.line + 1) if found else None
    if check and check.what != "says" and [label for label, _ in answers] not in (["yes", "no"], ["no", "yes"]):
        raise _wrong(shown, item.line + 1, "a check answers yes or no", "Name the answers yes and no.")
    return Node(text.strip(), item.line + 1, check, tuple(answers))


def _check(written: str, shown: str, line: int) -> TreeCheck:
    match = _GET.fullmatch(written) or _PORT.fullmatch(written) or _RUN.fullmatch(written)
    if not match:
        known = (
            "`get SERVICE/PATH [is STATUS] [has TEXT] [within 2s]`, `port HOST:PORT [within 2s]` or `run PAGE [says]`"
        )
        raise _wrong(shown, line, f"`{written}` is no check", f"Write {known}.")
    given = match.groupdict()
    try:
        within = span_seconds(given["within"]) if given.get("within") else 5.0
    except ValueError as error:
        raise _wrong(shown, line, str(error), "Correct it.") from error
    status = int(given["status"]) if given.get("status") else None
    kind = "says" if given.get("says") else written.partition(" ")[0]
    return TreeCheck(written, kind, given["where"], status, within, given.get("has") or "")


def _wrong(shown: str, line: int, what: str, hint: str) -> NoTree:
    return NoTree(Problem(shown, line, 1, "L007", what), hint)
