"""A job on a disk, as the runner would give it to a module, with nothing to download.

`make_job` and `draw` are fixtures: a conftest that imports them has them.
"""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zxingcpp
from PIL import Image

from demo.specimens.lettering import write
from hpc.runner.job import GrantedChild, Job, RemoteFile

Draw = Callable[..., Image.Image]
MakeJob = Callable[..., Job]
GUID = "7e7-2-01-0a-2d-38-0-00-001-000-0d91a4-00000"


class FilesHere:
    """Everything is on the disk already; what is sent or shown is noted."""

    def __init__(self) -> None:
        self.sent: list[str] = []

    def fetch(self, file: RemoteFile, to: Path) -> None:
        assert to.exists(), f"the test forgot to put {to}"

    def send(self, path: Path, file: RemoteFile) -> None:
        self.sent.append(f"{path.name} to {file.url}")

    def show(self, path: Path, name: str) -> None:
        self.sent.append(name)


def job_on_disk(
    root: Path,
    name: str = "sheet.jpg",
    save: Callable[[Path], Any] | None = None,
    children: tuple[GrantedChild, ...] = (
        GrantedChild(400, "child-400"),
        GrantedChild(72, "child-72"),
    ),
    metadata: dict[str, Any] | None = None,
    results: dict[str, dict[str, Any]] | None = None,
    **params: Any,
) -> Job:
    """A job below `root` whose input `name` is what `save(path)` writes."""
    job = Job(
        attempt=7,
        guid=GUID,
        stage="stage",
        root=root,
        files=FilesHere(),
        params=params,
        metadata=metadata or {},
        results=results or {},
        inputs=(RemoteFile(name, "http://127.0.0.1/x", 0, 0),) if save else (),
        children=children,
        threads=2,
    )
    if save:
        job.folder.mkdir(parents=True, exist_ok=True)
        save(job.folder / name)
    return job


@pytest.fixture
def make_job(tmp_path: Path) -> MakeJob:
    """`make_job("sheet.tif", save, ppi=[400], ...)`: `save(path)` writes the input."""
    return functools.partial(job_on_disk, tmp_path)


@pytest.fixture
def draw() -> Draw:
    """A sheet of paper with codes as `{(x, y): (text, format)}` and lines of text."""

    def make(
        codes: dict[tuple[int, int], tuple[str, str]] | None = None,
        lines: dict[tuple[int, int], str] | None = None,
        size: tuple[int, int] = (1600, 1200),
        points: int = 36,
    ) -> Image.Image:
        sheet = Image.new("RGB", size, (238, 234, 222))
        for place, (text, symbology) in (codes or {}).items():
            barcode = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, symbology))
            sheet.paste(Image.fromarray(barcode.to_image(scale=4)), place)
        for place, text in (lines or {}).items():
            write(sheet, place, text, points)
        return sheet

    return make
