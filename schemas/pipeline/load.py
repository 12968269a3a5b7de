"""Pipelines out of a YAML file, each problem with its line and the word that was meant.

Other rooms import the model and the checks from here.
"""

from collections.abc import Collection
from typing import Any

from schemas.definition import build
from schemas.pipeline.checks import PipelineError, check_sites, check_together, problems_within
from schemas.pipeline.comparison import Comparison
from schemas.pipeline.model import Exclude, Need, Pipeline, Resources, Selector, Stage, Throttle
from schemas.pipeline.run import Run
from schemas.yaml_lines import Located, Problem, read_documents

__all__ = [
    "Comparison",
    "Exclude",
    "Need",
    "Pipeline",
    "PipelineError",
    "Resources",
    "Run",
    "Selector",
    "Stage",
    "Throttle",
    "check_sites",
    "check_together",
    "load_pipelines",
]


def load_pipelines(text: str, source: str, modules: Collection[str]) -> list[Pipeline]:
    """Every pipeline of a file: one per document, or a list `pipelines` of them in one.

    `source` is the file's name in messages, `modules` are the names of those there are. Raises
    `PipelineError` with all problems found.
    What pipelines say about one another, which may span files, is checked by `check_together`.
    """
    pipelines: list[Pipeline] = []
    problems: list[Problem] = []
    documents = [each.without_pieces() for each in read_documents(text, source, PipelineError)]
    for located in [part for document in documents for part in _parts(document)]:
        pipeline = _read(located, source, modules)
        if isinstance(pipeline, list):
            problems += pipeline
        elif any(pipeline.name == other.name for other in pipelines):
            line = located.line(("pipeline",))
            problems.append(Problem(line, f"pipeline {pipeline.name} is written twice"))
        else:
            pipelines.append(pipeline)
    if not pipelines and not problems:
        problems = [Problem(1, "no pipeline here")]
    if problems:
        # A problem in an anchor is reported once, however many pipelines use it.
        raise PipelineError(source, dict.fromkeys(problems))
    return pipelines


def _parts(document: Located) -> list[Located]:
    """The pipelines of a document; one that holds nothing but anchors has none."""
    if not isinstance(document.value, dict) or "pipelines" not in document.value:
        return [document] if document.value != {} else []
    if set(document.value) != {"pipelines"} or not isinstance(document.value["pipelines"], list):
        return [document]
    return [document.at(("pipelines", i)) for i in range(len(document.value["pipelines"]))]


def _read(located: Located, source: str, modules: Collection[str]) -> Pipeline | list[Problem]:
    if not isinstance(located.value, dict):
        what = "a pipeline is a mapping that begins with `pipeline: NAME`"
        return [Problem(located.line(()), what)]
    if "pipelines" in located.value:
        what = "`pipelines` is a list of pipelines; beside it are only pieces, such as `x-stages`"
        return [Problem(located.line(("pipelines",)), what)]
    pipeline = build(Pipeline, located, (), _with_covered_runs(located.value), {"modules": modules})
    if isinstance(pipeline, list):
        return pipeline
    return problems_within(pipeline.read_from(source, located)) or pipeline


def _with_covered_runs(given: dict[str, Any]) -> dict[str, Any]:
    """Give a covered stage without `run` the `run` of the stage that covers it."""
    stages = given.get("stages")
    if not isinstance(stages, list):
        return given
    runs: dict[str, Any] = {}
    for stage in stages:
        covers = stage.get("covers") if isinstance(stage, dict) and "run" in stage else None
        named = covers if isinstance(covers, list) else [covers]
        for key in filter(lambda each: isinstance(each, str), named):
            runs.setdefault(key, stage["run"])

    def with_run(stage: Any) -> Any:
        key = stage.get("key") if isinstance(stage, dict) else None
        return {"run": runs[key], **stage} if isinstance(key, str) and key in runs else stage

    return {**given, "stages": [with_run(stage) for stage in stages]}
