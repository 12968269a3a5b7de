"""What an unsuccessful `sbatch` is taken to mean: real texts, and any text at all."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hpc.scheduler.refusals import SubmitOutcome, classify, is_silence

GOLDEN = Path(__file__).parent / "golden"
TEXTS: list[Any] = yaml.safe_load((GOLDEN / "refusals.yaml").read_text())
ERRNO: dict[str, list[str]] = yaml.safe_load((GOLDEN / "slurm_errno.yaml").read_text())
FAILED = "sbatch: error: Batch job submission failed: "

TRANSPORT = ERRNO["unknown"] + ["Connection reset by peer", "Munge encode failed"]
"""Words of a transport that failed, as Slurm prints them."""

NOISE = (
    "",
    "Welcome to the cluster",
    "*** 2 new messages ***",
    "Last login: Sat Nov 28 10:00:00",
    "sbatch: Verbose mode enabled",
    "/etc/profile.d/x.sh: line 3: module: hint",
    "\x1b[1;33mQuota: 80 % used\x1b[0m",
)
COLOURS = ("\x1b[31m", "\x1b[1;31;40m", "\x1b[0m", "\x1b[K")

answers = st.sampled_from([(text, kind) for kind, texts in ERRNO.items() for text in texts])
words = st.sampled_from([(case["err"], case["is"]) for case in TEXTS])


@pytest.mark.parametrize("case", TEXTS, ids=lambda case: case["err"][-50:])
def test_a_real_text_is_taken_for_what_it_means(case: Any) -> None:
    assert classify(case["err"]) is SubmitOutcome(case["is"])


@pytest.mark.parametrize("kind", ERRNO)
def test_every_answer_that_slurm_knows_is_taken_for_what_it_means(kind: str) -> None:
    found = {text: classify(f"{FAILED}{text}\n").value for text in ERRNO[kind]}
    assert found == dict.fromkeys(ERRNO[kind], kind)


@given(st.text())
def test_no_text_is_too_odd_and_a_submission_that_failed_in_any_words_has_an_answer(
    said: str,
) -> None:
    classify(said)
    found = classify(f"{FAILED}{said}")
    assert (found is SubmitOutcome.UNKNOWN) == is_silence(said)


@given(st.lists(st.one_of(st.text(), words.map(lambda each: each[0])), max_size=4), st.data())
def test_a_word_of_a_failed_transport_leaves_it_open_whatever_else_is_said(
    around: list[str], data: st.DataObject
) -> None:
    lines = [*around, data.draw(st.sampled_from(TRANSPORT))]
    text = "\n".join(data.draw(st.permutations(lines)))
    assert classify(text) is SubmitOutcome.UNKNOWN


@given(
    st.one_of(answers.map(lambda each: (FAILED + each[0], each[1])), words),
    st.lists(st.sampled_from(NOISE), max_size=3),
    st.lists(st.sampled_from(NOISE), max_size=3),
    st.data(),
)
def test_noise_case_colours_and_line_breaks_change_nothing(
    case: tuple[str, str], before: list[str], after: list[str], data: st.DataObject
) -> None:
    text, kind = case
    parts = text.split(" ")
    breaks = st.sampled_from((" ", "\n", "\r\n", "  ", "\t", " \n "))
    text = parts[0]
    for part in parts[1:]:
        text += data.draw(breaks) + part
    how = data.draw(st.sampled_from((str, str.upper, str.lower, str.title)))
    colour = data.draw(st.sampled_from(COLOURS))
    whole = "\n".join([*before, f"{colour}{how(text)}\x1b[0m", *after])
    assert classify(whole) is SubmitOutcome(kind)
