"""Answers that no scheduler should give: any text is read, and one cut off proves nothing."""

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hpc.scheduler import lsf, torque

GOLDEN = Path(__file__).parent / "golden"
SCHEDULERS: dict[str, ModuleType] = {"torque": torque, "lsf": lsf}
ANSWERS: list[tuple[ModuleType, Any]] = [
    (module, case)
    for name, module in SCHEDULERS.items()
    for case in yaml.safe_load((GOLDEN / name / "status.yaml").read_text())
    if case.get("complete", True) and case["tasks"]
]

codes = st.one_of(st.none(), st.sampled_from((0, 1, 2, 35, 153, 255)))
pieces = st.sampled_from(
    (
        *(
            "<Data>",
            "</Data>",
            "<Job>",
            "</Job>",
            "<Job_Id>5.s</Job_Id>",
            "<exit_status>-</exit_status>",
        ),
        *(
            "Job Id: 5[1].s\n",
            "    job_state = C\n",
            "\tJob_Name = b\n",
            "exit_status = 271\n",
            "\n",
        ),
        *("    resources_used.walltime = x:1\n", "    Resource_List.mem = 1zb\n", "= ", " = \n"),
        *("5|1|EXIT|", "|", "-|h|b[1]|TERM_OWNER\n", "5 u RUN q h b Sep  3 10:00\n", "JOBID\n"),
        *("qstat: Unknown Job Id 5\n", "Job <5> is not found\n", "Job <5> is submitted\n"),
    )
)
texts = st.one_of(st.text(), st.lists(st.one_of(pieces, st.text(max_size=9))).map("".join))


@pytest.mark.parametrize("name", SCHEDULERS)
@given(codes, texts, texts)
def test_no_text_is_too_odd_to_be_read(name: str, code: int | None, out: str, err: str) -> None:
    module = SCHEDULERS[name]
    submission = module.read_submission(code, out, err)
    assert bool(submission.job_id) is (submission.outcome == "known")
    status = module.read_status(code, out, err)
    assert module.read_found(code, out, err, "b") is not None or not status.complete
    assert code is not None or not status.complete


@pytest.mark.parametrize(("module", "case"), ANSWERS, ids=lambda each: str(each)[-40:])
def test_an_answer_that_is_cut_inside_a_job_proves_nothing_and_shows_no_wrong_state(
    module: ModuleType, case: Any
) -> None:
    whole = {task.native_id: task for task in module.read_status(0, case["out"], "").tasks}
    for length in range(1, len(case["out"])):
        cut = case["out"][:length]
        status = module.read_status(0, cut, "")
        if status.complete:
            assert cut.endswith(("\n", "</Data>")), cut[-80:]
        if not cut.endswith("\n"):
            assert all(whole.get(task.native_id) == task for task in status.tasks), cut[-80:]
