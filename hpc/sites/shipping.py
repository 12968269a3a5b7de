"""Packs what goes to a cluster for a batch: manifest, tokens, batch script, the runner.

The same batch gives the same files, whenever and by whomever it is sent.
"""

import io
import tarfile
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hpc.manifest import manifest, tokens
from hpc.scheduler.batch_script import ArraySpec, render
from hpc.scheduler.ladder import BOUNDED
from hpc.tokens import Keys
from schemas.pipeline.model import Resources
from schemas.sites import Site
from track.jobs.batches import ALONE, Batch

PIECE = 1 << 20
SEAL = "sealed"
"""The tar's last member: a stream cut where one file ends would else pass for a complete one."""


@dataclass(frozen=True)
class Parcel:
    """A batch's folder: files by name. Only their owner may read the `secret` ones."""

    key: str
    files: Mapping[str, bytes]
    secret: frozenset[str] = frozenset({"tokens", "grants.jsonl"})


def parcel(
    batch: Batch, script: str, keys: Keys, *, callback: str, root: str, grants: str = ""
) -> Parcel:
    """A batch as it lies in `<root>/batches/<key>/`; `grants` where jobs cannot ask for one."""
    files = {
        "manifest.jsonl": manifest(batch, callback, root),
        "tokens": tokens(batch, keys),
        "job.sh": script,
    }
    if grants:
        files["grants.jsonl"] = grants
    return Parcel(batch.key, {name: text.encode() for name, text in files.items()})


def batch_script(
    site: Site,
    size: int,
    asked: Mapping[str, Any],
    *,
    runner: str,
    prelude: str,
    exclude: tuple[str, ...] = (),
) -> str:
    """The script of an array of `size` jobs at a site.

    `asked` is what each asks for, with `throttle` and `alone`; `runner` is relative to the
    batch's folder.
    """
    resources = dict(asked)
    throttle, alone = resources.pop("throttle", None), resources.pop(ALONE, False)
    resources.pop(BOUNDED, None)
    spec = ArraySpec(
        size=size,
        python=site.python or "python3",
        runner=runner,
        resources=Resources.model_validate(resources),
        throttle=throttle,
        exclude=exclude,
        prelude=prelude,
        alone=alone,
    )
    return render(spec)


def pack(parcels: Iterable[Parcel], runner: Path | None = None) -> bytes:
    """One gzipped tar of all parcels, with the runner under `bin/` when it must go along."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=1) as tar:
        if runner is not None:
            _add(tar, f"bin/{runner.name}", runner.read_bytes(), 0o755)
        for each in parcels:
            for name in ("log", "results", "ended"):
                _add_folder(tar, f"{each.key}/{name}")
            for name, content in each.files.items():
                _add(tar, f"{each.key}/{name}", content, 0o600 if name in each.secret else 0o644)
        _add(tar, SEAL, b"", 0o644)
    return packed.getvalue()


def tar_pieces(files: Mapping[str, Path], *, seal: bool = False) -> Iterator[bytes]:
    """A tar of files by their names in it, piece by piece; `seal`: with SEAL at its end."""
    with tempfile.TemporaryFile() as packed:
        with tarfile.open(fileobj=packed, mode="w") as tar:
            for name, path in files.items():
                tar.add(path, arcname=name)
            if seal:
                _add(tar, SEAL, b"", 0o644)
        packed.seek(0)
        while piece := packed.read(PIECE):
            yield piece


def _add(tar: tarfile.TarFile, name: str, content: bytes, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = len(content), mode
    tar.addfile(entry, io.BytesIO(content))


def _add_folder(tar: tarfile.TarFile, name: str) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.mode = tarfile.DIRTYPE, 0o755
    tar.addfile(entry)
