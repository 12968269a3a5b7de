"""YAML that knows its lines, for definitions a person writes and must be told about exactly.

Scalars follow YAML 1.2: `on:` stays a key and `12:30:00` stays text, where YAML 1.1 would
read a boolean and a number of base 60. Anchors and tags are refused: a definition says
what it says, in the order in which it is read.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]

DEEPEST = 30
LONGEST = 1_000_000

_PLAIN_TAGS = frozenset(f"tag:yaml.org,2002:{kind}" for kind in ("str", "seq", "map"))
_INTEGER = re.compile(r"[-+]?[0-9]{1,18}")
_DECIMAL = re.compile(r"[-+]?([0-9]{1,18}\.[0-9]{0,18}|\.[0-9]{1,18})([eE][-+]?[0-9]{1,2})?")
_WORDS: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong in a definition; `line` counts from 1, `nearest` is the likely word."""

    line: int
    what: str
    nearest: str | None = None

    def __str__(self) -> str:
        hint = f"; nearest is '{self.nearest}'" if self.nearest else ""
        return f"line {self.line}: {self.what}{hint}"


class DefinitionError(Exception):
    """A definition file cannot be used; every problem found is named with its line."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}, {problem}" for problem in self.problems))

    @property
    def line(self) -> int:
        return self.problems[0].line

    @property
    def what(self) -> str:
        return self.problems[0].what

    @property
    def nearest(self) -> str | None:
        return self.problems[0].nearest


@dataclass(frozen=True, slots=True)
class Located:
    """A document as plain values, and the line of every entry by its path."""

    value: Any
    lines: dict[Path, int] = field(repr=False)

    def line(self, path: Path) -> int:
        """The line of `path`, or of the nearest thing around it that has one."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return 1


class _Refused(Exception):
    """Carries the line and the reason from inside the tree to the reader."""

    def __init__(self, line: int, what: str) -> None:
        self.line, self.what = line, what
        super().__init__(what)


def read_documents(
    text: str, source: str, error_class: type[DefinitionError] = DefinitionError
) -> list[Located]:
    """Every document of `text`, empty ones left out; `error_class` when it is not YAML."""
    try:
        _refuse_knots(text)
        nodes = list(yaml.compose_all(text, Loader=yaml.BaseLoader))
        documents = [_located(node) for node in nodes if node is not None]
    except _Refused as refused:
        raise error_class(source, [Problem(refused.line, refused.what)]) from None
    except yaml.MarkedYAMLError as error:
        raise error_class(source, [_problem_of(error)]) from None
    except yaml.YAMLError as error:
        what = f"not YAML: {str(error).splitlines()[0]}"
        raise error_class(source, [Problem(1, what)]) from None
    except (ValueError, OverflowError) as error:
        # PyYAML lets both through for an impossible \U escape or %YAML version.
        raise error_class(source, [Problem(1, f"not YAML: {error}")]) from None
    return [document for document in documents if document.value is not None]


def read_value(text: str) -> Any:
    """One value as YAML would read it, such as `'device target'` or `[a, b]`.

    Raises `DefinitionError` for anything but exactly one value.
    """
    documents = read_documents(text, "value")
    if len(documents) != 1:
        if text.strip() in _WORDS:
            return _WORDS[text.strip()]
        raise DefinitionError("value", [Problem(1, "expected exactly one value")])
    return documents[0].value


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The known word most like `word`, or None when nothing is alike."""
    as_written = {name.lower(): name for name in sorted(known)}
    matches = difflib.get_close_matches(word.lower(), as_written, n=1, cutoff=0.5)
    return as_written[matches[0]] if matches else None


def _line(found: yaml.Node | yaml.Event) -> int:
    return found.start_mark.line + 1 if found.start_mark else 1


def _problem_of(error: yaml.MarkedYAMLError) -> Problem:
    mark = error.problem_mark or error.context_mark
    return Problem(mark.line + 1 if mark else 1, f"not YAML: {error.problem or error.context}")


def _refuse_knots(text: str) -> None:
    # Before anything is composed: an alias may contain itself or unfold to billions of
    # nodes, and brackets in brackets cost PyYAML the square of their depth.
    if len(text) > LONGEST:
        raise _Refused(1, f"more than {LONGEST} characters")
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.AliasEvent):
            raise _Refused(_line(event), "anchors and aliases are not used here")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > DEEPEST:
            raise _Refused(_line(event), f"nested more than {DEEPEST} deep")


def _located(root: yaml.Node) -> Located:
    lines: dict[Path, int] = {(): _line(root)}
    return Located(_plain(root, (), lines), lines)


def _plain(node: yaml.Node, path: Path, lines: dict[Path, int]) -> Any:
    if node.tag not in _PLAIN_TAGS:
        raise _Refused(_line(node), f"the tag {node.tag} is not used here")
    if isinstance(node, yaml.MappingNode):
        return dict(_entries(node, path, lines))
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, child in enumerate(node.value):
            lines[(*path, index)] = _line(child)
            items.append(_plain(child, (*path, index), lines))
        return items
    assert isinstance(node, yaml.ScalarNode)
    return _scalar(node)


def _entries(
    node: yaml.MappingNode, path: Path, lines: dict[Path, int]
) -> Iterator[tuple[str, Any]]:
    for key_node, value_node in node.value:
        line = _line(key_node)
        if not isinstance(key_node, yaml.ScalarNode):
            raise _Refused(line, "a key must be a word")
        here = (*path, key_node.value)
        if here in lines:
            raise _Refused(line, f"'{key_node.value}' is written twice")
        lines[here] = line
        yield key_node.value, _plain(value_node, here, lines)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.style is not None:
        return text
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    return text
