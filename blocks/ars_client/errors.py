"""What can go wrong with ARS, in our words.

Everything httpx, JSON or ARS itself may say is translated into one of these, once,
where the call is made. `retry_after` says what to do next: seconds to wait before
the same effect may be asked for again, or None when asking again cannot help.
"""


class ArsError(Exception):
    """ARS did not do what it was asked; the message says why and what to do."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class ArsRefused(ArsError):
    """ARS said no, and will say no again: a person or the data has to change.

    `status` is the HTTP status it said it with, or None when the question was not sent
    since the answer was certain.
    """

    def __init__(self, message: str, *, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


class ArsBusy(ArsError):
    """Nothing was done; the same call may succeed after `seconds`."""

    def __init__(self, message: str, *, seconds: float) -> None:
        super().__init__(message, retry_after=seconds)
        self.seconds = seconds


class ArsUnknown(ArsError):
    """The call may have been done, or may still be under way: probe before asking again."""

    def __init__(self, message: str, *, seconds: float = 60.0) -> None:
        super().__init__(message, retry_after=seconds)


class ArsUnauthorised(ArsError):
    """Our client id or secret is not accepted: correct the ArsArchive block.

    It may be asked again, since one wrong secret must not fail every specimen for good.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=300.0)


class ArsCorrupted(ArsError):
    """The bytes that arrived have another checksum than the bytes that were sent."""

    def __init__(self, message: str) -> None:
        super().__init__(message, retry_after=5.0)


class SourceLost(ArsError):
    """The local file is missing or no longer what it was when checked: ingest it again."""
