"""Makes this machine an agent of a site."""

import argparse
import getpass
import os
import sys
from pathlib import Path
from typing import Dict

from hpc.agent import machine
from hpc.agent.config import (
    AgentConfig,
    ConfigError,
    checked,
    keep_joined,
    read_token,
    token_to_join,
    write_config,
)
from hpc.agent.https import HttpClient
from hpc.agent.server import VERSION, NotTaken, ServerLink

VARIABLE = "REFINERY_JOIN_TOKEN"


def join(home: Path, given: argparse.Namespace) -> str:
    """Join as was given on the command line; what became of it, in words.

    The token that it draws is on the disk before it is sent, so the same again, after an answer
    that was lost, is the same agent. Raises ConfigError, ShutOut, TryLater, OSError.
    """
    known = read_token(home)
    if known and not given.again:
        raise ConfigError(
            "this machine has joined as agent {}: join --again makes it a new one, and what it "
            "holds is given to others".format(known.partition(".")[0])
        )
    config = _config(given)
    link = ServerLink(
        HttpClient(config.ca, config.insecure_http), config.server, config.site, _join_token(given)
    )
    write_config(home, config)
    token = token_to_join(home)
    body = {
        "name": config.name,
        "token": token,
        "version": VERSION,
        "facts": machine.facts(),
        "capacity": config.launchers,
        "labels": config.labels,
    }
    try:
        answer = link.post("join", body, "agent")
        agent, name = int(answer["agent"]), str(answer["name"])
    except NotTaken as no:
        raise ConfigError(f"the server does not take this: {no}") from no
    except (KeyError, ValueError, TypeError):
        raise ConfigError(f"{config.server} is not a refinery's address") from None
    keep_joined(home, agent, token)
    return f"joined site {config.site} as agent {agent} ({name})"


def _config(given: argparse.Namespace) -> AgentConfig:
    """The configuration that a command line asks for. Raises ConfigError."""
    launchers: Dict[str, int] = {}
    if given.process is not None:
        launchers["process"] = given.process
    if given.scheduler:
        launchers["scheduler"] = 1 if given.slots is None else given.slots
    elif given.slots is not None:
        raise ConfigError("--slots are those of a scheduler: name it with --scheduler")
    return checked(
        AgentConfig(
            server=given.server.rstrip("/"),
            site=given.site,
            name=given.name,
            root=os.path.abspath(given.root),
            python=given.python,
            launchers=launchers or {"process": 1},
            scheduler=given.scheduler,
            labels=given.label,
            queue=given.queue,
            account=given.account,
            throttle=given.throttle,
            prelude=given.prelude,
            ca=os.path.abspath(given.ca) if given.ca else None,
            insecure_http=given.insecure_http,
        )
    )


def _join_token(given: argparse.Namespace) -> str:
    """The join token, from a file, the environment or stdin. Raises ConfigError, OSError."""
    if given.token_file:
        token = given.token_file.read_text()
    elif VARIABLE in os.environ:
        token = os.environ[VARIABLE]
    elif sys.stdin.isatty():
        token = getpass.getpass("join token: ")
    else:
        token = sys.stdin.readline()
    token = token.strip()
    if not token or not token.isprintable() or " " in token:
        raise ConfigError("the join token is empty, or none")
    return str(token)
