"""Terminals as they have to be left: whatever ends a command, also kill -9, leaves the cursor where it can be seen."""

from rich.console import Console


class Steady(Console):
    """A console that hides no cursor: nobody would show it again for a command that was killed."""

    def show_cursor(self, show: bool = True) -> bool:
        return False
