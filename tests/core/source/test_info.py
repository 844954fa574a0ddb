"""What stands behind the mark of a fence, as Jupytext reads it."""

import jupytext
import pytest
from jupytext.languages import _JUPYTER_LANGUAGES

from opsbook.core.source import info


def test_jupytext_knows_the_same_languages() -> None:
    assert {name for name in _JUPYTER_LANGUAGES if " " not in name} == info.LANGUAGES


@pytest.mark.parametrize(
    "written",
    [
        "python",
        'python tags=["parameters"]',
        'bash tags=["read"] timeout=20',
        'python name="a b" timeout=1.5',
        "python tags=['a', 'b']",
        'python {"tags": ["parameters"], "timeout": 3}',
        'sh .class key="value"',
        "python x=[1, 2] y={'a': 1}",
        "python hide_input",
    ],
)
def test_attributes_are_what_jupytext_reads(written: str) -> None:
    (cell,) = jupytext.reads(f"```{written}\nx\n```\n", fmt="md:markdown").cells
    theirs = {key: value for key, value in cell.metadata.items() if key != "language"}
    assert dict(info.attributes(written)) == theirs


@pytest.mark.parametrize(
    "written", ["python {tags=['a']}", "python tags=5", "python tags=[", "python name=5", "python ="]
)
def test_what_cannot_be_read_is_said(written: str) -> None:
    with pytest.raises(info.NotRead):
        info.attributes(written)


@pytest.mark.parametrize(
    ("written", "cell"),
    [("python", True), ("python3", True), ("PYTHON", True), ("console", False), ("python{1,3}", False), ("", False)],
)
def test_what_jupyter_runs(written: str, cell: bool) -> None:
    assert info.is_cell(written) is cell
    kinds = [each.cell_type for each in jupytext.reads(f"```{written}\nx\n```\n", fmt="md:markdown").cells]
    assert ("code" in kinds) is cell
