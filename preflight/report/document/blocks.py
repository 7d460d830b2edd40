"""What a report is made of: words in a structure, without any markup. A format renders these and nothing else."""

from dataclasses import dataclass

from preflight.finding import Severity, Status


@dataclass(frozen=True, slots=True)
class Labelled:
    """`owner`: `D. Kaya (dba)`; more than one line where the label holds for each of them."""

    label: str
    lines: tuple[str, ...]

    @property
    def text(self) -> str:
        return "; ".join(self.lines)

    def __str__(self) -> str:
        return f"{self.label}: {self.text}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One observation of a finding."""

    summary: str
    labelled: tuple[Labelled, ...]
    """What was found and wanted, the cure, the minutes at stake."""
    details: str = ""
    """Lines as they stand, for example a difference."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A finding, or all findings that share a cause."""

    status: Status
    check: str
    """Its id; of a shared cause, how many checks could not look."""
    subject: str = ""
    severity: Severity = Severity.BLOCKING
    points: tuple[Point, ...] = ()
    facts: tuple[Labelled, ...] = ()
    """Who owns it, what it costs, by when to ask, where it was seen."""

    @property
    def name(self) -> str:
        return f"{self.check} {self.subject}".rstrip()

    @property
    def lines(self) -> list[str]:
        """All of it as plain lines, for readers that take nothing else; what may be long stands last."""
        told = [line for point in self.points for line in (point.summary, *map(str, point.labelled))]
        details = [line for point in self.points if point.details for line in point.details.split("\n")]
        return [*told, *map(str, self.facts), *details]


@dataclass(frozen=True, slots=True)
class Cell:
    text: str
    status: Status | None = None
    """The status whose colour the word has."""
    strong: bool = False
    then: str = ""
    """What follows a strong beginning."""


@dataclass(frozen=True, slots=True)
class Table:
    """Every row has a cell for each column; what it is about stands in its first cell without a status."""

    columns: tuple[str, ...] = ()
    """Their heads; empty words for a table whose cells need none."""
    rows: tuple[tuple[Cell, ...], ...] = ()
    narrow: bool = False
    """Fits a small screen as it stands."""


def row(*cells: str | Cell) -> tuple[Cell, ...]:
    """A table's row of cells and of plain words."""
    return tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in cells)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A title, what is listed below it, and a table; empty when there is nothing to say."""

    title: str
    items: tuple[str, ...] = ()
    table: Table = Table()

    def __bool__(self) -> bool:
        return bool(self.items or self.table.rows)
