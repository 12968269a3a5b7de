"""The command line of operators' verbs: its help, and what is not written as it must be."""

import re
import shlex
from pathlib import Path

import pytest

from refinery.operate import installed_verbs, operate
from refinery.settings import Settings
from refinery.state import NotRunning

ROOT = Path(__file__).parents[3]
SETTINGS = Settings.load(ROOT, {"REFINERY_STATE": "/nowhere/at/all"})
SESSION = "0b5c1d0e-5f0f-4f0e-8f3e-2f6a0c1d2e3f"


def ran(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[object, str]:
    """The exit code of a command, and all that it printed."""
    with pytest.raises(SystemExit) as ended:
        operate(SETTINGS, words)
    shown = capsys.readouterr()
    return ended.value.code, " ".join((shown.out + shown.err).replace("│", " ").split())


def test_the_help_lists_every_verb_with_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    code, shown = ran(capsys, "--help")
    assert code == 0
    for verb in installed_verbs(ROOT):
        assert f" {verb.name} " in shown and verb.help.split(".")[0][:40] in shown


def test_a_verbs_help_has_every_parameter_with_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    for verb in installed_verbs(ROOT):
        code, shown = ran(capsys, verb.name, "--help")
        assert code == 0
        for each in verb.parameters:
            assert f"--{each.name.replace('_', '-')} " in shown
            assert each.help.split()[0] in shown
    assert "--on --off" in ran(capsys, "switch", "--help")[1]
    assert "[run|drain|stop|rotate" in ran(capsys, "agent", "--help")[1]


def test_every_example_of_the_runbook_is_a_command_that_is_taken() -> None:
    written = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
    examples = re.findall(r"^refinery operate (.+)$", written, re.M)
    assert len(examples) > 30
    for example in examples:
        words = shlex.split(example.replace("SESSION", SESSION), comments=True)
        with pytest.raises(NotRunning):  # it was read, and would have been asked for
            operate(SETTINGS, words)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("swicth",), "No such command 'swicth'"),
        (("switch", "--onn"), "No such option: --onn"),
        (("switch",), "Invalid value for --on"),
        (("skip", "--guid", "g"), "Invalid value for --stage: it is needed; the stage to leave"),
        (("metadata", "--guid", "g", "--field", "digitizer"), "did you mean 'digitiser'?"),
        (("priority", "--priority", "2000"), "Invalid value for --priority: at most 1000"),
    ],
)
def test_what_is_not_written_as_it_must_be_ends_with_2_and_asks_nobody(
    capsys: pytest.CaptureFixture[str], words: tuple[str, ...], says: str
) -> None:
    code, shown = ran(capsys, *words)
    assert code == 2 and says in shown
