"""What an agent is told once, when it joins: `agent.json`, and its token in a file of its own.

`token` holds all that the server wants to see, `<agent id>.<its own token>`. While it joins the
token it drew lies in `token.joining`, and while it is given a new one that lies in `token.new`,
so that an answer that is lost costs nothing.
"""

import base64
import json
import os
from pathlib import Path
from typing import Any, Dict, List, NamedTuple, Optional

from hpc.agent.files import plain_name, read_object, remove_file, write_whole
from hpc.agent.https import UnsafeAddress, check_address

LAUNCHERS = ("process", "scheduler")
"""The ways to start work: children of this machine, and jobs of its scheduler."""
SCHEDULERS = ("torque", "lsf")


class ConfigError(Exception):
    """What the agent was told cannot be used; the message says what to change."""


class AgentConfig(NamedTuple):
    """What `agent.json` holds.

    `root` is where batches and files lie, `python` what runs the runner, `launchers` the units
    of each way to start work, `throttle` the most tasks of one array at a time, `poll_s` the
    seconds between two looks at the scheduler.
    """

    server: str
    site: str
    name: str
    root: str
    launchers: Dict[str, int]
    labels: List[str]
    python: str = "python3"
    scheduler: Optional[str] = None
    queue: Optional[str] = None
    account: Optional[str] = None
    throttle: Optional[int] = None
    prelude: str = ""
    ca: Optional[str] = None
    insecure_http: bool = False
    poll_s: int = 60


def read_config(home: Path) -> AgentConfig:
    """The agent's configuration. Raises ConfigError."""
    path = home / "agent.json"
    if not path.exists():
        raise ConfigError(f"{path} is not there: let this machine join first")
    given = read_object(path)
    if not isinstance(given, dict):
        raise ConfigError(f"{path} cannot be read as a JSON object")
    unknown = sorted(set(given) - set(AgentConfig._fields))
    if unknown:
        raise ConfigError(f"{path}: there is no setting '{unknown[0]}'")
    try:
        return checked(AgentConfig(**{"launchers": {"process": 1}, "labels": [], **given}))
    except TypeError:
        missing = [name for name in ("server", "site", "name", "root") if name not in given]
        raise ConfigError(f"{path}: '{missing[0]}' is missing") from None
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from error


def checked(config: AgentConfig) -> AgentConfig:
    """The same, when it can be used. Raises ConfigError naming the setting."""
    try:
        check_address(config.server, config.insecure_http)
    except UnsafeAddress as error:
        raise ConfigError(f"server: {error}") from error
    if not str(config.root).startswith("/") or config.root == "/":
        raise ConfigError("root: an absolute path of a folder is needed")
    for launcher, units in config.launchers.items():
        if launcher not in LAUNCHERS or not isinstance(units, int) or units < 0:
            raise ConfigError(f"launchers: {launcher} = {units!r} is no capacity")
    if config.launchers.get("scheduler") and config.scheduler not in SCHEDULERS:
        raise ConfigError("scheduler: name one of {}".format(", ".join(SCHEDULERS)))
    return config


def write_config(home: Path, config: AgentConfig) -> None:
    """Keep the configuration. Raises OSError."""
    kept: Dict[str, Any] = dict(config._asdict())
    home.mkdir(parents=True, exist_ok=True)
    write_whole(home / "agent.json", json.dumps(kept, indent=2, sort_keys=True) + "\n")


def draw_token() -> str:
    """A new token: 43 characters that nobody can guess."""
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


def read_token(home: Path, name: str = "token") -> Optional[str]:
    """A token as it is kept; None when there is none. Raises OSError."""
    try:
        return (home / name).read_text().strip() or None
    except FileNotFoundError:
        return None


def write_token(home: Path, token: str, name: str = "token") -> None:
    """Keep a token for its owner alone. Raises OSError."""
    write_whole(home / plain_name(name), token + "\n", 0o600)


def token_to_join(home: Path) -> str:
    """The token to join with: one whose answer may have been lost, or a new one, kept first."""
    token = read_token(home, "token.joining") or draw_token()
    write_token(home, token, "token.joining")
    return token


def keep_joined(home: Path, agent: int, token: str) -> None:
    """Keep what a join gave: from here on this machine is that agent. Raises OSError."""
    write_token(home, f"{agent}.{token}")
    remove_file(home / "token.joining")
    remove_file(home / "token.new")
