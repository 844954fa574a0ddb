"""Lock targets."""


def conflict(one: str, other: str) -> bool:
    """Whether two targets exclude each other: they are equal, or one contains the other."""
    a, b = one.split("/"), other.split("/")
    shared = min(len(a), len(b))
    return a[:shared] == b[:shared]
