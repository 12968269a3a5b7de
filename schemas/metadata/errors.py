"""The one error of metadata, in words a curator can act on."""

from dataclasses import KW_ONLY, dataclass


@dataclass(eq=False)
class MetadataError(ValueError):
    """A metadata document or a change to one cannot be used.

    `file`, `line` and `column` are given where they are known; `remedy` says what to do.
    """

    problem: str
    remedy: str
    _: KW_ONLY
    field: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        places = ", ".join([self.file or "metadata", *self._places()])
        return f"{places}: {self.problem}. {self.remedy}"

    @property
    def located(self) -> str:
        """The problem and its place in the file, whose name is not repeated."""
        places = ", ".join(self._places())
        return f"{places}: {self.problem}" if places else self.problem

    def _places(self) -> list[str]:
        places = {"line": self.line, "column": self.column, "field": self.field}
        return [f"{what} {where}" for what, where in places.items() if where is not None]
