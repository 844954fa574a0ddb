"""Write every page of docs/reference, docs/lint.md and dashboards/grafana: `make reference`."""

from pathlib import Path

from opsbook.files import write_atomic
from opsbook.lint import documented
from tools import dashboards
from tools.reference import pages

DOCS = Path(__file__).resolve().parents[2] / "docs"

pages.write(DOCS / "reference")
write_atomic(DOCS / "lint.md", documented.whole().encode())
for path, text in dashboards.files():
    write_atomic(path, text.encode())
