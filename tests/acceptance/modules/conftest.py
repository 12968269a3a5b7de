"""Jobs on a disk, as the runner would give them to a module, with nothing to download."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from hpc.job.job import Child, Job, RemoteFile


class FilesHere:
    """Everything is on the disk already."""

    def fetch(self, file: RemoteFile, to: Path) -> None:
        assert to.exists(), f"the test forgot to put {to}"

    def send(self, path: Path, file: RemoteFile) -> None:
        raise AssertionError(f"nothing is sent here: {path} to {file.url}")

    def show(self, path: Path, name: str) -> None:
        raise AssertionError(f"nothing is shown here: {path} as {name}")


@pytest.fixture
def job_on(tmp_path: Path) -> Callable[..., Job]:
    """`job_on("sheet.jpg", save, ppi=[400])`: `save(path)` writes the image."""

    def make(name: str, save: Callable[[Path], object], **params: Any) -> Job:
        job = Job(
            attempt=1,
            guid=Path(name).stem,
            stage="stage",
            root=tmp_path,
            files=FilesHere(),
            params=params,
            inputs=(RemoteFile(name, "http://127.0.0.1/x", 0, 0),),
            children=(Child(400, "child-400"), Child(72, "child-72")),
            threads=2,
        )
        job.folder.mkdir(parents=True, exist_ok=True)
        save(job.folder / name)
        return job

    return make
