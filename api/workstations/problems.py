"""Problems of workstations, passed on to the issue tracker.

What is not taken a workstation keeps, and tells of it later.
"""

import logging

from fastapi import APIRouter
from pydantic import BaseModel, Field

from api.workstations.callers import Caller, check_workstation
from api.workstations.context import Here
from api.workstations.refusals import UploadRefused
from blocks.issue_errors import TrackerError
from schemas.problems import WorkstationProblem
from schemas.uploads import RefusalCode

router = APIRouter(tags=["problems"])

log = logging.getLogger(__name__)


class TakenProblem(BaseModel):
    """That a problem is told; `issue` is where, empty without a tracker: then the log has it."""

    issue: str = Field(examples=["https://github.com/owner/name/issues/7"])


@router.post("/problems", status_code=202, summary="Tell of a problem")
async def tell(problem: WorkstationProblem, caller: Caller, here: Here) -> TakenProblem:
    """It becomes an issue, or is counted at the one that is open. Told again it changes nothing."""
    if problem.workstation:
        check_workstation(here, caller, problem.workstation)
    if wait_s := here.problems.wait_s(caller.name):
        text = "too many problems at once; they are kept and told later"
        raise UploadRefused(RefusalCode.TRY_LATER, text, status=429, wait_s=wait_s)
    log.warning("%s, %s: %s", problem.workstation or "a login", problem.code, problem.summary)
    if here.config.report is None:
        return TakenProblem(issue="")
    try:
        return TakenProblem(issue=await here.config.report(problem))
    except TrackerError as error:
        log.warning("the issue tracker did not take it: %s", error)
        if error.retry_after is None:
            raise UploadRefused(RefusalCode.BAD_REQUEST, str(error), status=422) from error
        text = "the issue tracker cannot be told just now; the problem is told later"
        raise UploadRefused(RefusalCode.TRY_LATER, text, wait_s=error.retry_after) from error
