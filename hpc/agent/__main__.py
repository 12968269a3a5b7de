"""The command line of the agent: `refinery-agent join …` and `prepare` once, then `run`."""

import argparse
import fcntl
import logging
import os
import shutil
import sys
from pathlib import Path
from typing import IO, List, Optional

from hpc.agent.arguments import parse
from hpc.agent.config import AgentConfig, ConfigError, read_config, read_token
from hpc.agent.https import HttpClient
from hpc.agent.joining import join
from hpc.agent.journal import Journal, JournalError
from hpc.agent.loop import AgentLoop
from hpc.agent.preparing import prepare
from hpc.agent.server import ServerLink, ShutOut, TryLater
from hpc.agent.status import plan_lines, status_lines

log = logging.getLogger("refinery-agent")


def main(argv: Optional[List[str]] = None) -> int:
    """Run, and return the exit code."""
    given = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        stream=sys.stderr, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s"
    )
    home: Path = given.home.absolute()
    try:
        return {"join": _join, "prepare": _prepare, "run": _run}[given.command](home, given)
    except ConfigError as error:
        log.error("%s", error)
        return os.EX_CONFIG
    except ShutOut as error:
        log.error("the server does not take the token, %s: let this machine join again", error)
        return os.EX_NOPERM
    except TryLater as error:
        log.error("the server does not answer (%s): nothing is lost, say the same again", error)
        return os.EX_UNAVAILABLE
    except (JournalError, OSError) as error:
        log.error("%s", error)
        return os.EX_IOERR


def _join(home: Path, given: argparse.Namespace) -> int:
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    lock = hold_lock(home)
    if lock is None:
        raise ConfigError(f"an agent runs in {home}: end it first")
    with lock:
        sys.stdout.write(join(home, given) + "\n")
    return 0


def _prepare(home: Path, given: argparse.Namespace) -> int:
    config = read_config(home)
    lock = hold_lock(home)
    if lock is None:
        raise ConfigError(f"an agent runs in {home}: end it first")
    wheelhouse = given.wheelhouse
    if wheelhouse is not None and not any(wheelhouse.glob("*.whl")):
        raise ConfigError(f"{wheelhouse} holds no wheel: fill it with `pip download --dest`")
    with lock:
        for line in prepare(home, config, _link(home, config), given.base, wheelhouse):
            sys.stdout.write(line + "\n")
    return 0


def _run(home: Path, given: argparse.Namespace) -> int:
    config = read_config(home)
    lock = hold_lock(home)
    if given.status or given.dry_run:
        lines = plan_lines(home, config) if given.dry_run else None
        for line in lines or status_lines(home, config, is_running=lock is None):
            sys.stdout.write(line + "\n")
        return 0
    if lock is None:
        log.info("an agent runs in %s already", home)
        return 0
    with lock:
        return _work(home, config, once=given.once)


def _work(home: Path, config: AgentConfig, once: bool) -> int:
    link = _link(home, config)
    if config.launchers.get("process") and shutil.which(config.python) is None:
        raise ConfigError(f"python: there is no program {config.python}")
    agent = AgentLoop(home, config, link, Journal(home / "journal.jsonl"), once)
    if read_token(home, "token.new"):  # killed while it was given a new one
        agent.orders.rotate()
    if not once:
        agent.run()
        return 0
    return 0 if agent.run_once() else os.EX_UNAVAILABLE


def _link(home: Path, config: AgentConfig) -> ServerLink:
    """The way to the server, with this agent's token. Raises ConfigError, OSError."""
    bearer = read_token(home)
    if bearer is None:
        raise ConfigError("this machine has not joined yet: refinery-agent join …")
    client = HttpClient(config.ca, config.insecure_http)
    return ServerLink(client, config.server, config.site, bearer)


def hold_lock(home: Path) -> Optional[IO[str]]:
    """The lock that makes an agent the only one of its folder; None when another has it.

    Raises OSError.
    """
    lock = (home / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return None
    return lock


if __name__ == "__main__":
    sys.exit(main())
