"""What the reader of text is known to get wrong of Danish print beside Æ, set right.

Only what the word around it leaves no doubt about: ø among capitals, a lost space.
"""

import re

NO_SPACE = re.compile(r"(?<=[^\W\d_]\.)(?=[A-ZÆØÅ][a-zæøå])")
"""The reader often drops the space of "Leg. K. Ølgaard"."""
EMPTY_SET = re.compile(r"(?<=[^\W\d_])∅|(?<!\w)∅(?=[^\W\d_])")
"""Beside a letter it is an O with a stroke: a capital one where a word begins."""


def as_printed(text: str) -> str:
    """A line as it stands on the label: Danish capitals, and lost spaces."""
    return NO_SPACE.sub(" ", danish_capitals(EMPTY_SET.sub(_stroked_o, text)))


def _stroked_o(found: re.Match[str]) -> str:
    before = found.string[: found.start()]
    return "ø" if before and before[-1].isalpha() else "Ø"


def danish_capitals(text: str) -> str:
    """Ø in words of capitals: SøNDERSø is SØNDERSØ."""
    return " ".join(_capitals(word) for word in text.split(" "))


def _capitals(word: str) -> str:
    others = word.replace("ø", "")
    if sum(letter.isupper() for letter in others) < 2 or any(map(str.islower, others)):
        return word
    return word.replace("ø", "Ø")
