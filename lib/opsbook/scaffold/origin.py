"""The pip requirement of this opsbook, from where it was installed itself."""

import json
from importlib import metadata
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import opsbook

NAME = "opsbook"


def requirement(extra: str = "") -> str:
    """A line for requirements.txt that installs this opsbook, with an optional extra."""
    try:
        told = metadata.distribution(NAME).read_text("direct_url.json")
    except metadata.PackageNotFoundError:
        told = None
    return line(told, opsbook.__version__, extra)


def line(direct_url: str | None, version: str, extra: str = "") -> str:
    """The requirement from PEP 610's `direct_url.json`; without a usable one, from the version."""
    name = f"{NAME}[{extra}]" if extra else NAME
    try:
        told = json.loads(direct_url or "null")
        return f"{name} @ {_place(told)}" if told else f"{name}=={version}"
    except (ValueError, LookupError, TypeError, AttributeError):
        return f"{name}=={version}"


def _place(told: dict[str, Any]) -> str:
    """The URL; for a checkout, at its commit. Raises LookupError if there is none."""
    url, vcs = _without_password(str(told["url"])), told.get("vcs_info")
    if vcs:
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}"
    return f"{url}#subdirectory={told['subdirectory']}" if told.get("subdirectory") else url


def _without_password(url: str) -> str:
    """The URL without credentials: requirements.txt is committed."""
    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    return urlunsplit(parts._replace(netloc=host)) if at and user != "git" else url
