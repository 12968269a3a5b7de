"""What a runner's failure is owed to, by what it has said of it on every version's wire."""

import pytest

from hpc.protocol import failure_cause
from schemas.attempts import Fail, FailureCause


@pytest.mark.parametrize(
    ("exception", "exit_code", "cause"),
    [
        ("NotPrepared\nno numpy", None, FailureCause.SITE_LACKS_LIBRARY),
        ("ImportError", 1, FailureCause.SITE_LACKS_LIBRARY),
        ("ModuleNotFoundError\n", 1, FailureCause.SITE_LACKS_LIBRARY),
        ("Unreachable\nthe archive", None, FailureCause.ARCHIVE_UNREACHABLE),
        ("Terminated", 143, FailureCause.TOLD_TO_STOP),
        ("Terminated", 138, FailureCause.SPECIMEN),
        ("BadInput\nImportError", 1, FailureCause.SPECIMEN),
        (None, None, FailureCause.SPECIMEN),
    ],
)
def test_a_failure_is_owed_to(
    exception: str | None, exit_code: int | None, cause: FailureCause
) -> None:
    who = {"native_id": "n", "nonce": "x", "fail_status": "RETRY"}
    body = Fail.model_validate(who | {"exception": exception, "exit_code": exit_code})
    assert failure_cause(body) is cause
