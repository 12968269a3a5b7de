"""The parts of a form with files, as they come: nothing is gathered on a disk or in memory.

https://www.rfc-editor.org/rfc/rfc7578. The library that FastAPI has for forms parses it.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from api.workstations.refusals import UploadRefused
from schemas.uploads import RefusalCode

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 30


@dataclass(frozen=True)
class PartBegins:
    """A part of the form: its field, and its file's name where it has one."""

    field: str
    filename: str | None


@dataclass(frozen=True)
class PartData:
    """Some more bytes of the part."""

    data: bytes


@dataclass(frozen=True)
class PartEnds:
    """The part is whole."""


FormEvent = PartBegins | PartData | PartEnds


async def form_events(content_type: str, body: AsyncIterator[bytes]) -> AsyncIterator[FormEvent]:
    """What comes of a form, in order. Raises UploadRefused for what is none, or ends too early."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data" or not options.get(b"boundary"):
        text = "Content-Type: write a form with files, multipart/form-data with its boundary"
        raise UploadRefused(RefusalCode.BAD_REQUEST, text, status=415)
    reader = _Reader()
    try:
        parser = MultipartParser(options[b"boundary"], reader.callbacks())
        async for chunk in body:
            parser.write(chunk)
            for event in reader.taken():
                yield event
        parser.finalize()
    except FormParserError as error:
        raise UploadRefused(RefusalCode.BAD_REQUEST, f"the form cannot be read: {error}") from None
    if not reader.ended:
        raise UploadRefused(RefusalCode.BAD_REQUEST, "the form breaks off; send it again")


class _Reader:
    """Turns the parser's calls into events."""

    def __init__(self) -> None:
        self.ended = False
        self._events: list[FormEvent] = []
        self._parts = 0
        self._header, self._value = b"", b""
        self._disposition = b""

    def taken(self) -> list[FormEvent]:
        """The events since it was asked last."""
        events, self._events = self._events, []
        return events

    def callbacks(self) -> "MultipartCallbacks":
        """What the parser calls."""
        return {
            "on_part_begin": self._begin,
            "on_header_field": self._add_header,
            "on_header_value": self._add_value,
            "on_header_end": self._end_header,
            "on_headers_finished": self._headers_end,
            "on_part_data": self._data,
            "on_part_end": lambda: self._events.append(PartEnds()),
            "on_end": self._end,
        }

    def _begin(self) -> None:
        self._parts += 1
        self._disposition = b""
        if self._parts > MAX_PARTS:
            raise UploadRefused(
                RefusalCode.BAD_REQUEST, f"the form has more than {MAX_PARTS} parts"
            )

    def _add_header(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _end_header(self) -> None:
        if self._header.lower() == b"content-disposition":
            self._disposition = self._value
        self._header, self._value = b"", b""

    def _headers_end(self) -> None:
        _, options = parse_options_header(self._disposition)
        name, filename = options.get(b"name", b""), options.get(b"filename")
        shown = None if filename is None else filename.decode("utf-8", "replace")
        self._events.append(PartBegins(name.decode("utf-8", "replace"), shown))

    def _data(self, data: bytes, start: int, end: int) -> None:
        self._events.append(PartData(data[start:end]))

    def _end(self) -> None:
        self.ended = True
