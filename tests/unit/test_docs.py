"""What the pages say of the code is there, and the glossary has each word once."""

import re
from pathlib import Path

import pytest

from track.schema.tables import catalogue

ROOT = Path(__file__).parents[2]
PATH = re.compile(
    r"`((?:flows|tasks|blocks|track|hpc|api|schemas|refinery|demo|deployments|tests|docs)/[\w./-]+)`"
)
OF_THE_READER = {
    "deployments/imported/",
    "deployments/sites.yaml",
    "hpc/runner/modules/measure.py",
    "tests/unit/hpc/runner/test_measure.py",
}
"""What its reader, or a command, is to make."""
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    named = set(PATH.findall(page.read_text(encoding="utf-8"))) - OF_THE_READER
    assert not {path for path in named if not (ROOT / path).exists()}


def test_the_glossary_has_each_word_once() -> None:
    rows = re.findall(r"^\| \*\*(.+?)\*\*", (ROOT / "docs/glossary.md").read_text("utf-8"), re.M)
    words = [word for row in rows for word in row.split(", ")]
    assert len(words) == len(set(words)) > 40


def test_the_limits_say_of_every_table_what_bounds_it() -> None:
    part = (ROOT / "docs/limits.md").read_text("utf-8").partition("## What grows")[2]
    cells = re.findall(r"^\| (`.+?) \|", part.partition("\n## ")[0], re.M)
    named = [name.split(".")[-1] for cell in cells for name in re.findall(r"`([\w.]+)`", cell)]
    assert sorted(named) == sorted(table.name for table in catalogue.tables.values())
