"""What must hold of a pipeline's stages among themselves, and of pipelines among each other.

The models check single entries; here every name must refer to something, and nothing may
wait for itself, so that no asset can wait for ever.
"""

from collections.abc import Iterable, Iterator, Sequence
from graphlib import CycleError, TopologicalSorter

from schemas.pipeline.command import word_problems
from schemas.pipeline.model import Pipeline, Stage
from schemas.yaml_lines import DefinitionError, Path, Problem, nearest

ADMITTING = ("assets_in_flight", "open_shares_mb", "new_assets_mb", "derivatives_mb")
"""Bounds that keep assets out until others have left."""


class PipelineError(DefinitionError):
    """A pipeline cannot be used as it is written."""


def problems_within(pipeline: Pipeline) -> list[Problem]:
    """What is wrong with one pipeline on its own, in the order of its lines."""
    for checks in CHECKS:
        if problems := [problem for check in checks for problem in check(pipeline)]:
            return sorted(problems, key=lambda problem: problem.line)
    return []


def check_together(pipelines: Sequence[Pipeline]) -> None:
    """Whether a set of pipelines is complete: what they emit exists, and parents and children
    wait for stages that are there and that do not wait for them.

    Raises `PipelineError`. The same pipeline twice is fine as long as it says the same.
    """
    by_name: dict[str, Pipeline] = {}
    for pipeline in pipelines:
        other = by_name.setdefault(pipeline.name, pipeline)
        if other.definition_hash != pipeline.definition_hash:
            what = f"{pipeline.name} is also written in {other.origin.source}, and differs"
            _refuse(pipeline, [_problem(pipeline, ("pipeline",), what)])
    for pipeline in by_name.values():
        _refuse(pipeline, [*_unknown_pipeline(pipeline, by_name), *_relatives(pipeline, by_name)])
    _refuse_circles_between(by_name)


def check_sites(
    pipelines: Iterable[Pipeline], sites: Iterable[str], without_scripts: Iterable[str] = ()
) -> None:
    """Whether every site named under `on` exists, and may take the stage.

    `without_scripts` are those that run none. Raises `PipelineError`.
    """
    known, bare = set(sites), set(without_scripts)
    for pipeline in pipelines:
        _refuse(pipeline, [*_unfit_sites(pipeline, known, bare)])


def _unfit_sites(pipeline: Pipeline, known: set[str], bare: set[str]) -> Iterator[Problem]:
    for i, stage in enumerate(pipeline.stages):
        for site in stage.on or ():
            if site not in known:
                near = nearest(site, known)
                yield _problem(pipeline, ("stages", i, "on"), f"no site '{site}'", near)
            elif stage.run.kind == "script" and site in bare:
                what = f"site '{site}' runs no scripts; give it `scripts` in sites.yaml"
                yield _problem(pipeline, ("stages", i, "on"), what)


def _refuse(pipeline: Pipeline, problems: list[Problem]) -> None:
    if problems:
        raise PipelineError(pipeline.origin.source or pipeline.name, problems)


def _problem(pipeline: Pipeline, path: Path, what: str, near: str | None = None) -> Problem:
    return Problem(pipeline.origin.located.line(path), what, near)


def _repeated_keys(pipeline: Pipeline) -> Iterator[Problem]:
    seen: set[str] = set()
    for i, stage in enumerate(pipeline.stages):
        if stage.key in seen:
            yield _problem(pipeline, ("stages", i), f"stage '{stage.key}' is written twice")
        seen.add(stage.key)


def _unknown_stages(pipeline: Pipeline) -> Iterator[Problem]:
    keys = {stage.key for stage in pipeline.stages}
    for path, word, name in _references(pipeline):
        if name not in keys:
            yield _problem(pipeline, path, f"{word}: no stage '{name}'", nearest(name, keys))
    for i, stage in enumerate(pipeline.stages):
        path = ("stages", i, "needs")
        if stage.key in pipeline.upstream(stage.key):
            yield _problem(pipeline, path, f"stage '{stage.key}' waits for itself")
        waits = [(need.stage, need.of) for need in stage.needs]
        if len(set(waits)) < len(waits):
            yield _problem(pipeline, path, f"stage '{stage.key}' needs the same twice")
        if pipeline.emits is None and any(need.of.kind == "children" for need in stage.needs):
            what = f"stage '{stage.key}' waits for children, but no stage emits any"
            yield _problem(pipeline, path, what)


def _references(pipeline: Pipeline) -> Iterator[tuple[Path, str, str]]:
    for i, stage in enumerate(pipeline.stages):
        for j, need in enumerate(stage.needs):
            if need.of.kind in ("self", "offset"):
                yield ("stages", i, "needs", j), "needs", need.stage
        for j, covered in enumerate(stage.covers):
            yield ("stages", i, "covers", j), "covers", covered
    for i, rule in enumerate(pipeline.exclude):
        yield ("exclude", i, "after"), "exclude after", rule.after
        for j, excluded in enumerate(rule.stages):
            yield ("exclude", i, "stages", j), "exclude", excluded


def _emitters(pipeline: Pipeline) -> Iterator[Problem]:
    emitters = [(i, stage) for i, stage in enumerate(pipeline.stages) if stage.emits]
    for i, stage in emitters[1:]:
        what = f"stage '{stage.key}' emits too; only one stage of a pipeline makes children"
        yield _problem(pipeline, ("stages", i, "emits"), what)


def _circle(pipeline: Pipeline) -> Iterator[Problem]:
    graph = {stage.key: pipeline.upstream(stage.key) for stage in pipeline.stages}
    if circle := _find_circle(graph):
        i = next(i for i, stage in enumerate(pipeline.stages) if stage.key in circle)
        what = f"stages wait for one another in a circle: {' → '.join(circle)}"
        yield _problem(pipeline, ("stages", i, "needs"), what)


def _find_circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return [str(node) for node in error.args[1]]
    return []


def _exclusions(pipeline: Pipeline) -> Iterator[Problem]:
    for i, rule in enumerate(pipeline.exclude):
        for j, excluded in enumerate(rule.stages):
            if rule.after not in _ancestors(pipeline, excluded):
                what = f"exclude: '{excluded}' does not come after '{rule.after}'"
                yield _problem(pipeline, ("exclude", i, "stages", j), what)


def _covers(pipeline: Pipeline) -> Iterator[Problem]:
    covered: dict[str, str] = {}
    for i, stage in enumerate(pipeline.stages):
        for j, key in enumerate(stage.covers):
            if key == stage.key:
                continue
            if what := _why_not_covered(pipeline, stage, key, covered):
                yield _problem(pipeline, ("stages", i, "covers", j), what)
            covered[key] = stage.key


def _why_not_covered(
    pipeline: Pipeline, stage: Stage, key: str, covered: dict[str, str]
) -> str | None:
    if stage.run.kind != "script":
        return f"covers: only a script can serve several stages, and '{stage.key}' runs none"
    if key in covered:
        return f"covers: '{key}' is covered by '{covered[key]}' already"
    if pipeline.stage(key).run != stage.run:
        return f"covers: '{key}' has a `run` of its own; leave it out"
    if stage.key not in _ancestors(pipeline, key):
        return f"covers: '{key}' does not come after '{stage.key}'"
    return None


def _scripts(pipeline: Pipeline) -> Iterator[Problem]:
    """What a script cannot be given: it is not ours, and only its command reaches it."""
    for i, stage in enumerate(pipeline.stages):
        if stage.run.kind != "script":
            continue
        # What it emits is named by them, whoever makes it; the codes it reads we name ourselves.
        ours = {"patterns", "expected"} | ({"ppi"} if stage.emits else set())
        for name in stage.params.keys() - ours:
            what = f"params: a script is given no '{name}'; write it into its command under `run`"
            yield _problem(pipeline, ("stages", i, "params"), what)
        if stage.resources.cpus is not None:
            what = "resources: sbatch takes no `cpus` for a script; write `#SBATCH --cpus-per-task`"
            yield _problem(pipeline, ("stages", i, "resources"), f"{what} into it")


def _commands(pipeline: Pipeline) -> Iterator[Problem]:
    for i, stage in enumerate(pipeline.stages):
        for n, what, near in word_problems(stage.command, stage.params, inputs=stage.inputs):
            yield _problem(pipeline, ("stages", i, "command", n), what, near)


def _neighbours_held(pipeline: Pipeline) -> Iterator[Problem]:
    """An asset let in may wait for a neighbour that is not, and hold the place it needs."""
    waiting = [s.key for s in pipeline.stages if any(n.of.kind == "offset" for n in s.needs)]
    for bound in ADMITTING if waiting else ():
        if getattr(pipeline.throttle, bound) is not None:
            what = (
                f"throttle: '{bound}' may keep out the neighbour that stage '{waiting[0]}' of an "
                "asset waits for, and then neither goes on; leave it out, or the offset"
            )
            yield _problem(pipeline, ("throttle", bound), what)


CHECKS = (
    (_repeated_keys,),
    (_unknown_stages, _emitters),
    (_circle,),
    (_exclusions, _covers, _neighbours_held, _scripts, _commands),
)
"""The checks of one pipeline; each group needs those before it to have found nothing."""


def _ancestors(pipeline: Pipeline, key: str) -> set[str]:
    found: set[str] = set()
    pending = [key]
    while pending:
        above = pipeline.upstream(pending.pop()) - found
        found |= above
        pending.extend(above)
    return found


def _unknown_pipeline(pipeline: Pipeline, by_name: dict[str, Pipeline]) -> Iterator[Problem]:
    for i, stage in enumerate(pipeline.stages):
        if stage.emits and stage.emits not in by_name:
            what = f"emits: no pipeline '{stage.emits}'"
            near = nearest(stage.emits, by_name)
            yield _problem(pipeline, ("stages", i, "emits"), what, near)


def _relatives(pipeline: Pipeline, by_name: dict[str, Pipeline]) -> Iterator[Problem]:
    parents = [other for other in by_name.values() if other.emits == pipeline.name]
    children = [by_name[pipeline.emits]] if pipeline.emits in by_name else []
    for i, stage in enumerate(pipeline.stages):
        for j, need in enumerate(stage.needs):
            path = ("stages", i, "needs", j)
            if need.of.kind == "parent" and not parents:
                yield _problem(pipeline, path, f"needs: nothing emits {pipeline.name}")
            relatives = {"parent": parents, "children": children}.get(need.of.kind, [])
            for relative in relatives:
                keys = {other.key for other in relative.stages}
                if need.stage not in keys:
                    what = f"needs: no stage '{need.stage}' in {relative.name}"
                    yield _problem(pipeline, path, what, nearest(need.stage, keys))


def _refuse_circles_between(by_name: dict[str, Pipeline]) -> None:
    """Parents that wait for children that wait for parents; and kinds that emit one another."""
    emits = {name: {p.emits} if p.emits else set() for name, p in by_name.items()}
    if circle := _find_circle(emits):
        what = f"pipelines emit one another in a circle: {' → '.join(reversed(circle))}"
        _refuse(by_name[circle[0]], [_problem(by_name[circle[0]], ("pipeline",), what)])
    graph: dict[str, set[str]] = {}
    for pipeline in by_name.values():
        for stage in pipeline.stages:
            graph[f"{pipeline.name}.{stage.key}"] = set(_waits_for(pipeline, stage, by_name))
    if circle := _find_circle(graph):
        first = by_name[circle[0].rpartition(".")[0]]
        what = f"stages wait for one another in a circle: {' → '.join(circle)}"
        _refuse(first, [_problem(first, ("stages",), what)])


def _waits_for(pipeline: Pipeline, stage: Stage, by_name: dict[str, Pipeline]) -> Iterator[str]:
    parents = [other for other in by_name.values() if other.emits == pipeline.name]
    for need in stage.needs:
        if need.of.kind == "children":
            yield f"{pipeline.emits}.{need.stage}"
        elif need.of.kind == "parent":
            yield from (f"{parent.name}.{need.stage}" for parent in parents)
        else:
            yield f"{pipeline.name}.{need.stage}"
    # A child exists only once its parent's emitting stage has declared it.
    for parent in parents:
        yield from (f"{parent.name}.{s.key}" for s in parent.stages if s.emits == pipeline.name)
