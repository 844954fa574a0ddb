"""Results of effects: text, HTML and Markdown for notebooks, JSON for the journal."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, Self


@dataclass(frozen=True, repr=False)
class Shown:
    """A result with a headline and a small table, in the three forms that notebooks use."""

    def to_json(self) -> dict[str, Any]:
        """What the journal keeps of it."""
        return asdict(self)

    @classmethod
    def of(cls, recorded: Mapping[str, Any]) -> Self:
        """The result that the journal has."""
        known = {each.name: recorded[each.name] for each in fields(cls) if each.name in recorded}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in known.items()})

    def headline(self) -> str:
        """One line."""
        raise NotImplementedError

    def table(self) -> tuple[Sequence[str], Sequence[Sequence[object]]]:
        """Column names and rows; without a table, both are empty."""
        return (), ()

    def __repr__(self) -> str:
        names, rows = self.table()
        if not names:
            return self.headline()
        cells = [[str(cell) for cell in row] for row in [names, *rows]]
        widths = [max(len(row[n]) for row in cells) for n in range(len(names))]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
        ]
        return "\n".join([self.headline(), *(f"  {line}" for line in lines)])

    def _repr_markdown_(self) -> str:
        names, rows = self.table()
        lines = [self.headline().replace("\n", " ")]
        if names:
            body = [[str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
            lines += ["", "| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
            lines += ["| " + " | ".join(row) + " |" for row in body]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.headline())}</p>{html_table(self)}"


def html_table(result: Shown, style: str = "") -> str:
    """The table of a result as HTML; empty if it has none. `style` is its CSS."""
    names, rows = result.table()
    if not names:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in names)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    styled = f" style='{style}'" if style else ""
    return f"<table{styled}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
