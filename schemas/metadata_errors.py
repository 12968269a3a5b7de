"""The one error of metadata, in words a curator can act on."""


class MetadataError(ValueError):
    """A metadata document or a change to one cannot be used.

    `file` and `line` are given where they are known; `remedy` says what to do.
    """

    def __init__(
        self,
        problem: str,
        remedy: str,
        *,
        field: str | None = None,
        file: str | None = None,
        line: int | None = None,
    ) -> None:
        self.problem, self.remedy, self.field = problem, remedy, field
        self.file, self.line = file, line
        super().__init__(problem, remedy, field, file, line)

    def __str__(self) -> str:
        places = [self.file or "metadata"]
        if self.line is not None:
            places.append(f"line {self.line}")
        if self.field is not None:
            places.append(f"field {self.field}")
        return f"{', '.join(places)}: {self.problem}. {self.remedy}"

    def within(self, file: str | None) -> "MetadataError":
        """The same, said of a file."""
        return MetadataError(self.problem, self.remedy, field=self.field, file=file, line=self.line)
