"""Whether an asset is archived: the one place that reads ARS's status as an answer.

Success is three things at once: a status that says so, no open share, and every file we
expect listed as synchronised with our checksum and size. Any two of them have been seen
without the third.
"""

from collections.abc import Sequence

from blocks.ars_client import IN_ERDA, NOT_IN_ERDA, AssetStatus, FileRow
from blocks.tier import Facts, Outcome, Verdict


def decide(
    status: AssetStatus | None, files: Sequence[FileRow], expected: Sequence[Facts]
) -> Verdict:
    """Judge by what ARS says. ValueError when nothing is expected: nothing proves nothing."""
    if not expected:
        raise ValueError("an asset without expected files cannot be verified")
    missing = tuple(file.name for file in expected if not _saved(files, file))
    if status is None:
        return Verdict(Outcome.FAILED, "ARS does not know the asset", missing)
    share_open = status.share_allocation_mb is not None
    if status.status in NOT_IN_ERDA:
        reason = f"{status.status}: {status.error_message or 'no reason given'}"
        return Verdict(Outcome.FAILED, reason, missing, share_open)
    if status.status not in IN_ERDA:
        return Verdict(Outcome.PENDING, status.status, missing, share_open)
    if missing:
        reason = f"{status.status}, yet ERDA lacks {', '.join(missing)} with our checksum and size"
        return Verdict(Outcome.MISSING, reason, missing, share_open)
    if share_open:
        return Verdict(Outcome.SHARE_OPEN, f"{status.status}, share still open", (), True)
    return Verdict(Outcome.DONE, status.status)


def _saved(rows: Sequence[FileRow], file: Facts) -> bool:
    return any(row.synchronised and row.holds(file) for row in rows)
