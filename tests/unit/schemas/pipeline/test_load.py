"""Pipelines as their owners write them, and mistakes as owners make them."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from hpc.runner.registry import names as modules
from schemas.pipeline.load import (
    Pipeline,
    PipelineError,
    Selector,
    check_sites,
    check_together,
    load_pipelines,
)

FOLDER = Path(__file__).parents[4] / "deployments" / "pipelines"
HERB = (FOLDER / "herb0001.yaml").read_text(encoding="utf-8")


def load(text: str = HERB) -> list[Pipeline]:
    pipelines = load_pipelines(text, "herb0001.yaml", modules())
    check_together(pipelines)
    return pipelines


def refused(old: str, new: str) -> PipelineError:
    assert old in HERB
    with pytest.raises(PipelineError) as caught:
        load(HERB.replace(old, new, 1))
    return caught.value


def small(*stages: str, rest: str = "") -> list[Pipeline]:
    lines = "".join(f"  - {{{stage}}}\n" for stage in stages)
    return load_pipelines(f"pipeline: SMALL\nstages:\n{lines}{rest}", "small.yaml", modules())


def test_the_shipped_pipelines_are_complete_together() -> None:
    texts = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.yaml")}
    pipelines = [p for name, text in texts.items() for p in load_pipelines(text, name, modules())]
    check_together(pipelines)
    names = [pipeline.name for pipeline in pipelines]
    assert sorted(names) == ["DERIVATIVE", "PIPEHERB0001", "PIPEPIOF0001"]


def test_a_pipeline_is_read_as_its_owner_wrote_it() -> None:
    herb, derivative = load()
    assert herb.name == "PIPEHERB0001"
    assert herb.emits == "DERIVATIVE"
    assert herb.throttle.synchronising == 12
    barcode = herb.stage("barcode")
    assert (barcode.run.kind, barcode.run.name) == ("module", "barcode")
    assert (barcode.resources.time_s, barcode.resources.mem_mb) == (300, 2048)
    assert barcode.retries == 2
    children = herb.stage("clean_up").needs[1]
    assert (children.stage, children.of.kind) == ("synchronise", "children")
    assert children.accept == ("done", "excluded")
    assert herb.exclude[0].when.holds({"asset_subject": "device target"})
    assert derivative.stage("uploader").run.text == "module upload"


def test_stages_are_counted_from_the_first_to_the_last() -> None:
    herb, _ = load()
    assert herb.depths["ingest"] == 0
    assert herb.depths["finalise"] == 11
    assert sorted(herb.positions.values()) == list(range(12))


def test_the_canonical_form_is_read_back_and_keeps_its_hash() -> None:
    for pipeline in load():
        again = Pipeline.model_validate(pipeline.definition())
        assert again == pipeline
        assert again.definition_hash == pipeline.definition_hash


def test_layout_and_comments_do_not_change_the_hash() -> None:
    spread = HERB.replace(
        "{key: ingest,      run: refinery.ingest}", "key: ingest\n    run: refinery.ingest  # first"
    )
    assert load(spread)[0].definition_hash == load()[0].definition_hash
    assert load(HERB.replace("2G", "3G"))[0].definition_hash != load()[0].definition_hash


@pytest.mark.parametrize(
    ("old", "new", "line", "nearest"),
    [
        ("needs: ingest", "need: ingest", 6, "needs"),
        ("needs: ingest", "needs: ingst", 6, "ingest"),
        ("module load", "module laod", 10, "module load"),
        ("module load", "load", 10, "module load"),
        ("refinery.create", "refinery.crate", 6, "refinery.create"),
        ("multi_specimen]", "multi_specimn]", 11, "multi_specimen"),
        ("after: barcode", "after: barcod", 17, "barcode"),
        ("stages: [ocr", "stages: [orc", 17, "ocr"),
        ("asset_subject ==", "aset_subject ==", 17, "asset_subject"),
        ("emits: DERIVATIVE", "emits: DERIVATIV", 14, "DERIVATIVE"),
        ("synchronise, of: children", "synchronize, of: children", 15, "synchronise"),
        ("of: children", "of: childen", 15, "children"),
        ("synchronising: 12", "synchronizing: 12", 3, "synchronising"),
        ("pipeline: DERIVATIVE", "pipline: DERIVATIVE", 20, "pipeline"),
    ],
)
def test_a_misspelt_word_is_refused_with_its_line_and_the_nearest_known(
    old: str, new: str, line: int, nearest: str
) -> None:
    error = refused(old, new)
    assert (error.problems[0].line, error.problems[0].nearest) == (line, nearest)
    assert str(error).startswith(f"herb0001.yaml, line {line}: ")


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("mem: 2G", "mem: plenty", 11, "not a size"),
        ('time: "00:05"', "time: soon", 11, "not a time"),
        ("assets_in_flight: 30", "assets_in_flight: 0", 3, "greater than or equal to 1"),
        ("assets_in_flight: 30", "assets_in_flight: yes", 3, "integer"),
        ("key: ocr,", "key: barcode,", 12, "written twice"),
        ("run: refinery.create, ", "run: refinery.create, run: refinery.upload, ", 6, "twice"),
        ("run: refinery.ingest}", "run: refinery.ingest, needs: finalise}", 5, "in a circle"),
        ("needs: ocr, ", "needs: cropping, ", 13, "waits for itself"),
        ("== 'device target'", "== 'device target", 17, "not a value"),
        ("== 'device target'", "in 'device target'", 17, "needs list"),
        ("stages: [ocr, cropping", "stages: [create, cropping", 17, "does not come after"),
        ("writes: [tags.ocr]", "writes: [asset_guid]", 12, "no stage may write asset_guid"),
        ("pipeline: DERIVATIVE", "pipeline: PIPEHERB0001", 20, "written twice"),
        ("[400, 72]", "&a [*a]", 14, "used within itself"),
        ("[400, 72]", "*a", 14, "undefined alias"),
        ("[400, 72]", "{<<: 3}", 14, "takes a mapping"),
        ("[400, 72]", "!!python/name:os.system x", 14, "tag"),
        ("[400, 72]", "[400", 14, "not YAML"),
    ],
)
def test_a_mistake_is_refused_with_its_line(old: str, new: str, line: int, words: str) -> None:
    error = refused(old, new)
    assert error.problems[0].line == line
    assert words in str(error)


def test_every_mistake_of_a_file_is_reported_at_once() -> None:
    broken = HERB.replace("needs: ingest", "need: ingest").replace("mem: 2G", "mem: much", 1)
    with pytest.raises(PipelineError) as caught:
        load(broken)
    assert [problem.line for problem in caught.value.problems] == [6, 11]


def test_waiting_for_a_neighbour_reads_a_lattice_offset() -> None:
    (pipeline,) = small(
        "key: descriptors, run: module derive",
        "key: match, run: module crop, needs: [descriptors, {stage: descriptors, of: {z: +1}}]",
    )
    assert pipeline.stage("match").needs[1].of == Selector(kind="offset", dz=1)
    assert Pipeline.model_validate(pipeline.definition()) == pipeline


@pytest.mark.parametrize(
    "bound", ["assets_in_flight", "open_shares_mb", "new_assets_mb", "derivatives_mb"]
)
def test_a_bound_that_may_keep_out_the_neighbour_waited_for_is_refused(bound: str) -> None:
    tiles = f"""pipeline: TILES
throttle:
  synchronising: 4
  {bound}: 30
stages:
  - {{key: find, run: module derive}}
  - {{key: match, run: module crop, needs: {{stage: find, of: {{z: +1}}}}}}
"""
    with pytest.raises(PipelineError, match=f"'{bound}' may keep out .* stage 'match'") as caught:
        load(tiles)
    assert [problem.line for problem in caught.value.problems] == [4]
    load(tiles.replace("{z: +1}", "self"))
    load(tiles.replace(f"  {bound}: 30\n", ""))


@pytest.mark.parametrize(
    ("needs", "words"),
    [
        ("{stage: a, of: {z: 0}}", "must go somewhere"),
        ("{stage: a, of: {t: 1}}", "no direction"),
        ("{stage: a, accept: [don]}", "nearest is 'done'"),
        ("{stage: a, of: children}", "no stage emits"),
        ("[a, a]", "the same twice"),
        ("{stage: b, of: {z: 1}}", "waits for itself"),
    ],
)
def test_a_need_that_cannot_be_met_is_refused(needs: str, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        small("key: a, run: refinery.ingest", f"key: b, run: refinery.create, needs: {needs}")


def test_the_word_on_stays_a_key_and_a_clock_stays_text() -> None:
    (pipeline,) = small(
        "key: a, run: module load, on: [ucloud], resources: {time: 12:30:00}",
        "key: b, run: module ocr, resources: {time: 90}",
    )
    assert pipeline.stage("a").on == ("ucloud",)
    assert pipeline.stage("a").resources.time_s == 45_000
    assert pipeline.stage("b").resources.time_s == 5_400
    assert pipeline.stage("b").on is None
    check_sites([pipeline], ["ucloud"])
    with pytest.raises(PipelineError, match="no site 'ucloud'; nearest is 'ucluod'"):
        check_sites([pipeline], ["ucluod"])


def test_older_names_of_fields_are_taken_and_kept_by_their_new_ones() -> None:
    (pipeline,) = small("key: a, run: module barcode, writes: [multispecimen, parent_guid]")
    assert pipeline.stage("a").writes == ("multi_specimen", "parent_guids")


def test_a_script_is_filled_in_word_by_word() -> None:
    (pipeline,) = small("key: a, run: 'bash assetLoader.sh {guid} {batch} {link}'")
    run = pipeline.stage("a").run
    values = {"guid": "a b; rm -rf ~", "batch": "W_2024-07-23", "link": "http://x/$(id)"}
    assert run.kind == "script"
    assert run.words(values) == ["bash", "assetLoader.sh", *values.values()]


@pytest.mark.parametrize(
    ("run", "words"),
    [
        ("bash x.sh {giud}", "knows no '{giud}'; nearest is 'guid'"),
        ("bash x.sh", "needs '{guid}'"),
        ("bash x.sh {guid!r}", "neither format nor conversion"),
        ("bash x.sh {guid} '", "cannot be read"),
        ("bash x.sh {guid} {", "cannot be read"),
    ],
)
def test_a_command_that_could_not_be_run_is_refused(run: str, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        small(f'key: a, run: "{run}"')


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("params: {language: la}", "line 3: params: a script is given no 'language'; write it"),
        ("params: {ppi: 400}", "given no 'ppi'"),
        ("resources: {cpus: 4}", "line 3: resources: .*`#SBATCH --cpus-per-task` into it"),
    ],
)
def test_what_a_script_cannot_be_given_is_refused_with_its_line_and_a_remedy(
    more: str, words: str
) -> None:
    with pytest.raises(PipelineError, match=words):
        small(f"key: a, run: 'bash x {{guid}}', {more}")


def test_a_script_may_be_given_time_and_memory_and_what_names_its_derivatives() -> None:
    asked = "resources: {time: '00:30', mem: 2G, gpus: 1, partition: p, account: a, qos: q}"
    emits = "emits: SMALL, params: {ppi: [400, 72]}"
    (pipeline,) = small(f"key: a, run: 'bash x {{guid}}', {asked}, {emits}")
    assert pipeline.stage("a").resources.time_s == 1800


def test_a_script_is_sent_only_to_a_site_that_runs_scripts() -> None:
    pipelines = small("key: a, run: 'bash x {guid}', on: [far]", "key: b, run: module ocr, on: far")
    check_sites(pipelines, ["far"])
    with pytest.raises(
        PipelineError, match="line 3: site 'far' runs no scripts; give it `scripts`"
    ):
        check_sites(pipelines, ["far"], without_scripts=["far"])


def test_one_script_serves_the_stages_it_covers() -> None:
    (pipeline,) = small(
        "key: crop, run: 'bash both.sh {guid}', covers: [derive]", "key: derive, needs: crop"
    )
    assert pipeline.stage("derive").run == pipeline.stage("crop").run
    assert Pipeline.model_validate(pipeline.definition()) == pipeline


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        ("run: module crop, covers: [b]", "needs: a", "only a script"),
        ("run: 'bash x {guid}', covers: [b]", "needs: a, run: module ocr", "of its own"),
        ("run: 'bash x {guid}', covers: [b]", "active: true", "does not come after"),
        ("run: 'bash x {guid}', covers: [bb]", "needs: a, run: module ocr", "nearest is 'b'"),
    ],
)
def test_covering_what_cannot_be_covered_is_refused(first: str, second: str, words: str) -> None:
    with pytest.raises(PipelineError, match=words):
        small(f"key: a, {first}", f"key: b, {second}")


def test_the_same_pipeline_twice_is_fine_and_a_different_one_is_not() -> None:
    check_together([*load(), *load()])
    with pytest.raises(PipelineError, match="differs"):
        check_together([*load(), *load(HERB.replace("2G", "3G"))])


def test_parents_and_children_may_not_wait_for_one_another() -> None:
    with pytest.raises(PipelineError, match="in a circle"):
        load(
            HERB.replace(
                "needs: cropping,    emits",
                "needs: [cropping, {stage: create, of: children}], emits",
            )
        )
    with pytest.raises(PipelineError, match="in a circle"):
        waiting = "needs: [create, {stage: clean_up, of: parent}]"
        load(HERB.replace("module upload,         needs: create", f"module upload, {waiting}"))
    load(
        HERB.replace(
            "module upload,         needs: create",
            "module upload, needs: [create, {stage: cropping, of: parent}]",
        )
    )


def test_pipelines_may_not_emit_one_another() -> None:
    ring = HERB.replace("run: module upload, ", "run: module upload, emits: PIPEHERB0001,")
    with pytest.raises(PipelineError, match="emit one another"):
        load(ring)


def test_a_stage_that_waits_for_a_parent_that_is_none_is_refused() -> None:
    pipelines = small("key: a, run: module load, needs: {stage: x, of: parent}")
    with pytest.raises(PipelineError, match="nothing emits SMALL"):
        check_together(pipelines)


YAML_WORDS = st.sampled_from(
    [
        "pipeline: A",
        "stages:",
        "- {key: a, run: module load}",
        "---",
        "needs: a",
        "&x",
        "*x",
        "{",
        "]",
        "'",
        "  ",
        "exclude:",
        "\\U",
        '"\\UFFFFFFFF"',
        "%YAML 9",
        "? [a]",
        "!!int 3",
        "on: 12:30:00",
    ]
)


@settings(max_examples=80)
@given(
    st.one_of(st.text(), st.lists(YAML_WORDS).map("\n".join), st.lists(YAML_WORDS).map(" ".join))
)
def test_any_text_is_a_pipeline_or_a_pipeline_error(text: str) -> None:
    try:
        assert load_pipelines(text, "any.yaml", modules())
    except PipelineError as error:
        assert error.problems[0].line >= 1


@settings(max_examples=60)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    ["key", "run", "needs", "of", "covers", "stages", "pipeline", "writes", "on"]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    )
)
def test_any_structure_is_a_pipeline_or_a_pipeline_error(value: object) -> None:
    text = yaml.safe_dump({"pipeline": "A", "stages": value, "exclude": value})
    try:
        load_pipelines(text, "any.yaml", modules())
    except PipelineError as error:
        assert error.problems[0].line >= 1


def test_text_nested_without_end_is_refused() -> None:
    with pytest.raises(PipelineError, match="nested more than 30 deep"):
        load_pipelines("[" * 5000, "deep.yaml", modules())


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "a/../../x", ".hidden", "**/*", "a//b"])
def test_outputs_stay_in_the_assets_folder(path: str) -> None:
    with pytest.raises(PipelineError, match="is no file such as"):
        small(f'key: derive, run: module derive, outputs: ["{path}"]')


def test_our_own_stages_know_their_parameters_and_no_others() -> None:
    (found,) = small("key: end, run: refinery.finalise, params: {lock: true}")
    assert found.stage("end").params == {"lock": True}
    with pytest.raises(PipelineError, match=r"refinery\.finalise knows no 'lok'") as misspelt:
        small("key: end, run: refinery.finalise, params: {lok: true}")
    assert misspelt.value.problems[0].nearest == "lock"
    assert "at least 1 item" not in str(misspelt.value), "there is a stage, if a wrong one"
    with pytest.raises(PipelineError, match="lock is true or false"):
        small("key: end, run: refinery.finalise, params: {lock: later}")
    with pytest.raises(PipelineError, match=r"refinery\.create knows no 'lock'"):
        small("key: make, run: refinery.create, params: {lock: true}")


def test_only_a_module_has_outputs() -> None:
    (found,) = small("key: derive, run: module derive, outputs: 'derived/*.tif'")
    assert found.stage("derive").outputs == ("derived/*.tif",)
    assert found.definition()["stages"][0]["outputs"] == ["derived/*.tif"]
    with pytest.raises(PipelineError, match="only a module's"):
        small("key: own, run: 'bash own.sh {guid}', outputs: 'derived/*.tif'")


ALIKE = """\
x-herbarium: &herbarium
  throttle: &bounds {assets_in_flight: 30}
  stages:
    - {key: ingest, run: refinery.ingest}
    - {key: create, run: refinery.create, needs: ingest}
pipelines:
  - {<<: *herbarium, pipeline: PIPEHERB0001}
  - {<<: *herbarium, pipeline: PIPEHERB0002}
  - pipeline: PIPEHERB0003
    <<: *herbarium
    throttle: {<<: *bounds, synchronising: 2}
"""


def test_pipelines_that_are_alike_are_written_once() -> None:
    one, two, three = load_pipelines(ALIKE, "alike.yaml", modules())
    assert [one.name, two.name, three.name] == ["PIPEHERB0001", "PIPEHERB0002", "PIPEHERB0003"]
    assert one.stages == two.stages == three.stages
    assert one.throttle.synchronising is None
    assert (three.throttle.assets_in_flight, three.throttle.synchronising) == (30, 2)
    written_out = small("key: ingest, run: refinery.ingest")[0]
    assert written_out.stages[0] == one.stages[0]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("run: refinery.create", "run: refinery.creat", "line 5: stages[1].run: no built-in"),
        ("needs: ingest", "needs: ingst", "line 5: needs: no stage 'ingst'"),
        ("synchronising: 2", "synchronising: 0", "line 11: throttle.synchronising: input"),
        ("PIPEHERB0002", "PIPEHERB0001", "line 8: pipeline PIPEHERB0001 is written twice"),
        ("{<<: *herbarium, pipeline: PIPEHERB0002}", "3", "line 8: a pipeline is a mapping"),
        ("pipelines:", "pipeline: A\npipelines:", "line 7: `pipelines` is a list"),
    ],
)
def test_what_is_wrong_in_an_anchor_is_reported_where_it_is_written(
    old: str, new: str, said: str
) -> None:
    with pytest.raises(PipelineError) as caught:
        load_pipelines(ALIKE.replace(old, new, 1), "alike.yaml", modules())
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"alike.yaml, {said}")


def test_what_is_wrong_between_merged_pipelines_is_reported_where_it_is_written() -> None:
    with pytest.raises(PipelineError, match="line 5: emits: no pipeline 'LOST'"):
        check_together(
            load_pipelines(
                ALIKE.replace("needs: ingest", "needs: ingest, emits: LOST"),
                "alike.yaml",
                modules(),
            )
        )


def test_anchors_that_unfold_without_end_are_refused() -> None:
    lists = "\n".join(f"x-{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))
    merged = "\n".join(
        f"x-{n}: &a{n} {{b{n}: 1, <<: [{', '.join([f'*a{n - 1}'] * 9)}]}}" for n in range(1, 20)
    )
    for first, many in (("[1]", lists), ("{b: 1}", merged)):
        with pytest.raises(PipelineError, match="once aliases are unfolded"):
            load_pipelines(f"x-0: &a0 {first}\n{many}\npipelines: []", "bomb.yaml", modules())
    deep = "\n".join(f"x-{n}: &a{n} [[[[*a{n - 1}]]]]" for n in range(1, 20))
    with pytest.raises(PipelineError, match="nested more than 30 deep"):
        load_pipelines(f"x-0: &a0 [1]\n{deep}\npipelines: []", "deep.yaml", modules())


@pytest.mark.parametrize("entry", ["key: [a]", "key: {a: b}", "key: a, covers: 5", "covers: true"])
def test_a_stage_of_any_shape_is_refused_by_its_line(entry: str) -> None:
    with pytest.raises(PipelineError, match="line 3: "):
        small(f"{entry}, run: 'bash x {{guid}}'")
