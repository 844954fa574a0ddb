"""Links: those of an author lead to files of the project; on the site they lead to its pages, or are named."""

import pytest

from opsbook import settings
from opsbook.core.source.links import anchors, prose
from opsbook.errors import InputError
from opsbook.site import publishing
from opsbook.site.links import adapted, anchored
from tests.site.conftest import SMALL_FRONT as FRONT
from tests.site.conftest import SMALL_STEPS as STEPS
from tests.support.project import Project


@pytest.fixture
def small(small: Project) -> Project:
    small.write("playbooks/x.yml", "[]\n")
    small.write("docs/manual.md", "# Manual\n\n## How\n")
    small.write("docs/sub/deep.md", "# Deep\n")
    small.write("docs/sub/pic.png", "png")
    return small


def published(path: str) -> bool:
    return path in ("docs/manual.md", "docs/sub/deep.md", "docs/pic.png", "runbooks/one.md", "runbooks/two.md")


@pytest.mark.parametrize(
    ("written", "on_site"),
    [
        ("[x](../docs/manual.md#how)", "[x](../manual.md#how)"),
        ("See [the\nmanual](../docs/manual.md).", "See [the\nmanual](../manual.md)."),
        ("See [it][m].\n\n[m]: ../docs/manual.md 'T'", "See [it][m].\n\n[m]: ../manual.md 'T'"),
        ("- a\n\n    [m]: ../docs/manual.md", "- a\n\n    [m]: ../manual.md"),
        ("[x](two.md)", "[x](two.md)"),
        ("[x](/manual.md)", "[x](../manual.md)"),
        ("![p](../docs/pic.png)", "![p](../pic.png)"),
        ("[![p](../docs/pic.png)](two.md)", "[![p](../pic.png)](two.md)"),
        ("[the play](../playbooks/x.yml) and", "the play (`playbooks/x.yml`) and"),
        ("[the\nplay](../playbooks/x.yml\n'T') and", "the\nplay (`playbooks/x.yml`)\n and"),
        ("The [play][p], [p].\n\n[p]: ../playbooks/x.yml", "The play (`playbooks/x.yml`), p (`playbooks/x.yml`).\n\n"),
        ("<a href='../docs/manual.md#how'>x</a>", "<a href='../manual.html#how'>x</a>"),
        ("`[x](../docs/manual.md)`", "`[x](../docs/manual.md)`"),
        ("a\n\n    [x](../docs/manual.md)\n", "a\n\n    [x](../docs/manual.md)\n"),
        ("```\n[x](../docs/manual.md)\n```", "```\n[x](../docs/manual.md)\n```"),
        ("<!-- [x](../docs/manual.md) -->", "<!-- [x](../docs/manual.md) -->"),
        ("[x](https://a.b/c.md) [y](mailto:a@b)", "[x](https://a.b/c.md) [y](mailto:a@b)"),
    ],
)
def test_links_of_a_runbook(written: str, on_site: str) -> None:
    assert adapted(written, "runbooks/one.md", published) == on_site


@pytest.mark.parametrize(
    ("written", "on_site"),
    [
        ("[x](../runbooks/one.md)", "[x](runbooks/one.md)"),
        ("[x](runbooks/one.md)", "[x](runbooks/one.md)"),
        ("[x](sub/deep.md)", "[x](sub/deep.md)"),
        ("[x](/sub/deep.md#a)", "[x](sub/deep.md#a)"),
        ("[x](gone.md)", "[x](gone.md)"),
        ("<a href='../runbooks/one.md'>", "<a href='runbooks/one.html'>"),
        ("<a href='runbooks/one.html'>", "<a href='runbooks/one.html'>"),
    ],
)
def test_links_of_docs_work_on_the_site_and_in_the_repository(written: str, on_site: str) -> None:
    assert adapted(written, "docs/manual.md", published, unlink=False) == on_site


def test_a_tree_may_lead_to_runbooks_by_either_path() -> None:
    for path in ("../runbooks/one.md", "../../runbooks/one.md"):
        assert adapted(f"[x]({path})", "docs/trees/t.md", published, unlink=False) == "[x](../runbooks/one.md)"


def test_anchors_of_forges_become_those_of_the_site() -> None:
    page = "# T\n\n## Café & Co_x\n\n## Do_it {: #do-it }\n\n## Same\n\n## Same\n"
    known = anchors(prose(page))
    links = "[a](#café--co_x) [b](#cafe-co_x) [c](#do_it) [d](#same-1) [e](#same_1)"
    assert (
        anchored(links, "x.md", lambda _: known)
        == "[a](#cafe-co_x) [b](#cafe-co_x) [c](#do-it) [d](#same_1) [e](#same_1)"
    )


def dead(project: Project) -> list[str]:
    try:
        publishing.publish(settings.load(project.root, given=True), "x")
    except InputError as error:
        return list(error.problems)
    return []


@pytest.mark.parametrize(
    ("path", "written", "said"),
    [
        ("docs/a.md", "[x](manual.md#nope)", "docs/a.md:1:5 L003 manual.md has no heading with the anchor #nope"),
        ("docs/a.md", "[x](#nope)", "docs/a.md:1:5 L003 a.md has no heading"),
        ("docs/a.md", "[x](/gone.md)", "docs/a.md:1:5 L001 the link leads to /gone.md"),
        ("docs/a.md", "[x](sub/)", "docs/a.md:1:5 L001 the link leads to the folder sub"),
        ("docs/a.md", "- a\n\n    [x]: gone.md", "docs/a.md:3:10 L001 the link leads to gone.md"),
        ("docs/a.md", '<a href="gone.md">x</a>', "docs/a.md:1:10 L001"),
        ("docs/a.md", 'a\n<img src="gone.png">', "docs/a.md:2:11 L001"),
        ("docs/a.md", "[x](../playbooks/x.yml)", "docs/a.md:1:5 L001"),
        ("docs/a.md", "[x](../runbooks/one.md#nope)", "docs/a.md:1:5 L003 runbooks/one.md has no heading"),
        ("runbooks/b.md", "[x](/gone.md)", "runbooks/b.md:8:5 L001"),
        ("runbooks/b.md", "[x](../docs/manual.md#nope)", "runbooks/b.md:8:5 L003"),
        ("runbooks/b.md", '<a href="gone.md">x</a>', "runbooks/b.md:8:10 L002"),
    ],
)
def test_what_leads_nowhere_is_named_with_its_line(small: Project, path: str, written: str, said: str) -> None:
    assert not dead(small)
    small.write(path, FRONT.format(title="B") + written + STEPS if path.startswith("runbooks") else f"{written}\n")
    assert [problem.startswith(said) for problem in dead(small)] == [True], dead(small)


def test_a_page_that_is_no_text_is_named(small: Project) -> None:
    (small.root / "docs/bad.md").write_bytes(b"a\n\xff\n")
    assert dead(small) == ["docs/bad.md:2:1 D008 not UTF-8, first bad byte at line 2"]


@pytest.mark.slow
def test_what_check_finds_correct_can_be_built(small: Project) -> None:
    """Every way to link, through MkDocs with its own strict look at every link."""
    links = "See [the manual][m], [a\nlink](../docs/manual.md#how), [z](#café--co_x), [y](/sub/deep.md)"
    body = f"{links}, [p](../playbooks/x.yml).\n\n[m]: ../docs/manual.md\n\n## Café & Co_x\nText.\n"
    small.write("runbooks/two.md", FRONT.format(title="Two") + f"## Overview\n{body}{STEPS}")
    small.write("docs/a.md", "# A\n\n[x](../runbooks/one.md#do-it) [y](runbooks/two.md)\n\n    [z](gone.md)\n")
    small.write("docs/trees/t.md", "- A?\n    - yes: [x](../../runbooks/one.md)\n    - no: [y](../runbooks/two.md)\n")
    assert "0 errors" in small.opsbook("check").err
    small.opsbook("site", "build", check=True)
    assert 'href="runbooks/one.html#do-it"' in (small.root / "site/a.html").read_text()
