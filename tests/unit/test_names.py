"""One word, one concept: no two public classes of the product have one name."""

import ast
from collections import defaultdict
from pathlib import Path

from tests.unit.test_imports import ROOMS, ROOT

ALLOWED = {
    "Legality": "the archive's own word: of an asset, as we write it and as demo/ars reads it",
    "Result": "what a module did, on the two sides of one message: the runner's and ours",
    "SpecimenBody": "one message to the archive, as we write it and as demo/ars reads it",
}
"""Names that several classes have, and why; each is one concept in rooms that may not share it."""


def classes() -> dict[str, list[str]]:
    """The files that define a public class of a name at their top level, by that name."""
    found: dict[str, list[str]] = defaultdict(list)
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                found[node.name].append(str(Path(path).relative_to(ROOT)))
    return found


def test_no_two_public_classes_have_one_name() -> None:
    twice = {name: files for name, files in classes().items() if len(files) > 1}
    assert {n: f for n, f in twice.items() if n not in ALLOWED} == {}


def test_every_name_that_may_be_there_twice_is() -> None:
    found = classes()
    assert [name for name in ALLOWED if len(found[name]) < 2] == []
