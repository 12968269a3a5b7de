"""A line says what it is about, as text and as JSON, whoever writes it."""

import asyncio
import io
import json
import logging
from collections.abc import Iterator
from datetime import datetime

import pytest

from schemas.log_lines import LogFormat, formatter, lines_about, readable, say_about, write_lines

log = logging.getLogger("somewhere.deep")


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What is written of this module's logger, its level and handlers put back."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    before = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield stream
    log.removeHandler(handler)
    log.setLevel(before)


def form(form: LogFormat) -> None:
    log.handlers[-1].setFormatter(formatter(form))


def test_a_line_of_text_ends_with_what_it_is_about(written: io.StringIO) -> None:
    form("text")
    with lines_about(guid="g1", stage="ocr"):
        log.info("%s is here", "it")
        log.info("another's", extra={"guid": "g2", "attempt": 7})
    log.info("nobody's")
    lines = written.getvalue().splitlines()
    assert lines[0].endswith(" INFO somewhere.deep it is here guid=g1 stage=ocr")
    assert lines[1].endswith(" another's guid=g2 stage=ocr attempt=7")
    assert lines[2].endswith(" nobody's")


def test_a_line_of_json_is_an_object_with_its_time_and_offset(written: io.StringIO) -> None:
    form("json")
    with lines_about(guid="Ærø\n1", session="s", site="here", attempt=7):
        log.warning('said "no"')
    (line,) = written.getvalue().splitlines()
    found = json.loads(line)
    assert datetime.fromisoformat(found.pop("time")).utcoffset() is not None
    assert found == {
        "level": "WARNING",
        "logger": "somewhere.deep",
        "message": 'said "no"',
        "guid": "Ærø\n1",
        "session": "s",
        "attempt": 7,
        "site": "here",
    }


@pytest.mark.parametrize("shape", ["text", "json"])
def test_a_traceback_goes_along_and_what_it_is_about_stands_in_the_first_line(
    written: io.StringIO, shape: LogFormat
) -> None:
    form(shape)
    try:
        raise ValueError("no")
    except ValueError:
        log.exception("it broke", extra={"guid": "g1"})
    first, *rest = written.getvalue().splitlines()
    assert "g1" in first
    assert "ValueError: no" in (json.loads(first)["exception"] if shape == "json" else rest[-1])


async def test_each_task_says_what_it_is_about_for_itself(written: io.StringIO) -> None:
    form("text")

    async def work(guid: str) -> None:
        say_about(guid=guid)
        await asyncio.sleep(0)
        log.info("at work")

    await asyncio.gather(*(asyncio.create_task(work(f"g{n}")) for n in range(3)))
    log.info("over")
    lines = written.getvalue().splitlines()
    assert sorted(line.rpartition("guid=")[2] for line in lines[:3]) == ["g0", "g1", "g2"]
    assert "guid" not in lines[3]


def test_a_person_reads_a_line_of_json_as_text_and_any_other_as_it_is(
    written: io.StringIO,
) -> None:
    form("json")
    log.info("it is here", extra={"guid": "g1", "attempt": 7})
    text = readable(written.getvalue().strip())
    assert text.endswith("INFO somewhere.deep it is here guid=g1 attempt=7")
    for line in ("", "plain", "{}", '{"time": 1}', '{"time": "cut of'):
        assert readable(line) == line


def test_loggers_write_to_stderr_once_however_often_they_are_told(
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("some_room", "other_room")
    try:
        for shape in ("text", "json", "json"):
            write_lines(shape, names)  # type: ignore[arg-type]
        logging.getLogger("some_room.deep").info("hello")
        logging.getLogger("some_room.deep").debug("too much")
        assert json.loads(capsys.readouterr().err)["message"] == "hello"
    finally:
        for name in names:
            logging.getLogger(name).handlers = []
