"""What locks name."""


def conflict(one: str, other: str) -> bool:
    """Whether two targets exclude each other: the same, or one inside the other."""
    a, b = one.split("/"), other.split("/")
    shared = min(len(a), len(b))
    return a[:shared] == b[:shared]
