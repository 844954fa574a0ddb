"""How the points of a drill came about. No IO."""

from collections.abc import Iterator

from opsbook.model.text import duration, number_of
from opsbook.model.training import HINT, LATE, LIMIT, UNDIAGNOSED, WRONG, Drilled


def lost(drilled: Drilled) -> Iterator[tuple[str, float]]:
    """What took points of the hundred, and how many; nothing for a drill without a mistake, or not mended."""
    if drilled.mended is None:
        return
    if drilled.hints:
        yield number_of(drilled.hints, "hint"), HINT * drilled.hints
    if drilled.wrong:
        yield number_of(len(drilled.wrong), "wrong change"), WRONG * len(drilled.wrong)
    if drilled.diagnosed is None or drilled.diagnosed > drilled.mended:
        yield "no right diagnosis before it was mended", UNDIAGNOSED
    over = drilled.mended - drilled.par
    if over > 0:
        yield f"{duration(over)} over par", LATE * min(1.0, over / (drilled.par * (LIMIT - 1)))
