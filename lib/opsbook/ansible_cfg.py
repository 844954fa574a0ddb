"""ansible.cfg, read as Ansible reads it."""

import configparser

Unreadable = configparser.Error


def parse(text: str) -> configparser.RawConfigParser:
    """The settings by section and name; what stands behind a semicolon is a comment. Raises Unreadable."""
    config = configparser.RawConfigParser(strict=False, inline_comment_prefixes=(";",))
    config.read_string(text)
    return config


def default(text: str, name: str) -> str:
    """A setting of the section defaults; empty if it is not set, or if the file cannot be read."""
    try:
        return parse(text).get("defaults", name, fallback="")
    except Unreadable:
        return ""
