"""A command: any program, as the words by which it is started at a site.

It knows nothing of us. What it is told it finds among its arguments and in its environment, and
its exit code says how it went (`hpc/runner/command.py`).
"""

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from schemas.pipeline.placeholders import placeholders
from schemas.yaml_lines import nearest

COMMAND_FIELDS = frozenset(
    {"guid", "parent_guid", "batch", "pipeline", "stage", "folder", "input", "x", "y", "z"}
)
"""What a command may be given of its asset; its stage's parameters are `params.<name>`."""
TAKEN_FOLDERS = frozenset({"derived"})
"""Folders in an asset's that modules write to: a command's folder, which has its stage's name and
is emptied before each attempt, is none of them."""


def word_problems(
    words: Collection[str], params: Mapping[str, Any], *, inputs: bool
) -> Iterator[tuple[int, str, str | None]]:
    """What is wrong with a command's words: which word, how, and the nearest known name.

    `params` and `inputs` are its stage's.
    """
    known = COMMAND_FIELDS | {f"params.{name}" for name in params}
    for n, word in enumerate(words):
        try:
            fields = placeholders(word)
        except ValueError as error:
            how = "write '{{' and '}}' for braces"
            yield n, f"command: '{word}' cannot be read: {error}; {how}", None
            continue
        for field in fields:
            if field not in known:
                yield n, f"command: no '{{{field}}}'", nearest(field, known)
            elif field == "input" and not inputs:
                yield n, "command: '{input}' needs `inputs: true`", None
