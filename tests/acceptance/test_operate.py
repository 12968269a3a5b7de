"""Operators' verbs at a terminal, through the real system: the command, its end and its code."""

from tests.support.stack import Stack


def test_a_verb_is_done_by_the_running_system_and_its_answer_is_shown(stack: Stack) -> None:
    done = stack.refinery("operate", "switch", "--on", "--site", "local", "--by", "ib")
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("switch site local: left as it was\n") and " what " in done.stdout
    assert "/runs/flow-run/" in done.stderr
    (run,) = stack.rows("SELECT count(*) AS runs FROM track.history WHERE actor = 'operator:ib'")
    assert run["runs"] == 0, "nothing changed, and nothing is in the history"


def test_what_is_refused_ends_with_1_and_one_line_that_says_what_to_write(stack: Stack) -> None:
    done = stack.refinery("operate", "switch", "--off", "--site", "locla")
    assert done.returncode == 1
    assert "site: no site 'locla'; did you mean 'local'?" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
