"""What is the same in reasons that differ only in what they are about.

Three hundred specimens that failed of one thing have three hundred texts: each names its guid, a
file, a job's number, a time. A cause is such a text without them.
"""

import re
from functools import lru_cache

GAP = "…"

_ENDINGS = "tiff?|jpe?g|png|jp2|webp|dng|json|xml|txt|csv|sh|out|err|log|part"
_ABOUT = tuple(
    (mark, re.compile(pattern, re.IGNORECASE))
    for mark, pattern in (
        ("'", r"(?<!\w)'[^']{1,300}'(?!\w)"),  # what is quoted
        ('"', r"(?<!\w)\"[^\"]{1,300}\"(?!\w)"),
        ("://", r"\w+://[^\s'\"<>)]+"),  # an address
        ("/", r"(?<![\w.])~?/[^\s'\":;,()]+"),  # a path
        (".", rf"(?<![\w.])[^\s'\"/:;,()]+\.(?:{_ENDINGS})\b"),  # a file
    )
)
"""Each with what a text has that it may fit: most reasons have none."""
# Any word with a digit in it, such as a guid, a barcode, a checksum, a job's number, a time, an
# address: 1,024 · 12:30:59 · NHMD-450444 · 0a1b2c3d · node042. What a program ended with, or a
# server answered, is no number but a word for what was wrong.
_NUMBER = re.compile(
    r"(?P<word>\b(?:code|status|signal|errno|answered|HTTP)[ :=]{1,2}\d{1,3}\b"
    r"|(?<=: )[45]\d\d(?=[,;]|$))"
    r"|(?<!\w)(?=[\w-]*\d)\w[\w-]*(?:[.,:]\d\w*)*",
    re.IGNORECASE,
)
_GAPS = re.compile(rf"{GAP}(?:[\s,]*{GAP})+")
_SPACE = re.compile(r"\s+")
MOST = 400
"""Characters of a text that are looked at: what it is about comes first."""
TOO_SHORT = 3
"""Names shorter than this are no use to look for: every text has them."""


def cause_of(reason: str, *names: str) -> str:
    """A reason without what differs from specimen to specimen.

    `names` are its specimen's own, such as its guid and file, which may hold spaces or be common
    words; they count wherever they stand as a whole.
    """
    given = sorted({each for each in names if len(each) >= TOO_SHORT}, key=len, reverse=True)
    text = reason[:MOST]
    for name in given:
        if name in text:
            text = _without(text, name)
    return _without_values(text)


def title_of(cause: str) -> str:
    """A cause for a heading, without the gap of whatever its reasons begin with."""
    return cause.removeprefix(f"{GAP}: ")


def _without(text: str, name: str) -> str:
    """A text with a gap for each whole `name`; a pattern for each name would take far longer."""
    parts = text.split(name)
    found = parts[0]
    for part in parts[1:]:
        is_whole = not (_is_word(found[-1:]) or _is_word(part[:1]))
        found += (GAP if is_whole else name) + part
    return found


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


@lru_cache(maxsize=4096)
def _without_values(text: str) -> str:
    for mark, pattern in _ABOUT:
        if mark in text:
            text = pattern.sub(GAP, text)
    text = _NUMBER.sub(lambda found: found["word"] or GAP, text)
    return _SPACE.sub(" ", _GAPS.sub(GAP, text)).strip()
