"""The end of what a job's work printed, bounded and fit to be shown: the one place that says how.

The runner reports it of work that ends by itself. Of a runner that was killed the site's driver or
its agent reads the same file. The agent takes this along: it must run under its old Pythons.
"""

import os
import re
from pathlib import Path
from typing import Optional

TAIL_LINES = 40
TAIL_BYTES = 8000
_STYLING = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
_CONTROL = {code: 0x2400 + code for code in range(0x20) if chr(code) not in "\t\n"}
_CONTROL.update({0x7F: 0x2421, **dict.fromkeys(range(0x80, 0xA0), 0xFFFD)})


def output_of(folder: Path, line: int) -> Path:
    """Where what a line of a batch prints is kept, in the batch's folder.

    It is there once the line's work has begun: empty means that it printed nothing.
    """
    return folder / "log" / f"{line}.output"


def read_tail(path: Path, most: int = TAIL_BYTES) -> Optional[str]:
    """`tail_of` a file, of which `most` bytes are read; None when it cannot be read, or is none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - most))
            return tail_of(file.read(most))
    except OSError:
        return None


def tail_of(printed: bytes) -> str:
    """The last lines of the last bytes, as a terminal would have left them.

    Of a line that was written over, such as a progress bar, the last state is shown; colours are
    left out, what is not UTF-8 is �, and a control character is shown by its picture.
    """
    text = _STYLING.sub("", printed[-TAIL_BYTES:].decode("utf-8", "replace"))
    lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
    shown = "\n".join(lines).translate(_CONTROL).strip()
    return "\n".join(shown.split("\n")[-TAIL_LINES:])
