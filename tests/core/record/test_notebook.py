"""The executed notebook: valid, honest, and with the parameters it ran with."""

import json

import nbformat
import pytest

from tests.support.project import Project

pytestmark = pytest.mark.slow


def test_the_notebook_holds_the_parameters(project: Project) -> None:
    project.page(
        """\
        ## Parameters

        ```python tags=["parameters"]
        text: str
        count: int = 3
        ```

        ## Steps

        ```python
        print(text * count)
        ```
        """
    )
    project.opsbook("run", "page", "-e", "dev", "-p", "text=a'b", check=True)
    book = nbformat.read(project.records()[-1] / "runbook.ipynb", as_version=4)
    first, injected, step = (cell for cell in book.cells if cell.cell_type == "code")
    assert first.metadata.tags == ["parameters"]
    assert injected.metadata.tags == ["injected-parameters"]
    assert injected.source == '# Parameters\ntext = "a\'b"\ncount = 3'
    assert [cell.metadata.papermill.status for cell in (first, injected, step)] == ["completed"] * 3
    assert step.outputs[0].text == "a'b" * 3 + "\n"


def test_the_notebook_is_valid_and_honest(project: Project) -> None:
    good, bad = "```python\nprint('good')\n```", "```python\nprint('hello'); raise ValueError('no luck')\n```"
    steps = f"## Steps\n\n### One\n{good}\n\n### Two\n{good}\n\n### Three\n{bad}\n\n### Four\n{good}\n\n"
    project.page(f"{steps}## Rollback\n\n### Back\n{good}\n")
    project.opsbook("run", "page", "-e", "dev")
    book = nbformat.read(project.records()[-1] / "runbook.ipynb", as_version=4)
    nbformat.validate(book)
    ran = [cell for cell in book.cells if cell.cell_type == "code"]
    statuses = [cell.metadata.papermill.status for cell in ran]
    assert statuses == ["completed", "completed", "failed", "pending", "pending"]
    says_so = ["did not run" in json.dumps(cell.outputs) for cell in ran]
    assert says_so == [status == "pending" for status in statuses]
    assert book.metadata.papermill.exception is True
    assert book.metadata.papermill.outcome == "failed"
