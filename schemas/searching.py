"""What a specimen is found by: the words of its document, and the same of what a person types.

Both sides are taken apart here, so that they cannot differ. All words of a specimen are one set:
those of texts as they are, those of a field with a letter and a colon before them. Letters lose
their case; nothing else is taken from a text, and no sign has a meaning of its own.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

GUID, BARCODE, PART = "g:", "b:", "n:"
COLLECTION, DIGITISER, WORKSTATION, PIPELINE = "c:", "d:", "w:", "p:"
"""Fields whose words stand apart. PART: each three letters in a row of a barcode."""

PART_LENGTH = 3
MAX_WORD = 100
"""Letters of a word that count."""

MAX_WORDS = 5_000
"""Words of a specimen's texts; the label of a real sheet has some fifty."""

MAX_BYTES = 500_000
"""Of a specimen's words together; PostgreSQL takes twice as much, and no document should fail."""

TEXTS = (
    "collection",
    "institution",
    "preparation_type",
    "specify_attachment_title",
    "specify_attachment_remarks",
)
"""Fields of a document whose words are found, beside all its tags (OCR and taxon are some)."""

SEARCHED = frozenset(
    {*TEXTS, "barcode", "tags", "digitiser", "complete_digitiser_list", "date_asset_taken"}
)
"""Fields of a document that change what it is found by."""

_WORD = re.compile(r"[^\W_]+")


def plain(text: str) -> str:
    """A text as it is compared: without case, and without spaces around it."""
    return text.strip().lower()


def words_in(text: str) -> Iterator[str]:
    """The words of a text: letters and digits in a row."""
    return (word[:MAX_WORD] for word in _WORD.findall(text.lower()))


def parts_of(number: str) -> list[str]:
    """Each three letters in a row, with their mark; none of what is shorter."""
    number = plain(number)
    ends = range(PART_LENGTH, len(number) + 1)
    return sorted({PART + number[end - PART_LENGTH : end] for end in ends})


def telling_parts(number: str) -> list[str]:
    """Those parts that few numbers have in common: with a digit, where it has any."""
    parts = parts_of(number)
    return [each for each in parts if any(map(str.isdigit, each))] or parts


def numbers_of(body: Mapping[str, Any]) -> list[str]:
    """A document's barcodes as they are compared."""
    return [plain(each) for each in body.get("barcode") or ()]


def words_of_asset(guid: str, *, file_name: str, workstation: str, pipeline: str) -> list[str]:
    """What a specimen is found by without a document."""
    fields = [(GUID, guid), (GUID, file_name), (WORKSTATION, workstation), (PIPELINE, pipeline)]
    return sorted(_marked(fields))


def words_of_document(body: Mapping[str, Any]) -> list[str]:
    """What a specimen is found by besides, as its document says now."""
    digitisers = [body.get("digitiser"), *(body.get("complete_digitiser_list") or ())]
    numbers = numbers_of(body)
    marked = _marked(
        [
            *((BARCODE, each) for each in numbers),
            *((DIGITISER, each) for each in digitisers),
            (COLLECTION, body.get("collection")),
        ]
    )
    parts = {part for each in numbers for part in parts_of(each)}
    words = dict.fromkeys((*sorted(marked), *sorted(parts), *_first_words(_texts(body))))
    return sorted(_fitting(words))


def _fitting(words: Iterable[str]) -> Iterator[str]:
    """The first of these words, as many as there is room for."""
    left = MAX_BYTES
    for word in words:
        left -= len(word.encode())
        if left < 0:
            return
        yield word


def _marked(fields: Iterable[tuple[str, str | None]]) -> set[str]:
    return {mark + plain(each)[:MAX_WORD] for mark, each in fields if each and plain(each)}


def _texts(body: Mapping[str, Any]) -> Iterator[str]:
    for name in TEXTS:
        value = body.get(name) or ()
        yield from [value] if isinstance(value, str) else value
    yield from body.get("barcode") or ()
    yield from (body.get("tags") or {}).values()


def _first_words(texts: Iterable[str]) -> Iterator[str]:
    left = MAX_WORDS
    for text in texts:
        for word in words_in(text):
            if not left:
                return
            left -= 1
            yield word


def all_of(words: Iterable[str], *, prefix: bool = False) -> str:
    """A condition in PostgreSQL's language (tsquery): each of these words, or how it begins."""
    return " & ".join(_quoted(word) + (":*" if prefix else "") for word in words)


def any_of_conditions(conditions: Iterable[str]) -> str:
    """The same for any of several conditions; empty ones say nothing."""
    return " | ".join(f"({each})" for each in conditions if each)


def _quoted(word: str) -> str:
    return "'" + word.replace("\\", "\\\\").replace("'", "''") + "'"
