"""What helps whom: the runbook's advice for a cause, and the verbs that may be run for it.

`ADVICE` repeats in a sentence what docs/refusals.md and docs/operating.md say at more length; a
test sees that the sections it names are there.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from board.rendering import number, with_query
from track.reports.attention import Cause, Needing, NeedKind


@dataclass(frozen=True)
class Advice:
    """A sentence of what to do, and where more of it stands: a file and its section."""

    text: str
    file: str
    section: str


@dataclass(frozen=True)
class Offer:
    """A verb that may help: what the link says, where its form is, and a note on its reach."""

    words: str
    address: str
    note: str = ""


_REFUSALS, _OPERATING = "docs/refusals.md", "docs/operating.md"
_SUBMISSION = "What a cluster says to a submission"
_END = "How a job at a cluster ended"
_GATEWAYS = "Gateways and the database"
_IMAGES = "Images"
_CODES = "Codes"
_FOLDERS = "Folders on the N-Drive"

ADVICE: tuple[tuple[str, Advice], ...] = tuple(
    (pattern, Advice(text, file, section))
    for pattern, text, file, section in (
        (
            r"all zero|ends in zeros",
            "Look at the image. Copy it again under its name and let it go on, or let it go on "
            "as it is if the black is right.",
            _REFUSALS, _IMAGES,
        ),
        (
            r"no code was read",
            "Look at the image and its codes. Photograph it again, or let it go on without one.",
            _REFUSALS, _CODES,
        ),
        (
            r"\bcode …|pattern of its collection|patterns\.",
            "Give the pipeline a pattern for such codes, or name it under patterns.ignored; do "
            "the stage again, and let the specimens go on.",
            _REFUSALS, _CODES,
        ),
        (
            r"its (time|memory) ran out",
            "Raise the stage's resources (time, mem) or name a larger partition, load the "
            "pipeline, and do again what failed.",
            _REFUSALS, _END,
        ),
        (
            r"refuses what the stage asks for|Invalid (account|partition|qos|feature)",
            "The stage's or the site's resources name what is not there: mend the pipeline or "
            "sites.yaml, then do again what failed.",
            _REFUSALS, _SUBMISSION,
        ),
        (
            r"cancelled it at the site|told to stop",
            "Ask the site's administrators why, then do it again, or cancel what is not wanted.",
            _REFUSALS, _END,
        ),
        (
            r"is not at the site any more|outputs",
            "Do the stage that makes the files again.",
            _REFUSALS, _END,
        ),
        (
            r"not in ARS's words|not Keycloak|token_url|without the file's checksum",
            "Something stands before the archive and answers in its stead: look at the gateway "
            "and at the ArsArchive block, then do again what failed.",
            _REFUSALS, _GATEWAYS,
        ),
        (
            r"has not answered for|check the mount",
            "Look at the mount and its server.",
            _REFUSALS, _FOLDERS,
        ),
        (
            r"is missing|came after|may both be its image|differs from it only in capitals",
            "Put the files right and drop metadata and image again, side by side, in a new folder.",
            _REFUSALS, _FOLDERS,
        ),
        (
            r"no TIFF|whole numbers of|camera's raw|not in the file|is missing in its picture",
            "Export the image anew, or copy it again from where it was made.",
            _REFUSALS, _IMAGES,
        ),
        (
            r"scan resolution|ppi",
            "Write the right resolution into the metadata (scan_ppi) or the stage's parameters.",
            _REFUSALS, _IMAGES,
        ),
    )
)  # fmt: skip
"""By what a cause says; the first that fits counts."""

BY_NEED: Mapping[NeedKind, Advice] = {
    NeedKind.FAILED: Advice(
        "Mend what the reason names, then do again what failed; leave the stage out where it "
        "never can be done.",
        _OPERATING, "resubmit: do it again",
    ),
    NeedKind.CANCELLED: Advice(
        "Somebody stopped it: do it again, or leave the stage out.",
        _OPERATING, "cancel: stop a stage",
    ),
    NeedKind.QUARANTINED: Advice(
        "Put the files right and drop them again, in a new folder: they are then taken in.",
        _OPERATING, "resubmit: do it again",
    ),
    NeedKind.HELD: Advice(
        "Look at it, then let it go on.",
        _OPERATING, "attention: hold a specimen",
    ),
    NeedKind.OVERDUE: Advice(
        "Look at the site (its queue, its accounting, the batch's log). Only when you know that "
        "it is over: declare it lost.",
        _OPERATING, "lost: declare an attempt over",
    ),
    NeedKind.OUTPUTS: Advice(
        "Look at the site and at its driver or agent: what can be brought comes by itself. Only "
        "when you know that nothing will come: do the stage again, or count it as done without.",
        _OPERATING, "outputs: files that can never be brought",
    ),
    NeedKind.WARNING: Advice(
        "Nothing stands still for it. Look at one; do the stage again where it matters.",
        _REFUSALS, _IMAGES,
    ),
}  # fmt: skip


def advice_for(cause: Cause) -> Advice:
    """What the runbook says to a cause."""
    if cause.need is NeedKind.OUTPUTS:
        return BY_NEED[cause.need]
    for pattern, advice in ADVICE:
        if re.search(pattern, cause.text):
            return advice
    return BY_NEED[cause.need]


def offers_for(cause: Cause, others: int) -> Sequence[Offer]:
    """The verbs that help a whole cause; `others` failed at the same stage of something else."""
    if cause.need is not NeedKind.FAILED:
        return ()
    given = {"pipeline": cause.pipeline, "stage": cause.stage}
    note = (
        f"This does again all that failed at that stage: also {number(others)} of other causes."
        if others
        else ""
    )
    found = [Offer("Do all of them again …", _act("resubmit", **given), note)]
    if len(cause.sessions) == 1 and others:
        (session,) = cause.sessions
        words = "Do again what failed there of this session …"
        found.append(Offer(words, _act("resubmit", stage=cause.stage, session=session)))
    found.append(Offer("Switch the stage off meanwhile …", _act("switch", **given, on="off")))
    return found


def offers_of(one: Needing) -> Sequence[Offer]:
    """The verbs that help one specimen."""
    job = {"guid": one.guid, "stage": one.stage}
    match one.need:
        case NeedKind.FAILED | NeedKind.CANCELLED:
            verbs = [("Do it again …", "resubmit", job), ("Leave the stage out …", "skip", job)]
        case NeedKind.OVERDUE:
            verbs = [("Stop it …", "cancel", job), ("Declare it lost …", "lost", job)]
        case NeedKind.OUTPUTS:
            verbs = [
                ("Do it again …", "outputs", job | {"do": "again"}),
                ("Go on without them …", "outputs", job | {"do": "without"}),
            ]
        case NeedKind.HELD:
            verbs = [("Let it go on …", "attention", {"guid": one.guid})]
        case NeedKind.QUARANTINED:
            verbs = [("Try again as it is …", "resubmit", {"guid": one.guid})]
        case NeedKind.WARNING:
            verbs = [("Do it again …", "resubmit", job)]
    return [Offer(words, _act(verb, **given)) for words, verb, given in verbs]


def _act(verb: str, **given: Any) -> str:
    return with_query(f"/act/{verb}", given)
