"""Roles of sections."""

from enum import StrEnum


class Role(StrEnum):
    """What the cells of a section may do."""

    PROSE = "prose"
    PARAMETERS = "parameters"
    READ = "read"
    CHANGE = "change"
    UNDO = "undo"
