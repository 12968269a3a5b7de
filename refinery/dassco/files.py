"""What a DaSSCo Integration Server was configured with, read from its folder of JSON files.

Every file is optional but the one that lists pipelines. What is not of the form it has there
is refused by file, field and remedy; nothing is guessed.
"""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

PIPELINES = "pipeline_job_config.json"
JOBS = "job_detail_config.json"
SLURM = "slurm_config.json"
THROTTLE = "throttle_config.json"
WORKSTATIONS = "workstations_config.json"
N_DRIVE = "ndrive_path_config.json"
CONNECTIONS = ("ucloud_connection_config.json", "ssh_connections_config.json")
READ = (PIPELINES, JOBS, SLURM, THROTTLE, WORKSTATIONS, N_DRIVE, *CONNECTIONS)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
"""What a pipeline or a site of ours may be called."""
_POSITION = re.compile(r"job_([1-9][0-9]*)")


class DasscoFileError(ValueError):
    """A file cannot be read as it is; the message names the file, the field and the remedy."""


@dataclass(frozen=True)
class LoginNode:
    """A cluster's login node, and the file that names it."""

    host: str
    port: int
    source: str


@dataclass(frozen=True)
class DasscoConfig:
    """All that was found. `pipelines` are jobs in their order; `scripts` are paths over there.

    `missing` and `unread` name files: those that are not there, and those of theirs that
    configure what we have otherwise or not at all.
    """

    folder: Path
    pipelines: dict[str, list[str]]
    scripts: dict[str, str] = field(default_factory=dict)
    times: dict[str, str] = field(default_factory=dict)
    slurm: dict[str, Any] = field(default_factory=dict)
    throttle: dict[str, Any] = field(default_factory=dict)
    workstations: list[str] = field(default_factory=list)
    n_drive: str = ""
    connections: dict[str, LoginNode] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)
    unread: list[str] = field(default_factory=list)


def read_config(folder: Path) -> DasscoConfig:
    """Everything in `folder`. Raises DasscoFileError."""
    if not (folder / PIPELINES).is_file():
        raise DasscoFileError(
            f"{folder} holds no {PIPELINES}: name the folder of the configuration, which is "
            "IntegrationServer/ConfigFiles in their repository."
        )
    jobs = {name: _mapping(value, JOBS, name) for name, value in _read(folder, JOBS).items()}
    n_drive = _read(folder, N_DRIVE).get("ndrive_path", "")
    return DasscoConfig(
        folder=folder,
        pipelines={name: _jobs(name, jobs) for name, jobs in _read(folder, PIPELINES).items()},
        scripts={name: _text(job, "script", JOBS, name) for name, job in jobs.items()},
        times={name: str(job["time_est"]) for name, job in jobs.items() if "time_est" in job},
        slurm=_read(folder, SLURM),
        throttle=_read(folder, THROTTLE),
        workstations=list(_read(folder, WORKSTATIONS)),
        n_drive=_known_text(n_drive, N_DRIVE, "ndrive_path"),
        connections=_connections(folder),
        missing=[name for name in READ if not (folder / name).is_file()],
        unread=sorted(path.name for path in folder.glob("*.json") if path.name not in READ),
    )


def _read(folder: Path, name: str) -> dict[str, Any]:
    """A file's mapping; an empty one when there is no such file."""
    path = folder / name
    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        return {}
    except json.JSONDecodeError as error:
        raise DasscoFileError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}); mend it there, or take a copy "
            "from a server that starts with it."
        ) from error
    except (OSError, UnicodeDecodeError) as error:
        raise DasscoFileError(f"{path} cannot be read ({error}): save it as UTF-8.") from error
    return _mapping(found, name, "the whole file")


def _mapping(found: Any, name: str, where: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise DasscoFileError(f"{name}, {where}: not a mapping such as {{...}}; write one.")
    return found


def _known_text(found: Any, name: str, where: str) -> str:
    if not isinstance(found, str) or not found.isprintable():
        raise DasscoFileError(f"{name}, {where}: {found!r} is no text; write it in quotes.")
    return found.strip()


def _text(found: dict[str, Any], key: str, name: str, where: str) -> str:
    return _known_text(found.get(key, ""), name, f"{where}.{key}")


def _jobs(name: str, found: Any) -> list[str]:
    """A pipeline's jobs in the order of their numbers; job_10 comes after job_9."""
    numbered: dict[int, str] = {}
    for key, job in _mapping(found, PIPELINES, name).items():
        position = _POSITION.fullmatch(key)
        if position is None:
            raise DasscoFileError(
                f"{PIPELINES}, {name}.{key}: a job's place is called job_1, job_2 …; rename it."
            )
        numbered[int(position[1])] = _known_text(job, PIPELINES, f"{name}.{key}")
    return [numbered[number] for number in sorted(numbered)]


def _connections(folder: Path) -> dict[str, LoginNode]:
    found: dict[str, LoginNode] = {}
    for source in CONNECTIONS:
        for name, value in _read(folder, source).items():
            given = _mapping(value, source, name)
            if not NAME.fullmatch(name):
                raise DasscoFileError(
                    f"{source}, '{name}': no name for a site; use letters, digits, - and _."
                )
            try:
                port = int(given.get("port", 22))
            except (TypeError, ValueError):
                raise DasscoFileError(
                    f"{source}, {name}.port: {given['port']!r} is no number; write 22."
                ) from None
            host = _text(given, "host", source, name)
            found.setdefault(name, LoginNode(host, port, source))
    return found
