"""Decision trees: read from a list, walked in a terminal with real looks, by key on a page, and drawn."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from xml.etree import ElementTree

import pytest

from opsbook.core.model.environment import Environment, Policy
from opsbook.diagnose import diagnosing, trees
from opsbook.diagnose.trees import Tree, TreeCheck
from opsbook.errors import InputError
from opsbook.site.decision_tree import picture, tree_page
from tests.support import ROOT
from tests.support.project import POLICY, Project, Terminal

TREE = """\
---
title: What is it?
symptoms: [Nothing works]
---

# What is it?

Begin here.

- Does it answer? `get web/health is 200`
    - yes: Is it slow?
        - yes: [Restart it](../runbooks/restart.md),
            and wait.
        - no: Ask <b>who</b> said so.
    - no: Is it there? `port 127.0.0.1:9 within 200ms`
        - yes: Look at its log.
        - no: [Restart it](../runbooks/restart.md#steps).
"""
RESTART = "---\ntitle: Restart\nkind: recovery\nowner: me\nreviewed: 2026-11-20\n---\n\n## Steps\n\n### Do it\nTurn.\n"


def parsed(text: str = TREE) -> Tree:
    return trees.parse(text, "docs/trees/what.md")


def test_a_list_is_a_tree() -> None:
    tree = parsed()
    assert (tree.name, tree.title, tree.symptoms, tree.intro) == (
        "what",
        "What is it?",
        ("Nothing works",),
        "Begin here.",
    )
    assert tree.root.check is not None and tree.root.check.status == 200
    answers = dict(tree.root.answers)
    slow = dict(answers["yes"].answers)["yes"]
    assert slow.plain == "Restart it, and wait." and list(slow.pages()) == ["restart"]
    assert answers["no"].check is not None and answers["no"].check.within == 0.2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# T\n\nNo list.\n", "what.md:1: there is no list of questions"),
        ("- A?\n    - yes: x\n    - no: y\n- B?\n", "what.md:4: a tree has one first question"),
        ("- A?\n    - yes: x\n", "what.md:1: a question has at least two answers"),
        ("- A?\n    - yes\n    - no: y\n", "what.md:2: an answer begins with its word"),
        ("- A? `get web is many`\n    - yes: x\n    - no: y\n", "what.md:1: `get web is many` is no check"),
        ("- A? `get web within soon`\n    - yes: x\n    - no: y\n", "what.md:1: 'soon' is not a duration"),
        ("- A? `port here:1`\n    - left: x\n    - right: y\n", "what.md:1: a check answers yes or no"),
        ("- A?\n    - yes: x\n    - Yes: y\n", "what.md:3: the answer Yes is there twice"),
        ("---\na: [\n---\n- A?\n", "what.md:2: the front matter is not valid YAML"),
    ],
)
def test_what_is_no_tree_is_named_with_its_line(text: str, said: str) -> None:
    with pytest.raises(InputError) as error:
        parsed(text)
    assert said in error.value.message


def test_the_picture_has_every_question_and_is_well_formed() -> None:
    drawn = ElementTree.fromstring(picture(parsed()))
    name = "{http://www.w3.org/2000/svg}"
    assert len(drawn.findall(f"{name}g")) == 7
    assert len(drawn.findall(f"{name}path")) == 6
    boxes = [
        tuple(float(rect.get(key, "0")) for key in ("x", "y", "width", "height")) for rect in drawn.iter(f"{name}rect")
    ]
    assert not [(a, b) for a in boxes for b in boxes if a is not b and overlap(a, b)]
    assert "<b>" not in picture(parsed())


def test_the_picture_of_a_large_tree_fits_its_page_and_leads_on() -> None:
    path = ROOT / "docs/trees/arcade.md"
    tree = trees.parse(path.read_text(encoding="utf-8"), "docs/trees/arcade.md")
    drawn = picture(tree)
    assert float(ElementTree.fromstring(drawn).get("width", "0")) <= 910
    assert 'href="../runbooks/rollback-service.md"' in drawn
    long = "".join(f"{'    ' * n}- {'yes: ' if n else ''}A?\n{'    ' * (n + 1)}- no: B\n" for n in range(9))
    assert "scroll it" in tree_page(parsed(f"{long}{'    ' * 9}- yes: C\n")) and "scroll it" not in tree_page(tree)


def overlap(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
    return a[0] < b[0] + b[2] and b[0] < a[0] + a[2] and a[1] < b[1] + b[3] and b[1] < a[1] + a[3]


def test_the_page_is_a_list_without_scripts() -> None:
    page = tree_page(parsed())
    assert "- Does it answer? (`get web/health is 200`)" in page
    assert "        - **yes** [Restart it](../runbooks/restart.md), and wait." in page


def test_what_stands_around_the_list_stays() -> None:
    before = "```bash\n# a comment\n- no item\n```\n\n# What is it?\n\n"
    around = f"{before}- A?\n    - yes: x\n    - no: y\n\n## Notes\n\n- more\n"
    tree = parsed(around)
    assert (tree.title, tree.intro, tree.outro) == (
        "What is it?",
        "```bash\n# a comment\n- no item\n```",
        "## Notes\n\n- more",
    )
    page = tree_page(tree)
    assert "# a comment" in page and page.rstrip().endswith("- more")


def test_a_page_of_a_tree_shows_text_as_text() -> None:
    title = 'title: "<script>x</script>\\n---"'
    evil = TREE.replace("title: What is it?", title).replace("<b>who</b>", "{: #y } <b>who</b>")
    page = tree_page(parsed(evil.replace("Is it slow?", "Is `a < {b}` <script>?")))
    written = page.partition("<svg")[0]
    assert "<script" not in page and "<b>" not in page and "{:" not in written
    assert "`a < {b}`" in written and page.count("\n---\n") == 1


# -- in a terminal


@pytest.fixture
def web() -> Iterator[Any]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(self.server.status)  # type: ignore[attr-defined]
            if self.path == "/login":
                self.send_header("Location", "/elsewhere")
            self.server.asked.append(self.path)  # type: ignore[attr-defined]
            self.end_headers()
            self.wfile.write(self.server.body)  # type: ignore[attr-defined]

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.status = 200  # type: ignore[attr-defined]
    server.asked = []  # type: ignore[attr-defined]
    server.body = b""  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def walked(project: Project, web: Any) -> Project:
    project.write("docs/trees/what.md", TREE)
    project.write("runbooks/restart.md", RESTART)
    urls = f"urls:\n  web: http://127.0.0.1:{web.server_port}\n"
    project.write("playbooks/inventories/dev/environment.yml", POLICY + urls)
    return project


@pytest.mark.slow
def test_it_looks_for_itself_where_it_can(walked: Project, web: Any) -> None:
    web.status = 503
    told = json.loads(walked.opsbook("diagnose", "what", "-e", "dev", "--json", check=True).out)
    assert [(step["question"], step["answer"]) for step in told["steps"]] == [
        ("Does it answer?", "no"),
        ("Is it there?", "no"),
    ]
    assert "503" in told["steps"][0]["seen"] and told["runbooks"] == ["restart"]
    said = walked.opsbook("diagnose", "what", "-e", "dev", check=True).out
    assert "opsbook run restart -e dev" in said
    assert not walked.records()


def test_a_redirect_is_an_answer_and_is_not_followed(web: Any) -> None:
    web.status = 302
    place = Environment("dev", Policy(title="", urls={"web": f"http://127.0.0.1:{web.server_port}"}), "x", ())
    good, seen = diagnosing.look(TreeCheck("", "get", "web/login", 302), place)
    assert good and "302" in seen
    assert diagnosing.look(TreeCheck("", "get", "web/login"), place)[0]
    assert not diagnosing.look(TreeCheck("", "get", "web/login", 200), place)[0]
    assert set(web.asked) == {"/login"}


@pytest.mark.parametrize("status", [200, 503])
def test_an_answer_may_have_to_hold_a_text(web: Any, status: int) -> None:
    """Also of a service that is not well: it says there what is wrong."""
    web.status, web.body = status, b'{"checks": {"database": "ok", "disk": "full"}}'
    place = Environment("dev", Policy(title="", urls={"web": f"http://127.0.0.1:{web.server_port}"}), "x", ())

    def holds(written: str) -> tuple[bool, str]:
        found = trees.parse(f"- A? `{written}`\n    - yes: x\n    - no: y\n", "what.md").root.check
        assert found is not None
        return diagnosing.look(found, place)

    assert holds('get web/readyz has "database":"ok"')[0]
    good, seen = holds('get web/readyz has "disk": "ok" within 9s')
    assert not good and f'{status}, has no "disk": "ok"' in seen
    assert holds('get web/readyz is 503 has "disk":"full"')[0] is (status == 503)


@pytest.mark.slow
def test_an_answer_that_begins_another_can_be_chosen(walked: Project) -> None:
    walked.write("docs/trees/what.md", "- Is it up?\n    - yes: Good.\n    - yes, but slow: Wait.\n")
    terminal = Terminal(walked.command("diagnose", "what", "-e", "dev"), walked)
    terminal.wait_for("Is it up? [yes/yes, but slow]")
    terminal.type("ye\n")
    terminal.wait_for("one of yes, yes, but slow")
    terminal.type("Yes\n")
    assert terminal.wait() == 0
    assert "Good." in terminal.screen


@pytest.mark.slow
def test_it_asks_the_rest(walked: Project) -> None:
    terminal = Terminal(walked.command("diagnose", "what", "-e", "dev"), walked)
    terminal.wait_for("Is it slow? [yes/no]")
    terminal.type("perhaps\n")
    terminal.wait_for("one of yes, no")
    terminal.type("y\n")
    assert terminal.wait() == 0
    assert "Restart it, and wait." in terminal.screen


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["diagnose", "wath", "-e", "dev"], "Did you mean what?"),
        (["diagnose", "what"], "A tree looks at an environment."),
        (["diagnose", "what", "-e", "dve"], "There is no environment dve."),
        (["diagnose", "what", "-e", "dev"], "Somebody has to say: Is it slow? (yes, no)"),
    ],
)
def test_what_it_cannot_do_is_said(walked: Project, arguments: list[str], said: str) -> None:
    done = walked.opsbook(*arguments)
    assert done.code == 2 and said in done.err


def test_trees_are_listed(walked: Project) -> None:
    assert walked.opsbook("diagnose").out == "what\n"
