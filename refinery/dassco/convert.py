"""`refinery import-dassco`: a DaSSCo Integration Server's configuration becomes one of ours.

Before any file is put in its place it is read back by the functions that `refinery up` uses.
Files that exist are replaced with `--force` only.
"""

import json
import tempfile
from pathlib import Path, PureWindowsPath

from refinery.dassco.files import (
    N_DRIVE,
    PIPELINES,
    SLURM,
    WORKSTATIONS,
    DasscoConfig,
    DasscoFileError,
    read_config,
)
from refinery.dassco.pipelines import ImportNotes, bounds, pipelines_text, scripts_folder, site_of
from refinery.definitions import read_pipelines, read_sites
from refinery.settings import FILE, Settings
from schemas.pipeline.checks import check_sites

PIPELINES_FILE = Path("pipelines") / "dassco.yaml"
SITES_FILE = Path("sites.yaml")
REPORT_FILE = Path("report.md")
HEAD = "# Written by `refinery import-dassco`. report.md beside it says what has no equal here.\n"

EQUIVALENTS = {
    "micro_service_config.json": "there are no services to pace: everything waits for events, "
    "and `throttle`, `settle_seconds` and the pool's limits bound it",
    "mail_config.json": "nothing is mailed from here: let a Prefect automation do it",
    "mongo_connection_config.json": "PostgreSQL is embedded, or `database_url`",
    "control_api_scripts_config.json": "`refinery up`, and the deployments `operate/...`",
    "run_config.json": "every pipeline, stage and site has its own switch",
    "bearer.json": "a secret: remove it from there; ARS is reached with `ars_client_id`",
    "metadata_issues_config.json": "what is wrong with an asset is its job's reason or warning",
}


def import_dassco(folder: Path, project_dir: Path, out: Path, *, force: bool) -> str:
    """Read `folder`, write `out`; the report. Raises DasscoFileError or what reading back does."""
    config, notes = read_config(folder), ImportNotes()
    text = pipelines_text(config, notes)
    if not text:
        why = "; ".join(notes.lines.get(PIPELINES, ["it lists none"]))
        raise DasscoFileError(f"{folder / PIPELINES}: no pipeline can be imported: {why}")
    files = {
        PIPELINES_FILE: HEAD + text,
        SITES_FILE: HEAD + sites_text(config, notes),
        Path(FILE): HEAD + settings_text(config, notes, project_dir, out),
    }
    for name in config.missing:
        notes.add(name, "is not there: nothing was taken from it")
    for name in config.unread:
        notes.add(name, EQUIVALENTS.get(name, "is not read: no setting here corresponds to it"))
    found = read_back(files)
    files[REPORT_FILE] = report = report_text(config, notes, found)
    place(files, out, force=force)
    return report


def sites_text(config: DasscoConfig, notes: ImportNotes) -> str:
    """This machine, and a closed Slurm site for each connection, to be completed."""
    lines = ["sites:", "  - {site: local, kind: local, root: .refinery/sites/local, capacity: 2}"]
    for name in config.connections or [site_of(config)]:
        lines += [
            f"  - site: {json.dumps(name)}",
            "    kind: slurm",
            "    root: /work/refinery                      # yours to say: a folder for us there",
            "    python: /work/refinery/venv/bin/python    # yours to say",
            f"    scripts: {json.dumps(scripts_folder(config) or '/work/refinery/scripts')}",
            f"    block: {json.dumps(name)}",
            "    callback: https://refinery.example.org:8000    # yours to say",
            "    # legacy_callbacks: [192.0.2.0/24]        # yours to say: where scripts call from",
            *_commented(config, {"max_queued_jobs": "max_queued", "parallel_jobs": "max_running"}),
            "    open: false",
        ]
        if connection := config.connections.get(name):
            notes.add(
                connection.source,
                f"{name}: save a SlurmSite block `{name}` with host {connection.host}, port "
                f"{connection.port}, the account of {name.upper()}_USER, a key instead of a "
                "password, and the host's own key, which was never looked at",
            )
    notes.add(SLURM, "sites.yaml lacks what no file says: complete it, then set `open: true`")
    for key, value in config.slurm.items():
        if key in ("max_queued_jobs", "parallel_jobs"):
            notes.add(SLURM, f"{key}: {value} was never applied; it is a comment in sites.yaml")
        elif not key.endswith("_script"):
            notes.add(SLURM, f"{key}: {value} has no equal: the driver looks at the queue itself")
    return "\n".join([*lines, ""])


def _commented(config: DasscoConfig, names: dict[str, str]) -> list[str]:
    found = {ours: config.slurm[theirs] for theirs, ours in names.items() if theirs in config.slurm}
    return [f"    # {ours}: {json.dumps(value)}" for ours, value in found.items()]


def settings_text(config: DasscoConfig, notes: ImportNotes, project_dir: Path, out: Path) -> str:
    """What to take over into the project's refinery.toml."""
    near = out.relative_to(project_dir) if out.is_relative_to(project_dir) else out
    values = {"pipelines": str(near / "pipelines"), "sites_file": str(near / SITES_FILE)}
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items()]
    if found := bounds(config, notes):
        table = ", ".join(f"{name} = {value}" for name, value in found.items())
        lines.append(f"archive_throttle = {{{table}}}")
    if config.workstations:
        lines.append(f"workstations = {json.dumps(config.workstations, ensure_ascii=False)}")
        notes.add(
            WORKSTATIONS,
            "names are taken as they are: remove those that a letter at the end had switched off",
        )
    if PureWindowsPath(config.n_drive).drive:
        notes.add(N_DRIVE, f"{config.n_drive}: mount it on this host and set `n_drive` to that")
    elif config.n_drive:
        lines.append(f"n_drive = {json.dumps(config.n_drive, ensure_ascii=False)}")
    return "\n".join([*lines, ""])


def read_back(files: dict[Path, str]) -> list[str]:
    """The pipelines that were written, read as `refinery up` does, sites and settings too.

    Raises PipelineError, SitesError or SettingsError, all of which name the line or field.
    """
    with tempfile.TemporaryDirectory(prefix="refinery-") as name:
        draft = Path(name)
        for path, text in files.items():
            (draft / path).parent.mkdir(exist_ok=True)
            (draft / path).write_text(text, encoding="utf-8")
        there = {"pipelines": draft / "pipelines", "sites_file": draft / SITES_FILE}
        settings = Settings.load(draft, {}).model_copy(update=there)
        pipelines = read_pipelines(settings)
        check_sites(pipelines, [site.name for site in read_sites(settings)])
        return [pipeline.name for pipeline in pipelines]


def report_text(config: DasscoConfig, notes: ImportNotes, found: list[str]) -> str:
    """What was written, and what has no equal, by file."""
    lines = [f"# {config.folder} moved in", "", f"Pipelines written: {', '.join(found)}.", ""]
    lines += ["What has no equal here, or is yours to say:", ""]
    for source, entries in sorted(notes.lines.items()):
        lines += [f"## {source}", *(f"- {line}" for line in entries), ""]
    return "\n".join(lines)


def place(files: dict[Path, str], out: Path, *, force: bool) -> None:
    """Write the files, each by rename. Raises DasscoFileError for one that exists."""
    there = [str(out / path) for path in files if (out / path).exists()]
    if there and not force:
        raise DasscoFileError(
            f"{', '.join(there)}: exists already; say --force to write over it, or name another "
            "folder with --out."
        )
    for path, text in files.items():
        (out / path).parent.mkdir(parents=True, exist_ok=True)
        draft = (out / path).with_name(f".{path.name}.new")
        draft.write_text(text, encoding="utf-8")
        draft.replace(out / path)
