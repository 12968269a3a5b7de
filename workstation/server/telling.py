"""Tells the server's people of problems of this workstation, now or when there is a network."""

import logging

from schemas.problems import ProblemStep
from workstation.server.calls import Server
from workstation.server.outbox import Outbox, OutboxResult
from workstation.server.problem_report import Machine, problem_of

log = logging.getLogger(__name__)


class ProblemTelling:
    """Keeps problems in an outbox until the server has them; what fails in it harms nothing."""

    def __init__(self, outbox: Outbox, machine: Machine) -> None:
        self._outbox, self._machine = outbox, machine

    def keep(self, error: BaseException, step: ProblemStep, workstation: str) -> None:
        """Keep a problem that a step ended with."""
        problem = problem_of(error, step=step, workstation=workstation, machine=self._machine)
        try:
            self._outbox.put(problem)
        except OSError as full:
            log.warning("a problem could not be kept to be told: %s", full)

    def send(self, server: Server) -> OutboxResult | None:
        """Send what waits, which needs a login; None when the outbox cannot be used."""
        try:
            return self._outbox.send(server.tell)
        except OSError as error:
            log.warning("problems could not be sent: %s", error)
            return None
