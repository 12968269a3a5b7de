"""Commands as the owners of pipelines write them, and mistakes as owners make them."""

import pytest

from schemas.pipeline.load import Pipeline, PipelineError, load_pipelines

MODULES = ("load", "derive")


def only(stage: str) -> Pipeline:
    (pipeline,) = load_pipelines(f"pipeline: P\nstages:\n  - {stage}\n", "p.yaml", MODULES)
    return pipeline


def refusal(stage: str) -> str:
    with pytest.raises(PipelineError) as caught:
        only(stage)
    return str(caught.value)


def test_a_command_is_a_list_of_words_and_succeeds_with_nought() -> None:
    (stage,) = only('{key: a, run: command, command: [prog, "{guid}", "a  b"]}').stages
    assert (stage.run.kind, stage.run.text) == ("command", "command")
    assert stage.command == ("prog", "{guid}", "a  b")
    assert (stage.expect_exit, stage.inputs) == ((0,), False)


def test_one_line_is_split_into_the_same_words() -> None:
    line = only("""{key: a, run: 'command prog "a  b" {guid}'}""")
    words = only("""{key: a, run: command, command: [prog, "a  b", "{guid}"]}""")
    assert line.definition_hash == words.definition_hash


def test_its_canonical_form_is_read_back() -> None:
    pipeline = only(
        '{key: a, run: command, command: [prog, "{input}", "{params.t}", "{{}}"],'
        " params: {t: 0.5}, expect_exit: [0, 3], inputs: true, outputs: '*.h5', writes: barcode}"
    )
    again = Pipeline.model_validate(pipeline.definition())
    assert again == pipeline
    assert again.definition_hash == pipeline.definition_hash
    assert again.stage("a").expect_exit == (0, 3)


def test_one_code_is_a_list_of_one() -> None:
    assert only("{key: a, run: command prog, expect_exit: 7}").stage("a").expect_exit == (7,)


@pytest.mark.parametrize(
    ("word", "what"),
    [
        ("{foldr}", "line 3: command: no '{foldr}'; nearest is 'folder'"),
        ("{params.tresh}", "no '{params.tresh}'; nearest is 'params.thresh'"),
        ("{}", "no '{}'"),
        ("{guid", "'{guid' cannot be read"),
        ("guid}", "write '{{' and '}}' for braces"),
        ("{guid!r}", "takes neither format nor conversion"),
        ("{guid:>9}", "takes neither format nor conversion"),
        ("{guid.__class__}", "no '{guid.__class__}'"),
        ("{input}", "'{input}' needs `inputs: true`"),
    ],
)
def test_a_placeholder_that_cannot_be_filled_is_refused(word: str, what: str) -> None:
    told = refusal(f'{{key: a, run: command, command: [prog, "{word}"], params: {{thresh: 1}}}}')
    assert what in told


@pytest.mark.parametrize(
    ("stage", "what"),
    [
        ("{key: a, run: command}", "command: is missing"),
        ("{key: a, run: command, command: []}", "is a list"),
        ("{key: a, run: command, command: prog}", "is a list"),
        ("{key: a, run: command, command: [prog, 0.50]}", "0.5 is not a text: write it in quotes"),
        ("{key: a, run: command, command: ['', x]}", "its first word is the program"),
        (r'{key: a, run: command, command: [prog, "a\0b"]}', "has a NUL"),
        ("{key: a, run: command prog, command: [prog]}", "write `run: command`"),
        ("{key: a, run: 'command prog \"x'}", "the command cannot be read"),
        ("{key: a, run: comand, command: [prog]}", "nearest is 'command'"),
        ("{key: a, run: module load, command: [prog]}", "command: only of a stage with"),
        ("{key: a, run: module load, inputs: true}", "inputs: only of a stage with"),
        ("{key: a, run: refinery.ingest, expect_exit: 1}", "expect_exit: only of a stage with"),
        ("{key: a, run: command prog, expect_exit: 256}", "less than or equal to 255"),
        ("{key: a, run: command prog, expect_exit: []}", "at least 1"),
        ("{key: a, run: command prog, emits: P}", "makes no derivatives"),
        ("{key: derived, run: command prog}", "'derived' is taken"),
    ],
)
def test_what_a_command_cannot_be_is_refused(stage: str, what: str) -> None:
    assert what in refusal(stage)


def test_a_command_cannot_do_the_work_of_several_stages() -> None:
    text = (
        "pipeline: P\nstages:\n"
        "  - {key: a, run: command prog, covers: [b]}\n  - {key: b, needs: a}\n"
    )
    with pytest.raises(PipelineError, match="only a script can serve several stages"):
        load_pipelines(text, "p.yaml", MODULES)
