"""What is wrong is said once, not at every look, and once more when it is over."""

import logging

log = logging.getLogger(__name__)


class Complaints:
    """The complaints of one look after another, each about a subject."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}
        self._saying: dict[str, str] = {}

    def begin(self) -> None:
        """A look begins."""
        self._saying = {}

    def say(self, subject: str, message: str) -> None:
        """Say it, unless it was said at the look before."""
        if self._said.get(subject) != message and subject not in self._saying:
            log.warning("%s", message)
        self._saying[subject] = message

    def end(self) -> None:
        """The look is over: what was not said this time has ended."""
        for subject in self._said.keys() - self._saying.keys():
            log.info("%s: no longer a problem", subject)
        self._said = self._saying
