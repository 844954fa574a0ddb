"""Why nothing more may begin in a run: one value that the gate writes, and cells, steps and engine read."""


class Stop:
    """Four reasons, each a sentence or empty; the first of its kind stays.

    `cancelled`: somebody wants the run to stop. `cell`: the cell that runs is over, or is being stopped. `refused`: an
    effect was refused, or nobody knows what it did, so the run cannot succeed any more. `waits`: the run cannot go on
    now, and can be resumed. A session (`lasts` is false) goes on after a refusal: its person sees it.
    """

    def __init__(self, *, lasts: bool = True) -> None:
        self._lasts = lasts
        self.clear()

    def clear(self) -> None:
        """What stopped the run was dealt with: what follows, such as a rollback, is wanted."""
        self.cancelled = self.cell = self.refused = self.waits = ""

    @property
    def why(self) -> str:
        """Why no effect may begin; empty if one may."""
        return self.cancelled or self.cell or self.refused

    def cancel(self, why: str) -> None:
        """Nothing begins any more."""
        self.cancelled = self.cancelled or why

    def refuse(self, why: str) -> None:
        """An effect was refused, or its outcome is unknown: a cell that swallows that gains nothing."""
        self.refused = self.refused or (why if self._lasts else "")

    def wait(self, why: str) -> str:
        """The run stops here, and can be resumed; returns the reason that holds. A cancelled run does not wait."""
        self.waits = self.waits or ("" if self.cancelled else why)
        return self.cancelled or why
