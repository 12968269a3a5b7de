"""Pipelines of ours out of a DaSSCo Integration Server's job lists.

What their services did before, between and after the jobs of a list become stages. Jobs stay
the scripts they are, under the names by which these call back.
"""

import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any

from refinery.dassco.files import JOBS, NAME, PIPELINES, SLURM, THROTTLE, DasscoConfig
from schemas.pipeline.run import BUILTINS

LOADER = "assetLoader"
EMITTER = "derivative"
CLEANER = "clean_up"
CHILDREN = "DERIVATIVE"
PLACE = "cluster"
"""What the site is called when no file names a connection."""
PLACEHOLDER = "path/to/"  # the beginning of a path that was never filled in

BOUNDS = {
    "max_assets_in_flight": "assets_in_flight",
    "assets_in_flight": "assets_in_flight",
    "max_sync_asset_count": "synchronising",
    "await_sync_asset_count": "synchronising",
    "total_max_asset_size_mb": "open_shares_mb",
    "total_asset_size_mb": "open_shares_mb",
    "total_max_new_asset_size_mb": "new_assets_mb",
    "total_new_asset_size_mb": "new_assets_mb",
    "total_max_derivative_size_mb": "derivatives_mb",
    "total_derivative_size_mb": "derivatives_mb",
}
"""Their bounds, by the names of the file and of the database, and ours."""
WRITES = {"barcode": ["asset_subject", "barcode", "multi_specimen"], "ocr": ["tags.ocr"]}
"""What these jobs are known to send; a job could write anything there."""

_KEY = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}")
_BARE = re.compile(r"(?!(?:true|false|null)$)[A-Za-z][A-Za-z_.]*( [a-z]+)?", re.IGNORECASE)


@dataclass
class ImportNotes:
    """What has no equivalent here, a line each, by the file it comes from."""

    lines: dict[str, list[str]] = field(default_factory=dict)

    def add(self, source: str, what: str) -> None:
        """Add a line, once."""
        found = self.lines.setdefault(source, [])
        if what not in found:
            found.append(what)


def site_of(config: DasscoConfig) -> str:
    """The site that runs the scripts: the first connection that their files name."""
    return next(iter(config.connections), PLACE)


def pipelines_text(config: DasscoConfig, notes: ImportNotes) -> str:
    """A pipelines file: pipelines with the same jobs share one anchor; empty for none."""
    alike: dict[tuple[str, ...], list[str]] = {}
    for name, jobs in config.pipelines.items():
        why = _unusable(name, jobs, config)
        if why:
            notes.add(PIPELINES, f"pipeline {name} is left out: {why}")
        else:
            alike.setdefault(tuple(jobs), []).append(name)
    if not alike:
        return ""
    pieces: list[str] = []
    entries: list[str] = []
    for number, (shared, names) in enumerate(alike.items(), 1):
        stages = _stages(shared, config, notes)
        pieces.append(f"x-stages-{number}: &stages-{number}")
        pieces += _written(stages, "  ")
        if after := _skipped(shared):
            when = "asset_subject == 'device target'"
            rule = {"after": "barcode", "when": when, "stages": after}
            pieces.append(f"  exclude: [{_flow(rule)}]")
        entries += [f"  - {{<<: *stages-{number}, pipeline: {json.dumps(n)}}}" for n in names]
    if any(EMITTER in jobs for jobs in alike):
        entries += [f"  - pipeline: {CHILDREN}", *_written(_child_stages(config, notes), "    ")]
    return "\n".join([*pieces, "pipelines:", *entries, ""])


def bounds(config: DasscoConfig, notes: ImportNotes) -> dict[str, int]:
    """Their throttle as ours of the archive, which bounds all pipelines together."""
    found: dict[str, int] = {}
    for key, value in config.throttle.items():
        ours = BOUNDS.get(key)
        if ours is None or isinstance(value, bool) or not isinstance(value, int) or value < 1:
            notes.add(THROTTLE, f"{key}: {value} bounds nothing here")
            continue
        found[ours] = value
        if ours == "assets_in_flight":
            notes.add(THROTTLE, f"{key}: was only counted there; here it keeps assets out")
    return found


def _unusable(name: str, jobs: list[str], config: DasscoConfig) -> str:
    """Why a list of jobs can be no pipeline of ours; empty when it can."""
    taken = {*BUILTINS, CLEANER} & set(jobs)
    if not NAME.fullmatch(name) or name == CHILDREN:
        return "its name is no name here, or is that of the derivatives' own pipeline"
    if not jobs or len(set(jobs)) < len(jobs):
        return "it has no job" if not jobs else "it names a job twice"
    if taken:
        return f"its job '{min(taken)}' has the name of a stage that every pipeline has"
    for job in jobs:
        if not _KEY.fullmatch(job):
            return f"'{job}' is no name for a stage: letters, digits, - and _"
        if not _command(job, config):
            where = f"{SLURM}, initiate_script" if job == LOADER else f"{JOBS}, {job}.script"
            return f"job '{job}' has no script: write its path in {where}"
    return ""


def _command(job: str, config: DasscoConfig) -> str:
    """The command line of a job's script; empty when no path is known."""
    if job == LOADER:
        return _script(config.slurm.get("initiate_script"), "{guid} {batch} {link}")
    return _script(config.scripts.get(job), "{guid}")


def _script(path: Any, arguments: str) -> str:
    if not isinstance(path, str) or not path.strip() or path.startswith(PLACEHOLDER):
        return ""
    quoted = shlex.quote(path.strip()).replace("{", "{{").replace("}", "}}")
    return f"bash {quoted} {arguments}"


def _stages(
    jobs: tuple[str, ...], config: DasscoConfig, notes: ImportNotes
) -> list[dict[str, Any]]:
    """The stages of a pipeline with these jobs."""
    stages: list[dict[str, Any]] = []
    for key in ("ingest", "create", "upload", "synchronise", "open_share"):
        _add(stages, {"key": key, "run": f"refinery.{key}"})
    for job in jobs:
        command = _command(job, config)
        stage: dict[str, Any] = {"key": job, "run": command, "on": site_of(config)}
        if not command.startswith(("bash /", "bash '/")):
            notes.add(JOBS, f"{job}: its script is looked for in the site's `scripts` folder")
        if job in WRITES:
            stage["writes"] = WRITES[job]
        elif job not in (LOADER, EMITTER):
            notes.add(
                JOBS,
                f"{job}: could write any metadata; name the fields it sends as `writes`, "
                "nothing else is taken",
            )
        if job == EMITTER:
            stage["emits"] = CHILDREN
        if job in config.times:
            notes.add(JOBS, f"{job}.time_est: {config.times[job]} is asked of Slurm by its script")
        _add(stages, stage)
    return _ended(stages, config, EMITTER in jobs, notes)


def _child_stages(config: DasscoConfig, notes: ImportNotes) -> list[dict[str, Any]]:
    """The stages of a derivative, which its parent's script makes and uploads."""
    command = _script(config.slurm.get("upload_file_script"), "{guid}")
    upload: dict[str, Any] = {"key": "uploader", "run": "module upload"}
    if command:
        upload |= {"run": command, "on": site_of(config)}
    else:
        notes.add(SLURM, "upload_file_script: there is none, so derivatives are uploaded by ours")
    stages: list[dict[str, Any]] = [{"key": "create", "run": "refinery.create"}]
    _add(stages, upload)
    _add(stages, {"key": "synchronise", "run": "refinery.synchronise"})
    return _ended(stages, config, False, notes)


def _ended(
    stages: list[dict[str, Any]], config: DasscoConfig, emits: bool, notes: ImportNotes
) -> list[dict[str, Any]]:
    """The same with what comes last: cleaning up at the cluster, and finalising."""
    command = _script(config.slurm.get("clean_up_script"), "{guid}")
    children = [{"stage": "synchronise", "of": "children"}] if emits else []
    if command:
        _add(stages, {"key": CLEANER, "run": command, "on": site_of(config)}, *children)
        children = []
    else:
        notes.add(SLURM, "clean_up_script: there is none, so nothing is removed at the cluster")
    _add(stages, {"key": "finalise", "run": "refinery.finalise"}, *children)
    return stages


def _add(stages: list[dict[str, Any]], stage: dict[str, Any], *more: Any) -> None:
    """Add a stage that waits for the last one, and for `more`."""
    needs = [*(each["key"] for each in stages[-1:]), *more]
    stages.append(stage | {"needs": needs} if needs else stage)


def _skipped(jobs: tuple[str, ...]) -> list[str]:
    """The jobs that a device target has no use for: their server dropped all after barcode."""
    return list(jobs[jobs.index("barcode") + 1 :]) if "barcode" in jobs else []


def _written(stages: list[dict[str, Any]], indent: str) -> list[str]:
    return [f"{indent}stages:", *(f"{indent}  - {_flow(stage)}" for stage in stages)]


def _flow(value: Any) -> str:
    """A value as YAML on one line, plain words bare."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    if isinstance(value, str) and _BARE.fullmatch(value):
        return value
    return json.dumps(value, ensure_ascii=False)


def scripts_folder(config: DasscoConfig) -> str:
    """The folder of the scripts at the site; empty when no file names it."""
    path = config.slurm.get("initiate_script")
    if not isinstance(path, str) or not path.startswith("/") or ".." in path.split("/"):
        return ""
    return str(PurePosixPath(path).parent)
