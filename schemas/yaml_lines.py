"""Reads YAML with the line of every entry, so that an error can name it.

Scalars follow YAML 1.2: `on:` stays a key and `12:30:00` stays text, where YAML 1.1 would
read a boolean and a number of base 60. Anchors, aliases and merge keys (`<<`) share what is
in several entries; what is unfolded keeps the line where it is written. Tags are refused.
"""

import difflib
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import yaml

Path: TypeAlias = tuple[str | int, ...]

MAX_DEPTH = 30
MAX_CHARACTERS = 1_000_000
MAX_NODES = 200_000  # entries, once every alias is unfolded
PIECE = "x-"
"""What a key of a file's top begins with that only holds what is used by its anchor."""

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


class DefinitionError(ValueError):
    """A definition file cannot be used; every problem found is named with its line."""

    def __init__(self, source: str, problems: Iterable[Problem]) -> None:
        self.source = source
        self.problems = tuple(problems)
        super().__init__("\n".join(f"{source}, {problem}" for problem in self.problems))


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

    def at(self, path: Path) -> "Located":
        """The part at `path`, as a document of its own."""
        value = self.value
        for step in path:
            value = value[step]
        lines = {
            here[len(path) :]: line
            for here, line in self.lines.items()
            if here[: len(path)] == path
        }
        return Located(value, lines)

    def without_pieces(self) -> "Located":
        """The same without what only holds anchors: the keys that begin with `x-`."""
        if not isinstance(self.value, dict):
            return self
        kept = {key: value for key, value in self.value.items() if not key.startswith(PIECE)}
        return Located(kept, self.lines)


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
        documents = [_Unfolding().located(node) for node in nodes if node is not None]
    except _Refused as refused:
        raise error_class(source, [Problem(refused.line, refused.what)]) from None
    except yaml.MarkedYAMLError as error:
        raise error_class(source, [_problem_of(error)]) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:
        # The last two come from an impossible \U escape or %YAML version.
        first_line = str(error).partition("\n")[0]
        raise error_class(source, [Problem(1, f"not YAML: {first_line}")]) from None
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
    what = f"not YAML: {error.problem or error.context}"
    if "undefined alias" in what:
        what += "; an anchor is known below itself, in its own document"
    return Problem(mark.line + 1 if mark else 1, what)


def _refuse_knots(text: str) -> None:
    # Before anything is composed: brackets in brackets cost PyYAML the square of their depth.
    if len(text) > MAX_CHARACTERS:
        raise _Refused(1, f"more than {MAX_CHARACTERS} characters")
    depth = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH:
            raise _Refused(_line(event), f"nested more than {MAX_DEPTH} deep")


class _Unfolding:
    """One document on its way to plain values, every alias replaced by what it stands for.

    An alias may contain itself, or a page of them unfold to billions of entries: both are
    refused.
    """

    def __init__(self) -> None:
        self._lines: dict[Path, int] = {}
        self._within: set[int] = set()
        self._count = 0

    def located(self, root: yaml.Node) -> Located:
        self._lines[()] = _line(root)
        return Located(self._plain(root, ()), self._lines)

    def _plain(self, node: yaml.Node, path: Path) -> Any:
        if len(path) > MAX_DEPTH:
            raise _Refused(_line(node), f"nested more than {MAX_DEPTH} deep")
        if node.tag not in _PLAIN_TAGS:
            raise _Refused(_line(node), f"the tag {node.tag} is not used here")
        if isinstance(node, yaml.ScalarNode):
            self._counted(node)
            return _scalar(node)
        with self._inside(node):
            if isinstance(node, yaml.SequenceNode):
                children = enumerate(node.value)
                return [self._entry(_line(child), child, (*path, i)) for i, child in children]
            assert isinstance(node, yaml.MappingNode)
            entries = self._merged(node).items()
            return {key: self._entry(*entry, path=(*path, key)) for key, entry in entries}

    def _entry(self, line: int, node: yaml.Node, path: Path) -> Any:
        self._lines[path] = line
        return self._plain(node, path)

    @contextmanager
    def _inside(self, node: yaml.Node) -> Iterator[None]:
        self._counted(node)
        if id(node) in self._within:
            raise _Refused(_line(node), "an anchor is used within itself")
        self._within.add(id(node))
        yield
        self._within.discard(id(node))

    def _counted(self, node: yaml.Node) -> None:
        self._count += 1
        if self._count > MAX_NODES:
            raise _Refused(_line(node), f"more than {MAX_NODES} entries once aliases are unfolded")

    def _merged(self, node: yaml.MappingNode) -> dict[str, tuple[int, yaml.Node]]:
        """The entries of a mapping and their keys' lines: its own, then those it merges in."""
        own: dict[str, tuple[int, yaml.Node]] = {}
        merges: yaml.Node | None = None
        for key, value in node.value:
            line = _line(key)
            self._counted(key)
            if not isinstance(key, yaml.ScalarNode):
                raise _Refused(line, "a key must be a word")
            merge = key.value == "<<" and key.style is None
            if key.value in own or (merge and merges is not None):
                raise _Refused(line, f"'{key.value}' is written twice")
            if merge:
                merges = value
            else:
                own[key.value] = (line, value)
        for entries in self._sources(merges) if merges is not None else ():
            own = entries | own
        return own

    def _sources(self, merges: yaml.Node) -> Iterator[dict[str, tuple[int, yaml.Node]]]:
        """What `<<` names, the strongest first."""
        named = merges.value if isinstance(merges, yaml.SequenceNode) else [merges]
        for node in named:
            if not isinstance(node, yaml.MappingNode):
                raise _Refused(_line(merges), "`<<` takes a mapping, such as *name, or a list")
            with self._inside(node):
                yield self._merged(node)


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
