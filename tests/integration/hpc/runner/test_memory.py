"""A module stays within its job's memory, whatever the image claims and holds.

Each runs in a process of its own, whose memory the system limits or measures.
"""

import json
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from hpc.runner.imaging.rectangle import Rectangle

LIMIT = 2 * 2**30
"""What pipelines give a module that looks at an image."""
RUN = """
import importlib, json, resource, sys
from pathlib import Path
from hpc.runner.job import GrantedChild, Job, RemoteFile
from hpc.runner.outcome import RunOutcome

class FilesHere:
    def fetch(self, file, to):
        assert to.exists()

root, module, name, limit, told = sys.argv[1:]
if int(limit):
    resource.setrlimit(resource.RLIMIT_AS, (int(limit), int(limit)))
job = Job(
    attempt=1, guid="g", stage="stage", root=Path(root), files=FilesHere(),
    params={"scan_ppi": 600, "seconds": 4, "cut": True}, results=json.loads(told), threads=2,
    inputs=(RemoteFile(name, "http://x", 0, 0),),
    children=(GrantedChild(400, "g_400"), GrantedChild(72, "g_72")),
)
verdict = RunOutcome()
with verdict:
    verdict.result = importlib.import_module(f"hpc.runner.modules.{module}").run(job)
print(json.dumps({"failure": verdict.failure, "result": verdict.result}))
"""


def run(
    root: Path, module: str, name: str, limit: int = 0, told: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Run a module over `name`; its result. Fails with what the module said."""
    words = [str(root), module, name, str(limit), json.dumps(told or {})]
    done = subprocess.run(
        [sys.executable, "-c", RUN, *words],
        # Each thread's arena reserves 64 MB of addresses, which a real job is not limited in.
        env={**os.environ, "MALLOC_ARENA_MAX": "2"},
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    answer = json.loads(done.stdout)
    assert answer["failure"] is None, answer["failure"]
    return answer["result"]


@pytest.fixture(scope="module")
def bomb(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound PNG of 70 kB that holds 576 million pixels."""
    root, side = tmp_path_factory.mktemp("bomb"), 24_000
    folder = root / "assets" / "g"
    folder.mkdir(parents=True)
    packer, row = zlib.compressobj(), b"\0" + bytes(side // 8)
    pixels = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    with (folder / "bomb.png").open("wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n")
        header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
        for kind, content in ((b"IHDR", header), (b"IDAT", pixels), (b"IEND", b"")):
            crc = zlib.crc32(kind + content)
            out.write(struct.pack(">I", len(content)) + kind + content + struct.pack(">I", crc))
    return root


@pytest.mark.parametrize("module", ["barcode", "crop", "derive", "ocr"])
def test_a_decompression_bomb_is_a_result_within_the_jobs_memory(bomb: Path, module: str) -> None:
    found = run(bomb, module, "bomb.png", LIMIT)
    assert found["details"]["image"] == "bomb.png"
    assert found["usage"]["max_rss_mb"] < LIMIT / 10**6


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same scan as an uncompressed TIFF of 160 MB, and an eighth of it."""
    root = tmp_path_factory.mktemp("scans")
    folder = root / "assets" / "g"
    folder.mkdir(parents=True)
    grain = np.random.default_rng(1).integers(0, 255, (8900, 6000, 3), dtype=np.uint8)
    Image.fromarray(grain).save(folder / "large.tif", dpi=(600, 600))
    Image.fromarray(grain[:2225, :3000]).save(folder / "small.tif", dpi=(600, 600))
    return root


@pytest.mark.parametrize("angle", [None, 2.0], ids=["whole", "cut and set straight"])
def test_memory_does_not_grow_with_the_scan(scans: Path, angle: float | None) -> None:
    peaks = {}
    for name, (width, height) in {"small.tif": (3000, 2225), "large.tif": (6000, 8900)}.items():
        told = {}
        if angle is not None:
            sheet = Rectangle(width / 2, height / 2, width * 0.9, height * 0.9, angle)
            told = {"image": name, "what": "sheet", "sure": True, "corners": sheet.corners()}
        found = run(scans, "derive", name, told={"cropping": told})
        assert found["details"]["source_ppi"] == 600
        assert (found["details"]["cut"] is None) == (angle is None)
        peaks[name] = found["usage"]["max_rss_mb"]
    # What its threads hold at a time differs by up to 40 MB on a busy machine, and pages of the
    # file on disk that a cut goes through count as memory while they are mapped.
    room = 60 if angle is None else 140
    assert peaks["large.tif"] - peaks["small.tif"] < room
    assert peaks["large.tif"] < 260
