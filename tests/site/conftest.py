"""A site that was really built, of a project with records, and a real browser without a network."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support import browser
from tests.support.project import HOSTS, POLICY, Project
from tests.support.site import config

chromium = browser.chromium
Open = Callable[..., Any]
RUNBOOK = "runbooks/clear-cache.html"
LISTS = ("index.html", "runbooks/index.html", "records/index.html", "freshness.html")
PAGES = (RUNBOOK, *LISTS, "trees/cache.html")
EVIL = "<img src=x onerror=window.bad=1><script>window.bad=1</script><a href='javascript:window.bad=1'>x</a>"

PAGE = """\
## Overview
When the cache is full, see [the other page](check-it.md). Then `redis-cli -h {host}` answers.

## Parameters

```python tags=["parameters"]
from typing import Annotated, Literal
from opsbook.params import Between, Duration, Pattern, Secret
name: str                                             # Any text at all
percent: Annotated[int, Between(1, 50)] = 10          # How much
how: Literal["soft", "hard"] = "soft"                 # In which way
pause: Duration = Duration("30s")                     # Between two
host: Annotated[str, Pattern("[a-z]+-[0-9]+")] = "web-1"   # Where
tags: list[str] = []                                  # What else
token: Secret                                         # For the API
```

## Steps

### Clear it
Expected: it is empty.

```python
from opsbook import command
command(["echo", name, str(percent)])
```

### Look at it yourself
Open the page of $host.
"""
FRONT = "title: Clear the cache\nsummary: The cache of a host is full.\nkind: maintenance\nalerts: [CacheFull]\n"
CHECK = """\
## Parameters

```python tags=["parameters"]
what: str = "true"   # What to do
```

## Steps

### Do it

```python
from opsbook import command
command(["sh", "-c", what])
```
"""
TREE = """\
---
symptoms: [It is slow]
---

# Is it the cache?

- Is it slow?
    - yes: Is it full?
        - yes: [Clear it](../runbooks/clear-cache.md)
        - no: Look elsewhere.
    - no: All is well.
"""
CHECK_FRONT = "title: Check it\nsummary: Is it well?\nkind: check\n"


CONSOLE = """\
```console
$ opsbook list --kind check   # what looks
NAME      KIND
check-it  check

$ opsbook run check-it \\
> -e dev
```

```console
Only what it says.
```
"""


SMALL_FRONT = "---\ntitle: {title}\nkind: maintenance\nowner: me\nreviewed: 2026-11-20\n---\n\n"
SMALL_STEPS = "\n## Steps\n\n### Do it\nTurn the key.\n"


@pytest.fixture
def small(tmp_path: Path) -> Project:
    """A project of one runbook, with an empty docs/."""
    made = Project(tmp_path / "project")
    made.write("opsbook.toml", 'records = "records"\n')
    made.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    made.write("playbooks/inventories/dev/environment.yml", POLICY)
    made.write("runbooks/one.md", SMALL_FRONT.format(title="One") + SMALL_STEPS)
    made.write("mkdocs.yml", config())
    (made.root / "docs").mkdir()
    return made


@pytest.fixture(scope="session")
def published(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """Two runbooks, a page of docs, one run that went well, one that failed with a hostile output."""
    made = Project(tmp_path_factory.mktemp("site") / "project")
    made.write("opsbook.toml", 'records = "records"\n')
    made.write("playbooks/inventories/dev/hosts.yml", HOSTS)
    made.write("playbooks/inventories/dev/environment.yml", POLICY + "contacts: ['storage: #storage']\n")
    made.write("docs/manual.md", f"# Manual\n\nHow it is meant.\n\n{CONSOLE}")
    for name, front, text in (("clear-cache", FRONT, PAGE), ("check-it", CHECK_FRONT, CHECK)):
        made.write(f"runbooks/{name}.md", f"---\n{front}owner: storage\nreviewed: 2026-11-20\n---\n\n{text}")
    made.write("mkdocs.yml", config())
    made.write("docs/trees/cache.md", TREE)
    made.write("playbooks/inventories/quiet/hosts.yml", HOSTS)
    made.write("playbooks/inventories/quiet/environment.yml", POLICY + "publish_records: none\n")
    made.write("playbooks/inventories/open/hosts.yml", HOSTS)
    made.write("playbooks/inventories/open/environment.yml", POLICY + "publish_records: full\n")
    made.opsbook("run", "check-it", "-e", "quiet", check=True)
    made.opsbook("run", "check-it", "-e", "dev", check=True)
    assert made.opsbook("run", "check-it", "-e", "dev", "-p", f'what=echo "{EVIL}" >&2; exit 1').code == 1
    made.opsbook("run", "check-it", "-e", "open", "-p", f'what=echo "{EVIL}"', check=True)
    return made


@pytest.fixture(scope="session")
def site(published: Project) -> Path:
    """The folder of the built site."""
    published.opsbook("site", "build", check=True)
    return published.root / "site"


@pytest.fixture
def opened(site: Path, chromium: Any) -> Iterator[Open]:
    """Open a page of the site. In the end nothing has failed, and nothing was asked of the network."""
    contexts, asked, wrong = [], [], []

    def new(path: str, width: int = 1280, **options: Any) -> Any:
        context = chromium.new_context(viewport={"width": width, "height": 900}, **options)
        context.set_default_timeout(browser.PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: asked.append(request.url))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda message: wrong.append(message.text) if message.type == "error" else None)
        page.goto((site / path.partition("?")[0]).as_uri() + path[len(path.partition("?")[0]) :])
        return page

    yield new
    for context in contexts:
        context.close()
    assert not wrong
    assert [url for url in asked if not url.startswith(("file:", "blob:", "data:"))] == []


def line(page: Any) -> str:
    return str(page.locator(".ob-line code").inner_text())
