"""Reasons that differ in what they are about have one cause, and different causes stay apart."""

from hypothesis import assume, given
from hypothesis import strategies as st

from track.reports.causes import cause_of

TEMPLATES = (
    "{guid}: the archive: 503, and not in ARS's words",
    "{guid}: the archive: 404, and not in ARS's words",
    "{file} (CRC-32 {hash}): {n} of its {n} strips are all zero, as a copy that was cut short",
    "{file}.tif: its image is missing",
    "its memory ran out (job {n})",
    "its time ran out (job {n}_{n})",
    "its node failed (job {n} on node{n})",
    "no code was read, and one was expected: look at the image, and at its codes",
    "code '{guid}' has a slash, and the archive addresses specimens by barcode in a path",
    "exit code 3: /data/batches/{hash}/log/{n}.err: no such file",
    "exit code 137: /data/batches/{hash}/log/{n}.err: no such file",
    "site ucloud refuses it, for no fault of the specimen's: {n} of {n} hours used",
    "it waits at ucloud since 2026-11-{day} 12:{minute}:07 UTC, {n} min were due",
    "https://archive.example/{guid}?at={n}: HTTP 404",
    "https://archive.example/{guid}?at={n}: HTTP 409",
)
GUIDS = st.one_of(
    st.from_regex(r"\ANHMD[- ]?[0-9]{4,8}\Z"),
    st.uuids().map(str),
    st.text("abcdefghÆØÅæøå _-.()'\"", min_size=3, max_size=20).map(str.strip),
).filter(lambda text: len(text) >= 3 and text.strip("…") != "")
VALUES = st.fixed_dictionaries(
    {
        "guid": GUIDS,
        "file": GUIDS,
        "hash": st.integers(0, 2**32 - 1)
        .map("{:08x}".format)
        .filter(lambda text: any(c.isdigit() for c in text)),
        "n": st.integers(0, 10**9),
        "day": st.integers(10, 30),
        "minute": st.integers(10, 59),
    }
)
PLAIN = {"guid": "NHMD-1", "file": "NHMD-1", "hash": "0a1b2c3d", "n": 7, "day": 11, "minute": 30}


def cause(template: str, values: dict[str, object]) -> str:
    names = (str(values["guid"]), str(values["file"]), f"{values['file']}.tif")
    return cause_of(template.format(**values), *names)


@given(st.sampled_from(TEMPLATES), VALUES)
def test_what_a_reason_is_about_makes_no_other_cause(
    template: str, values: dict[str, object]
) -> None:
    # A guid that is a word of the text itself is taken out of it as well.
    words = template.format(guid="", file="", hash="", n="", day="", minute="")
    assume(not any(str(values[name]) in words for name in ("guid", "file")))
    assert cause(template, values) == cause(template, PLAIN)


def test_different_causes_stay_apart() -> None:
    assert len({cause(template, PLAIN) for template in TEMPLATES}) == len(TEMPLATES)


@given(st.text(max_size=300), st.text(max_size=30))
def test_any_text_has_a_cause_and_it_is_its_own(text: str, name: str) -> None:
    found = cause_of(text, name)
    assert cause_of(found) == found or len(found) <= len(text) + 1


def test_a_hostile_text_takes_no_time() -> None:
    for text in ("'" * 5000, "1-" * 5000, "/a" * 5000, "a.b" * 5000, "x1" * 5000, "…, " * 5000):
        cause_of(text, "a b", "x")
