"""Calls that an OpenAPI document allows, or just does not, made over real HTTP.

What is drawn knows nothing of the world behind an application: words of that world are put
into it, so that calls get further than the first look-up.
"""

from collections.abc import Mapping, MutableMapping
from typing import Any

import schemathesis
from fastapi import FastAPI
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.schemas import APIOperation

ODD_BODIES = {
    "no JSON": b"<html>",
    "nothing": b"",
    "a broken end": b'{"guid": "',
    "invalid UTF-8": b'{"guid": "\xff\xfe"}',
    "UTF-16": '{"guid": "a"}'.encode("utf-16"),
    "half a character": b'{"guid": "\\ud800", "job": "\\udfff", "data": {"a": "\\ud800"}}',
    "a NUL": b'{"guid": "a\\u0000b", "job": "\\u0000", "asset_guid": "\\u0000"}',
    "a number no float holds": b'{"guid": 1e999, "timestamp": 1e999, "exit_code": 1e999}',
    "an endless integer": b'{"guid": %b, "exit_code": %b}' % (b"9" * 5000, b"9" * 5000),
    "what JSON has not": b'{"guid": NaN, "data": {"a": Infinity, "b": -Infinity}}',
    "deep lists": b'{"data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "deep mappings": b'{"a":' * 50_000 + b"1" + b"}" * 50_000,
    "a list": b"[]",
    "null": b"null",
    "twice the same key": b'{"guid": "a", "guid": null}',
}
ODD_TYPES = ("application/json", "text/plain; charset=utf-16", "x")


def operations(app: FastAPI) -> dict[str, APIOperation[Any, Any, Any, Any]]:
    """The operations of an application's OpenAPI document by their labels."""
    schema = schemathesis.openapi.from_dict(app.openapi())
    return {each.ok().label: each.ok() for each in schema.get_all_operations()}


def calls(
    operation: APIOperation[Any, Any, Any, Any], words: Mapping[str, st.SearchStrategy[Any]]
) -> st.SearchStrategy[Case]:
    """Calls that fit the document, and calls that do not, now and then with `words` in them."""
    either = st.one_of(
        operation.as_strategy(generation_mode=GenerationMode.POSITIVE),
        operation.as_strategy(generation_mode=GenerationMode.NEGATIVE),
    )

    @st.composite
    def drawn(draw: st.DrawFn) -> Case:
        case = draw(either)
        for part in (case.path_parameters, case.query, case.headers, case.body):
            if isinstance(part, MutableMapping):
                for name in part.keys() & words.keys():
                    if draw(st.integers(0, 3)):
                        part[name] = draw(words[name])
        return case

    return drawn()
