"""Every line of a page is what a reader of Markdown takes it for."""

import pytest

from opsbook.core.source.markdown import Document

PAGE = """\
---
title: A page
---

# A page

Text
----

!!! note "Mind"

    ```bash
    echo in an admonition
    ```

=== "Tab"

    ~~~sh
    echo in a tab
    ~~~

1. First:

   ```bash
   echo one
   ```

> ```python
> quoted
> ```

<!--
## Hidden
```python
hidden
```
-->

    indented code

```python tags=["parameters"]
x: int = 1
```
"""


def test_fences_are_found_at_any_depth() -> None:
    page = Document(PAGE)
    found = [(fence.code.strip(), fence.depth, page.lines[fence.line].strip(" >")) for fence in page.fences]
    assert found == [
        ("echo in an admonition", 1, "```bash"),
        ("echo in a tab", 1, "~~~sh"),
        ("echo one", 1, "```bash"),
        ("quoted", 1, "```python"),
        ("x: int = 1", 0, '```python tags=["parameters"]'),
    ]
    assert all(fence.closed for fence in page.fences)
    assert all(page.lines[fence.end].strip(" >")[:3] in ("```", "~~~") for fence in page.fences)


def test_headings_comments_and_code() -> None:
    page = Document(PAGE)
    assert [(each.title, each.level, each.end - each.line) for each in page.headings] == [
        ("A page", 1, 1),
        ("Text", 2, 2),
    ]
    assert {page.lines[line] for line in page.comments} == {"<!--", "## Hidden", "```python", "hidden", "```", "-->"}
    assert "    indented code" in {page.lines[line] for line in page.code}
    assert "Text" not in {page.lines[line] for line in page.code | page.comments}


@pytest.mark.parametrize(("text", "closed"), [("```\nx\n```", True), ("```\nx\n", False), ("~~~\nx\n```\n", False)])
def test_a_fence_that_nothing_closes(text: str, closed: bool) -> None:
    (fence,) = Document(text).fences
    assert fence.closed is closed
    assert fence.end == (2 if closed else text.count("\n") + (not text.endswith("\n")))


def test_the_first_list() -> None:
    (root,) = Document("Text.\n\n- Why?\n    - yes: more\n      of it\n    - no\n\nEnd.\n").first_list
    assert root.text == "Why?"
    assert [(item.line, item.text) for item in root.items] == [(3, "yes: more of it"), (5, "no")]


def test_an_unending_nest_is_read() -> None:
    assert Document("> " * 5000 + "deep").fences == ()
    assert Document("- " * 5000 + "deep").first_list


def test_a_return_alone_ends_no_line() -> None:
    (fence,) = Document("\r---\n\n```python\nx = 1\r!touch\n```\n").fences
    assert (fence.line, fence.end, fence.code) == (2, 4, "x = 1\r!touch\n")
