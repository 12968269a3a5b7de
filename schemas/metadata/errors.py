"""The one error of metadata, in words a curator can act on."""


class MetadataError(ValueError):
    """A metadata document or a change to one cannot be used.

    `file`, `line` and `column` are given where they are known; `remedy` says what to do.
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        field: str | None = None,
        file: str | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.problem, self.remedy, self.field = problem, remedy, field
        self.file, self.line, self.column = file, line, column
        super().__init__(problem, remedy, field, file, line, column)

    def __str__(self) -> str:
        places = ", ".join([self.file or "metadata", *self._places()])
        return f"{places}: {self.problem}. {self.remedy}"

    @property
    def located(self) -> str:
        """The problem with its place in the file, which is named beside it."""
        places = ", ".join(self._places())
        return f"{places}: {self.problem}" if places else self.problem

    def _places(self) -> list[str]:
        places = {"line": self.line, "column": self.column, "field": self.field}
        return [f"{what} {where}" for what, where in places.items() if where is not None]

    def within(self, file: str | None) -> "MetadataError":
        """The same, said of a file."""
        return MetadataError(
            self.problem,
            self.remedy,
            field=self.field,
            file=file,
            line=self.line,
            column=self.column,
        )
