"""Placeholders in a command's words: `{guid}` stands for a value, `{{` and `}}` for braces."""

from string import Formatter


def placeholders(word: str) -> list[str]:
    """The names between a word's braces, in order; raises ValueError where they cannot be read."""
    fields = []
    for _, field, spec, conversion in Formatter().parse(word):
        if spec or conversion:
            raise ValueError(f"'{{{field}}}' takes neither format nor conversion")
        if field is not None:
            fields.append(field)
    return fields
