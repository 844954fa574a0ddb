"""Why a run may start no more effects: the gate writes it; cells, steps and engine read it."""


class Stop:
    """Four reasons, each a sentence or empty; the first of each kind is kept.

    `cancelled`: a person stopped the run. `cell`: the running cell is over, or is being stopped. `refused`: an effect
    was refused, or its outcome is unknown, so the run cannot succeed any more. `waits`: the run cannot continue now,
    and can be resumed. A session (`lasts` is false) continues after a refusal: its person sees it.
    """

    def __init__(self, *, lasts: bool = True) -> None:
        self._lasts = lasts
        self.clear()

    def clear(self) -> None:
        """Clear all reasons: they were handled, and what follows, such as a rollback, is intended."""
        self.cancelled = self.cell = self.refused = self.waits = ""

    @property
    def why(self) -> str:
        """Why no effect may begin; empty if one may."""
        return self.cancelled or self.cell or self.refused

    def cancel(self, why: str) -> None:
        """Stop because a person cancelled."""
        self.cancelled = self.cancelled or why

    def refuse(self, why: str) -> None:
        """Stop after a refusal or an unknown outcome: a cell gains nothing by catching the error."""
        self.refused = self.refused or (why if self._lasts else "")

    def wait(self, why: str) -> str:
        """Stop until the run is resumed; returns the reason that applies. A cancelled run does not wait."""
        self.waits = self.waits or ("" if self.cancelled else why)
        return self.cancelled or why
