"""Reads the bytes of a JSON file as one mapping, and repairs mangled letters.

Workstations run Windows: files come with byte order marks, in Windows-1252, or in UTF-8 that
something took for Windows-1252 and saved as UTF-8 again (`SÃ¸ren` for `Søren`).
"""

import codecs
import json
import re
from typing import Any

from schemas.metadata.errors import MetadataError
from schemas.storable import MAX_DEPTH

_SAVE_AS = "Save the file as UTF-8 and drop it again"
_MEND = "Mend the JSON and drop the file again"
_MARKS = (
    (codecs.BOM_UTF8, "utf-8", None),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
_PLAIN = {
    "Unterminated": "the text that begins here never ends, the rest of the file is missing",
    "Expecting property name": "a field name in double quotation marks is expected here, "
    "or the comma before is one too many",
    "Illegal trailing comma": "the comma here is one too many",
    "Expecting ':'": "a colon is missing here, between a field name and its value",
    "Expecting ','": "a comma or a closing bracket is missing here",
    "Expecting value": "a value is missing here, or is a text without quotation marks",
    "Extra data": "something follows after the end of the document",
    "Invalid control character": "a text has a line break or a tab in it here, "
    "or its closing quotation mark is missing",
    "Invalid \\": r"a backslash in a text has to be written twice: \\",
}
# Letters of Latin-1, and the dashes and quotes of U+20xx. No more than these: a capital
# with an accent before a closing quote (“BLÅ”) could be taken for many others.
_MANGLED = re.compile("[ÂÃ][\u0080-\u00bf\u0152-\u017e\u0192\u02c6\u02dc\u2013-\u2122]|â€")


def read_text(raw: bytes, warnings: list[str]) -> str:
    """The text of a file; `warnings` gets what had to be assumed."""
    for mark, encoding, name in _MARKS:
        if raw.startswith(mark):
            body = raw if name else raw.removeprefix(mark)
            return _decode(body, encoding, name, warnings).removeprefix("\ufeff")
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return _decode(raw, "cp1252", "Windows-1252", warnings)


def _decode(raw: bytes, encoding: str, name: str | None, warnings: list[str]) -> str:
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        problem = f"byte {error.start} is neither UTF-8 nor {name or 'what its mark says'}"
        raise MetadataError(problem, _SAVE_AS, line=line) from None
    if name:
        warnings.append(f"the file is not UTF-8; read as {name}")
    return text


def read_json(text: str) -> dict[str, Any]:
    """The one mapping a document is; `MetadataError` names the line of what is wrong."""
    try:
        document = json.loads(
            text, object_pairs_hook=_without_repeats, parse_constant=_refuse_constant
        )
    except json.JSONDecodeError as error:
        problem = f"it is not JSON: {_in_plain_words(error)}"
        line, column = error.lineno, error.colno
        raise MetadataError(problem, _MEND, line=line, column=column) from None
    except RecursionError:
        raise MetadataError(f"nested more than {MAX_DEPTH} deep", _MEND) from None
    except MetadataError as error:
        if error.field is not None:
            error.line = _second_line(text, error.field)
        raise
    except ValueError:  # Python reads no integer of more than 4300 digits
        raise MetadataError("it is not JSON: a number has thousands of digits", _MEND) from None
    if not isinstance(document, dict):
        problem = "the document is not a mapping of field names to values"
        raise MetadataError(problem, "Write one JSON object in each file", line=1)
    return document


def _in_plain_words(error: json.JSONDecodeError) -> str:
    """What is wrong at that place, in words for a curator."""
    if not error.doc.strip():
        return "the file is empty"
    if error.pos >= len(error.doc.rstrip()):
        return "the file breaks off here, its rest is missing"
    plain = (text for begins, text in _PLAIN.items() if error.msg.startswith(begins))
    return next(plain, error.msg)


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document: dict[str, Any] = {}
    for key, value in pairs:
        if key in document and document[key] != value:
            raise MetadataError("written twice, with different values", "Keep one", field=key)
        document[key] = value
    return document


def _refuse_constant(word: str) -> Any:
    raise MetadataError(f"{word} is not a JSON value", "Write null or a number")


def _second_line(text: str, key: str) -> int | None:
    found = list(re.finditer(re.escape(json.dumps(key, ensure_ascii=False)) + r"\s*:", text))
    return text.count("\n", 0, found[1].start()) + 1 if len(found) > 1 else None


def unmangle(value: Any, warnings: list[str], path: str = "") -> Any:
    """`value` with every text in it that is UTF-8 read as Windows-1252 turned back."""
    if isinstance(value, str):
        mended = _mended(value)
        if mended != value:
            warnings.append(f"{path or 'text'}: {value!r:.60} was mangled; read as {mended!r:.60}")
        return mended
    if isinstance(value, dict):
        return {
            key: unmangle(part, warnings, f"{path}.{key}" if path else str(key))
            for key, part in value.items()
        }
    if isinstance(value, list | tuple):
        return [unmangle(part, warnings, path) for part in value]
    return value


def _mended(text: str) -> str:
    for _ in range(3):  # a file may have been through it more than once
        if not _MANGLED.search(text):
            break
        try:
            text = b"".join(_one_byte(letter) for letter in text).decode("utf-8")
        except UnicodeError:
            break
    return text


def _one_byte(letter: str) -> bytes:
    # Windows-1252 leaves five bytes undefined; software reads those as they are.
    try:
        return letter.encode("cp1252")
    except UnicodeEncodeError:
        return letter.encode("latin-1")
