"""How the states of a job look on a terminal: a glyph, a letter where glyphs fail, a colour."""

from dataclasses import dataclass

from rich.text import Text


@dataclass(frozen=True, slots=True)
class Sign:
    """`glyph` is one column wide; `letter` stands for it where only ASCII can be shown."""

    glyph: str
    letter: str
    style: str


SIGNS = {
    "absent": Sign(" ", " ", "dim"),
    "waiting": Sign("·", ".", "dim"),
    "ready": Sign("○", "o", "cyan"),
    "claimed": Sign("◔", "c", "blue"),
    "queued": Sign("◑", "q", "yellow"),
    "running": Sign("●", "R", "bold yellow"),
    "returned": Sign("◕", "r", "bold cyan"),
    "done": Sign("✔", "+", "green"),
    "excluded": Sign("–", "-", "dim green"),
    "failed": Sign("✘", "X", "bold red"),
    "cancelled": Sign("⊘", "/", "magenta"),
}


def legend(states: set[str], *, plain: bool = False) -> Text:
    """The signs of `states`, in the order of a job's life."""
    text = Text()
    for state, sign in SIGNS.items():
        if state in states and state != "absent":
            text.append(sign.letter if plain else sign.glyph, style=sign.style)
            text.append(f" {state}   ", style="dim")
    return text
