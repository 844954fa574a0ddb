"""Keep the cursor visible, whatever ends a command, including kill -9."""

from rich.console import Console


class Steady(Console):
    """A console that never hides the cursor: a killed command could not show it again."""

    def show_cursor(self, show: bool = True) -> bool:
        return False
