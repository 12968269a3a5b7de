"""The command line: what drivers write is read as the parser would read it."""

from pathlib import Path

import pytest

from hpc.runner.arguments import Arguments, _parsed, parse

WRITTEN = ["--batch", ".", "--index", "0,3-5", "--native-id", "4711_3"]


def test_what_a_driver_writes_is_read_without_and_with_the_parser_alike() -> None:
    wanted = Arguments(Path("."), "0,3-5", "4711_3")
    assert parse(WRITTEN) == _parsed(WRITTEN) == wanted


@pytest.mark.parametrize(
    ("argv", "wanted"),
    [
        (WRITTEN[:4], Arguments(Path("."), "0,3-5")),
        (["--index=7", "--bat", "b", "--threads", "2"], Arguments(Path("b"), "7", threads=2)),
        ([*WRITTEN, "--patience", "1.5"], Arguments(Path("."), "0,3-5", "4711_3", 1.5)),
    ],
)
def test_whatever_a_person_writes_is_read_too(argv: list[str], wanted: Arguments) -> None:
    assert parse(argv) == wanted


@pytest.mark.parametrize(
    "argv",
    [
        [],
        WRITTEN[:5],
        WRITTEN[2:],
        ["--batch", "--index", "--index", "0", "--native-id", "1"],
        ["--batch", ".", "--index", "-x", "--native-id", "1"],
        [*WRITTEN, "more"],
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_usage(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse(argv)
    assert ended.value.code == 2
    assert "usage: runner.pyz" in capsys.readouterr().err
