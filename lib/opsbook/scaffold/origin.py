"""How others install the opsbook that made their repository: from where it was installed itself."""

import json
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import opsbook

NAME = "opsbook"


def requirement() -> str:
    """A line for requirements.txt that pip can install, as far as anybody can tell here."""
    try:
        told = metadata.distribution(NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        told = None
    return line(told, opsbook.__version__)


def line(direct_url: str | None, version: str) -> str:
    """The requirement for what PEP 610's `direct_url.json` says; where there is none, the version."""
    try:
        told = json.loads(direct_url or "null")
        return f"{NAME} @ {_place(told)}" if told else f"{NAME}=={version}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"{NAME}=={version}"


def _place(told: dict[str, Any]) -> str:
    """The URL, for a checkout at its commit. Raises LookupError where there is none."""
    url, vcs = _without_password(str(told["url"])), told.get("vcs_info")
    if vcs:
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return f"{url}#subdirectory={told['subdirectory']}" if told.get("subdirectory") else url


def _without_password(url: str) -> str:
    """The file is committed; a password of whoever installed opsbook is nobody else's."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)) if at and user != "git" else url
