"""What was given last spares typing, and what cannot be understood of it counts as nothing."""

from pathlib import Path

from workstation.session.last_used import LastUsed


def test_what_was_given_last_is_known_the_next_time(tmp_path: Path) -> None:
    path = tmp_path / "state" / "last_used.json"
    assert LastUsed.read(path) == LastUsed()
    used = LastUsed(server="https://refinery", user="Åse Ærø", workstation="WORKHERB0001")
    used.write(path)
    assert LastUsed.read(path) == used
    assert "password" not in path.read_text(encoding="utf-8")


def test_what_cannot_be_understood_counts_as_nothing(tmp_path: Path) -> None:
    path = tmp_path / "last_used.json"
    for content in (b"", b"[]", b"{", b'{"server": 7}', b"\xff"):
        path.write_bytes(content)
        assert LastUsed.read(path) == LastUsed()
