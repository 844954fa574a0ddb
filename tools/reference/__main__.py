"""Write every page of docs/reference, and docs/lint.md: `make reference`."""

from pathlib import Path

from opsbook.files import write_atomic
from opsbook.lint import documented
from tools.reference import pages

DOCS = Path(__file__).resolve().parents[2] / "docs"

pages.write(DOCS / "reference")
write_atomic(DOCS / "lint.md", documented.whole().encode())
