"""The pages for owners name everything there is."""

import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from hpc.runner.registry import names as modules
from schemas.metadata.names import RENAMED, REQUIRED, V2_ONLY
from schemas.pipeline.command import COMMAND_FIELDS
from schemas.pipeline.load import Pipeline, Resources, Stage, Throttle, load_pipelines
from schemas.pipeline.run import BUILTINS, SCRIPT_FIELDS

DOCS = Path(__file__).parents[3] / "docs"
PIPELINES = (DOCS / "pipelines.md").read_text(encoding="utf-8")
OF_THE_MANUAL = {"measure"}
"""The module that docs/modules.md has its reader write."""
METADATA = (DOCS / "metadata.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("model", [Pipeline, Stage, Resources, Throttle])
def test_every_key_of_a_pipeline_is_explained(model: type[BaseModel]) -> None:
    for name, field in model.model_fields.items():
        assert f"`{field.alias or name}`" in PIPELINES


def test_everything_a_stage_can_run_is_named() -> None:
    words = [f"refinery.{name}" for name in BUILTINS] + ["module <name>"]
    for word in [*words, *(f"{{{field}}}" for field in SCRIPT_FIELDS | COMMAND_FIELDS)]:
        assert word in PIPELINES


def test_every_module_that_the_pages_run_is_there() -> None:
    for page in DOCS.glob("*.md"):
        text = page.read_text(encoding="utf-8")
        assert set(re.findall(r"run: module (\w+)", text)) <= {*modules()} | OF_THE_MANUAL, (
            page.name
        )


def test_the_example_is_a_pipeline() -> None:
    example = PIPELINES.partition("```yaml\n")[2].partition("```")[0]
    assert load_pipelines(example, "pipelines.md", modules())[0].name == "PIPEHERB0001"


def test_the_example_of_a_command_is_a_stage() -> None:
    _, _, section = PIPELINES.partition("## A program of your own\n```yaml\n")
    lines = section.partition("```")[0].splitlines()
    first = "  - {key: linefix, run: command true}"
    example = "\n".join(["pipeline: P", "stages:", first, *(f"  {line}" for line in lines)])
    stage = load_pipelines(example, "pipelines.md", modules())[0].stage("classify")
    assert (stage.command[0], stage.expect_exit) == ("python3", (0, 3))


def test_every_change_of_a_name_is_in_the_table() -> None:
    for name in (*RENAMED, *RENAMED.values(), *V2_ONLY, *REQUIRED):
        assert f"`{name}`" in METADATA
