"""What can go wrong on a cluster, as it is reported to the server.

The class decides what the server does next: a bad input is final, a passing trouble is
worth another try. The class's docstring is what an operator does about it.
"""


class JobError(Exception):
    """A job that cannot give a result. `fail_status` is what is reported to the server."""

    fail_status = "ERROR"


class BadInput(JobError):
    """The file or a parameter is wrong: no retry can help; the message names which, and how."""


class WrongKind(BadInput):
    """The file is sound, but of a kind that the modules do not read: export it as another."""


class Transient(JobError):
    """Network, disk or memory trouble: the same job may well succeed later."""

    fail_status = "RETRY"


class NotPrepared(Transient):
    """The site's Python lacks a library: prepare the site again (`operate/prepare-site`)."""


class Unreachable(Transient):
    """The other end gave no usable answer before the deadline."""


class CommandFailed(Transient):
    """A program ended with a code that is no success: what it printed last says why."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class Refused(JobError):
    """The other end answered, and the answer is no. `status` is the HTTP status."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class NotGranted(Exception):
    """Another native job runs this attempt, or it is not wanted any more: touch nothing."""


class BatchError(Exception):
    """The batch folder cannot be read as one; the message names file, line and field."""


class Terminated(BaseException):
    """The scheduler ends this job. Not an `Exception`, so that no library swallows it."""
