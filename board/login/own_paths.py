"""Where a login leads to: a page of this board, whatever the address says."""

from urllib.parse import urlsplit

FIRST = "/today"
MAX_LENGTH = 2000


def own_path(text: str) -> str:
    """The path if it is one of ours, else that of the first page."""
    # Browsers read `\` as `/`, and leave out blanks and line ends: `/\evil.example`, `/\t/evil`.
    if not text.isprintable() or "\\" in text or " " in text or len(text) > MAX_LENGTH:
        return FIRST
    if not text.startswith("/") or text.startswith("//"):
        return FIRST
    try:
        parts = urlsplit(text)
    except ValueError:
        return FIRST
    if parts.scheme or parts.netloc or parts.path.startswith(("/login", "/logout")):
        return FIRST
    return text
