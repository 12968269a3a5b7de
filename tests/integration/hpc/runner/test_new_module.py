"""A new module is one file: nothing else is told of it, neither pipelines nor the runner."""

import json
import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image

ROOT = Path(__file__).parents[4]
PIPELINE = """\
pipeline: PIPETEST0001
stages:
  - {key: load,   run: module load}
  - {key: height, run: module measure, needs: load}
"""
READ = """
import sys
from pathlib import Path
from hpc.archives import build_runner
from hpc.runner.registry import names
from schemas.pipeline.load import load_pipelines

load_pipelines(sys.argv[1], "pipelines.yaml", names())
sys.stdout.write(str(build_runner(Path("runners"))))
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """The project's own files of the two rooms, for themselves."""
    for room in ("hpc", "schemas"):
        shutil.copytree(ROOT / room, tmp_path / "tree" / room)
    return tmp_path / "tree"


def read(tree: Path, pipeline: str) -> subprocess.CompletedProcess[str]:
    """The pipeline as that tree understands it, and its runner."""
    command = [sys.executable, "-c", READ, pipeline]
    return subprocess.run(command, cwd=tree, capture_output=True, text=True, check=False)


def test_one_new_file_is_known_to_pipelines_and_run_by_the_runner(
    tree: Path, world, batch, tmp_path: Path
) -> None:
    refused = read(tree, PIPELINE)
    assert "pipelines.yaml, line 4: " in refused.stderr
    assert "no module 'module measure'" in refused.stderr

    manual = (ROOT / "docs/modules.md").read_text(encoding="utf-8")
    file = textwrap.dedent(re.findall(r"```python\n(.*?)```", manual, re.DOTALL)[0])
    (tree / "hpc/runner/modules/measure.py").write_text(file, encoding="utf-8")
    done = read(tree, PIPELINE)
    assert done.returncode == 0, done.stderr
    near = read(tree, PIPELINE.replace("module measure", "module mesure"))
    assert "line 4: " in near.stderr
    assert "nearest is 'module measure'" in near.stderr

    batch.runner = tree / done.stdout
    Image.new("RGB", (30, 40)).save(tmp_path / "sheet.tif")
    sheet = world.put_file("sheet.tif", (tmp_path / "sheet.tif").read_bytes())
    batch.add(world, 7, "measure", inputs=[sheet])
    assert batch.run() == 0
    verb, body = world.outcome(7)
    assert verb == "complete", json.dumps(body)
    assert body["result"]["details"] == {"height_px": 40}
