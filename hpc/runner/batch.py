"""The batch folder, as the runner sees it: which lines are mine, and their tokens.

`manifest.jsonl` holds one attempt a line and `tokens` the bearer token of the same line,
in a file of its own (mode 0600), since arguments and environment are readable by others.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from hpc.runner.errors import BatchError
from hpc.runner.files import write_atomically

FIELDS: dict[str, type] = {
    **dict.fromkeys(("guid", "stage", "module", "callback", "root"), str),
    **dict.fromkeys(("attempt", "fence"), int),
}
COMMAND = "command"
"""What a line names as its module that runs a program; no module is called so."""


class ManifestLine(NamedTuple):
    """One attempt of one stage on one asset. `token` is never shown, not even in a repr."""

    position: int
    attempt: int
    fence: int
    guid: str
    stage: str
    module: str
    callback: str
    root: Path
    token: str

    @property
    def runs_command(self) -> bool:
        """Whether it runs a program, and no module."""
        return self.module == COMMAND

    def __repr__(self) -> str:
        return f"Line({self.position}: attempt {self.attempt}, {self.stage} of {self.guid})"


def parse_index(text: str) -> list[int]:
    """The 0-based lines named by `7`, `3-5` or `1,4-6`, in that order, each once.

    Raises BatchError when it is not such a list.
    """
    chosen: dict[int, None] = {}
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise BatchError(f"--index {text!r}: {part!r} is neither a line nor a range like 3-5")
        numbers = range(int(first), int(last or first) + 1)
        if not numbers:
            raise BatchError(f"--index {text!r}: the range {part!r} runs backwards")
        chosen.update(dict.fromkeys(numbers))
    return list(chosen)


def read_lines(folder: Path, indices: list[int]) -> list[ManifestLine]:
    """The lines of `folder/manifest.jsonl` with these numbers, each with its token.

    Raises BatchError naming file, line and field.
    """
    manifest = rows(folder / "manifest.jsonl")
    tokens = rows(folder / "tokens")
    return [_line(folder, index, manifest, tokens) for index in indices]


def rows(path: Path) -> list[str]:
    """The lines of a file, by number. Raises BatchError when it cannot be read."""
    try:
        # Not splitlines(): a text within JSON may hold U+2028 and the like, which end no line.
        return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise BatchError(f"{path}: cannot be read ({error})") from error


def _line(folder: Path, index: int, manifest: list[str], tokens: list[str]) -> ManifestLine:
    where = f"{folder / 'manifest.jsonl'}, line {index}"
    if index >= len(manifest):
        raise BatchError(f"{where}: there is none; the last is {len(manifest) - 1}")
    if index >= len(tokens) or not tokens[index].strip():
        raise BatchError(f"{folder / 'tokens'}, line {index}: there is no token")
    try:
        row = json.loads(manifest[index])
    except json.JSONDecodeError as error:
        raise BatchError(f"{where}: is not JSON ({error})") from error
    if not isinstance(row, dict):
        raise BatchError(f"{where}: is not an object")
    for field, kind in FIELDS.items():
        if not isinstance(row.get(field), kind):
            raise BatchError(f"{where}, field {field!r}: is missing or not a {kind.__name__}")
    root = Path(row["root"])
    if not root.is_absolute() or root == Path(root.anchor):
        raise BatchError(f"{where}, field 'root': {row['root']!r} is not the folder of a site")
    known = {name: row[name] for name in FIELDS} | {"root": root}
    return ManifestLine(position=index, token=tokens[index].strip(), **known)


def keep_for_driver(folder: Path, attempt: int, path: str, body: dict[str, Any]) -> Path:
    """Write the call that could not be made to `results/<attempt>.json`, all of it or nothing.

    The site's driver collects these; raises OSError when even that is impossible.
    """
    kept = folder / "results" / f"{attempt}.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(kept, json.dumps({"path": path, "body": body}, ensure_ascii=False))
    return kept
