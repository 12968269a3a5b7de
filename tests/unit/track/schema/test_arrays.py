"""Lists of unbounded length never become one parameter per value."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
ROOMS = ("api", "flows", "hpc", "refinery", "tasks", "track")

SHORT = {
    "track/jobs/claims.py: mine",
    # Of names of our own: `one_of`.
    "track/schema/arrays.py: written",
    "track/commands/pipelines.py: emitting",
    "track/jobs/takeover.py: alive",
    "track/commands/switches.py: family",
    "track/jobs/verbs.py: _roots(guids)",
    "track/jobs/verbs.py: own.union(_roots(guids))",
    "track/records/mos.py: parents",
    "track/jobs/verbs.py: _roots([guid])",
    # What a pipeline's definition names, never more than it has stages:
    "track/jobs/exclusions.py: rule.stages",
    "track/jobs/exclusions.py: stages",
    "track/commands/pipelines.py: own.values()",
    "track/commands/pipelines.py: stages",
}
"""Queries of the database under a name, and lists that people write."""


def lists() -> list[tuple[str, ast.expr]]:
    """What is given to `in_` and `not_in` anywhere, with its file."""
    found = []
    for path in sorted(path for room in ROOMS for path in (ROOT / room).rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr="in_" | "not_in"), args=[given]):
                    found.append((str(path.relative_to(ROOT)), given))
    return found


def is_short(given: ast.expr) -> bool:
    """Whether it is written out, a constant, or a query of the database."""
    if isinstance(given, ast.List | ast.Tuple | ast.Set):
        return True
    if isinstance(given, ast.Call) and ast.unparse(given.func) == "sorted":
        names = [node.id for node in ast.walk(given.args[0]) if isinstance(node, ast.Name)]
        return all(name.isupper() or name in ("State", "states") for name in names)
    text = ast.unparse(given)
    return text.isupper() or text.startswith("select(")


@pytest.mark.parametrize(
    ("place", "given"),
    [pytest.param(*each, id=f"{each[0]}: {ast.unparse(each[1])}") for each in lists()],
)
def test_a_list_that_may_be_long_is_given_as_an_array(place: str, given: ast.expr) -> None:
    text = ast.unparse(given)
    remedy = f"{place}: write any_of(column, {text}), see track/schema/arrays.py"
    assert is_short(given) or f"{place}: {text}" in SHORT, remedy
