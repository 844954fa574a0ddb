"""A site of a small project."""

from tests.support import ROOT


def config() -> str:
    """The configuration of this project, without the pages that only it has."""
    return (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:\n")[0] + "\n"
