"""D: the form of a document; P: its parameters cell. Found while it is read (catalog, notebook, parameters)."""

from opsbook.core.rules.base import PAGE, Rule

_PARAMETERS = """\
## Parameters

```python tags=["parameters"]
count: int = 3   # How many hosts at once
```
"""

_PYTHON = """\
## Steps

### Count
```python timeout=60
print(1 + 1)
```
"""

RULES = (
    Rule(
        code="D001",
        name="unclosed-fence",
        text="A fence is opened and never closed.",
        why="Everything below it is swallowed: steps, validation, rollback.",
        bad="## Steps\n\n### Count\n```python\nprint(1 + 1)\n\n## Rollback\nNothing to do.\n",
        good=_PYTHON,
    ),
    Rule(
        code="D002",
        name="tags-in-braces",
        text="The tags of a cell stand in braces, or Jupytext cannot read what stands behind a fence's language.",
        why=(
            "Jupytext loses what stands in braces without a word: the parameters cell would be a cell like any other. "
            "Over `tags=5` it gives up the whole page."
        ),
        bad=_PARAMETERS.replace('tags=["parameters"]', '{tags=["parameters"]}'),
        good=_PARAMETERS,
        fix="The braces are removed.",
    ),
    Rule(
        code="D003",
        name="bad-timeout",
        text="The `timeout` of a cell is not a number of seconds above 0.",
        why="The cell would have the usual limit, ten minutes, and not the one that somebody thought of.",
        bad=_PYTHON.replace("timeout=60", 'timeout="60"'),
        good=_PYTHON,
        fix="The quotes around a plain number are removed.",
    ),
    Rule(
        code="D004",
        name="other-language",
        text="A fence is in a language that Jupyter would run, and opsbook cannot.",
        why=(
            "Only Python, `bash` and `sh` go through the gate. An example that must not run is a `console` fence; in "
            "a page without front matter, every fence in another language is one."
        ),
        bad="## Steps\n\n### Look\n```ruby\nputs 1\n```\n",
        good="## Steps\n\n### Look\nIt prints 1:\n\n```console\n$ ruby -e 'puts 1'\n```\n",
        soft=True,
    ),
    Rule(
        code="D005",
        name="name-taken",
        text="Two documents have the same name.",
        why="A document is called by its file's name, whatever folder it is in; so it would be luck which one runs.",
        bad={"runbooks/restart.md": PAGE, "runbooks/cache/restart.md": PAGE},
        good={"runbooks/restart.md": PAGE, "runbooks/cache/restart-cache.md": PAGE},
    ),
    Rule(
        code="D006",
        name="unreadable",
        text="The document cannot be read: it is no file, nobody may read it, or its code is nested too deeply.",
        why="What cannot be read cannot be checked, and will not run.",
        bad={"runbooks/restart.md/notes.txt": "A folder has the name of a page.\n"},
        good={"runbooks/restart.md": PAGE},
    ),
    Rule(
        code="D007",
        name="bad-name",
        text="The file's name is not made of letters, digits, `-` and `_`, or has more than 80 of them.",
        why="It becomes part of commands to copy, of a run's id and of the names of folders.",
        bad={"runbooks/restart the cache.md": PAGE},
        good={"runbooks/restart-the-cache.md": PAGE},
    ),
    Rule(
        code="D008",
        name="not-utf-8",
        text="The file is not UTF-8.",
        why="Another encoding cannot be told for sure; a guess would change what a command says.",
        bad={"runbooks/restart.md": PAGE.replace("on every host", "in Z\udcfcrich")},
        good={"runbooks/restart.md": PAGE.replace("on every host", "in Zürich")},
    ),
    Rule(
        code="D009",
        name="hidden-line-end",
        text="Code holds a character that some programs take for the end of a line, such as a form feed or U+2028.",
        why=(
            "A reader sees one line, IPython two: what stands behind the character in a comment would run. "
            "Such characters come along unseen with text that is copied from other programs."
        ),
        bad=_PYTHON.replace("print(1 + 1)", "print(1 + 1)  # twice:\u2028print(2)"),
        good=_PYTHON.replace("print(1 + 1)", "print(1 + 1)  # twice: print(2)"),
    ),
    Rule(
        code="D010",
        name="unseen-cell",
        text="Jupyter would run as a cell what a reader of Markdown does not see as one.",
        why="What runs is what was read: a cell inside of an example, or in the middle of HTML, is neither.",
        bad="## Steps\n\n### Count\n  ```console\n  $ count\n```python\nprint(1 + 1)\n```\n",
        good="## Steps\n\n### Count\n  ```console\n  $ count\n  ```\n\n```python\nprint(1 + 1)\n```\n",
    ),
    Rule(
        code="P001",
        name="parameters-not-python",
        text="The parameters cell is not Python.",
        why="It is read, never run, and it has to be read whole: every option of the command line comes from it.",
        bad=_PARAMETERS.replace("= 3", "=="),
        good=_PARAMETERS,
    ),
    Rule(
        code="P002",
        name="no-parameter",
        text="A line of the parameters cell is no parameter of a known type with a literal default.",
        why="The form on the page, the options and their checks are made from these lines without running them.",
        bad=_PARAMETERS.replace("count: int = 3", "count = 3"),
        good=_PARAMETERS,
    ),
)
