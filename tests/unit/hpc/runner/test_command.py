"""What a program is told, and how what it says is read."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from hpc.runner.command import (
    MAX_ANSWER_BYTES,
    MESSAGE_BYTES,
    empty_folder,
    environment,
    filled,
    read_answer,
    run_command,
    values_of,
)
from hpc.runner.descendants import Descendants
from hpc.runner.errors import BadInput, CommandFailed, Transient
from hpc.runner.job import GrantedCommand, Job, Result
from hpc.runner.outcome import UsageMeter

ODD = "ø ♀ 'a' \"b\" $HOME; rm -rf * {x} \\ \n ü"
"""A value with all that a shell or a formatter would stumble over."""


def command(*words: str, inputs: bool = False, codes: tuple[int, ...] = (0,)) -> GrantedCommand:
    return GrantedCommand(words, {"guid": "g-1", "x": "-3"}, codes, inputs)


@pytest.fixture
def run(make_job, tmp_path: Path):
    """Run Python source as a job's command; `given` are fields of its job."""

    def make(source: str, *words: str, codes: tuple[int, ...] = (0,), **given: Any) -> Result:
        job = make_job(**given.pop("params", {}))
        source = source.replace("{", "{{").replace("}", "}}")
        job = job._replace(command=command(sys.executable, "-c", source, *words, codes=codes))
        log = tmp_path / "0.output"
        return run_command(job._replace(**given), log, UsageMeter(), Descendants())

    return make


def test_a_value_stays_inside_its_word_whatever_it_holds(run) -> None:
    source = "import json, sys; print(json.dumps(sys.argv[1:]))"
    found = run(source, "--at={params.odd}!", "{{x}}", params={"odd": ODD})
    assert json.loads(found["details"]["output"]) == [f"--at={ODD}!", "{x}"]


def test_parameters_that_are_no_texts_are_words_of_json(make_job) -> None:
    job = make_job(ppi=[400, 72], on=True, half=0.5, word="é", none=None)
    found = values_of(job, command())
    told = {name: found[f"params.{name}"] for name in ("ppi", "on", "half", "word", "none")}
    assert told == {"ppi": "[400, 72]", "on": "true", "half": "0.5", "word": "é", "none": "null"}


def test_an_asset_without_a_place_in_the_lattice_is_refused_a_command_that_names_it() -> None:
    with pytest.raises(BadInput, match=r"\{z\} has no value for this asset"):
        filled("{x}/{z}", {"x": "1"})


def test_an_input_is_its_path_at_the_site(make_job) -> None:
    job = make_job("sheet 1.tif", lambda path: path.write_bytes(b"x"))
    found = values_of(job, command(inputs=True))
    assert found["input"] == str(job.folder / "sheet 1.tif")
    assert "input" not in values_of(job, command())


def test_a_program_sees_four_variables_of_ours_and_no_setting(make_job) -> None:
    job = make_job()
    ours = {"PATH": "/bin", "REFINERY_DATABASE": "secret", "PREFECT_API_KEY": "secret"}
    found = environment(ours, job, Path("/told.json"))
    assert found == {
        "PATH": "/bin",
        "PYTHONUNBUFFERED": "1",
        "REFINERY_GUID": job.guid,
        "REFINERY_STAGE": "stage",
        "REFINERY_FOLDER": str(job.folder),
        "REFINERY_PARAMS": "/told.json",
    }


def test_a_program_reads_what_it_was_told(run) -> None:
    source = (
        "import json, os; told = json.load(open(os.environ['REFINERY_PARAMS'], encoding='utf-8'));"
        "open('result.json', 'w').write(json.dumps({'told': told, 'here': os.listdir()}))"
    )
    found = run(source, params={"a": "ø"}, metadata={"barcode": ["1"]}, results={"crop": {"b": 2}})
    told = {"params": {"a": "ø"}, "metadata": {"barcode": ["1"]}, "results": {"crop": {"b": 2}}}
    assert found["details"]["result"] == {"told": told, "here": ["result.json"]}


def test_it_runs_in_its_own_folder_which_each_attempt_finds_empty(make_job) -> None:
    job: Job = make_job()
    made = empty_folder(job)
    assert made == job.folder / "stage"
    (made / "sub").mkdir()
    (made / "sub" / "old.h5").write_bytes(b"old")
    (job.folder / "kept.tif").write_bytes(b"kept")
    assert list(empty_folder(job).iterdir()) == []
    assert (job.folder / "kept.tif").exists()


def test_a_link_in_the_place_of_its_folder_is_not_followed(make_job, tmp_path: Path) -> None:
    job = make_job()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "precious").write_bytes(b"x")
    job.folder.mkdir(parents=True)
    (job.folder / "stage").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match="somebody must look at it"):
        empty_folder(job)
    assert (tmp_path / "elsewhere" / "precious").exists()


def test_outputs_are_named_from_the_assets_folder(make_job) -> None:
    job = make_job()._replace(outputs=("*.h5", "sub/a.txt"))
    assert job.output_patterns == ["*.h5", "sub/a.txt"]
    assert job._replace(command=command("x")).output_patterns == ["stage/*.h5", "stage/sub/a.txt"]


def test_another_code_than_expected_names_program_code_and_what_was_printed_last(run) -> None:
    source = "import sys; print('out'); print('err', file=sys.stderr, flush=True); sys.exit(4)"
    with pytest.raises(CommandFailed) as caught:
        run(source, codes=(0, 3))
    told = str(caught.value)
    assert told.startswith(f"{sys.executable} ended with code 4, not 0 or 3: ")
    assert {"out", "err"} <= set(told.split())
    assert (caught.value.exit_code, caught.value.fail_status) == (4, "RETRY")


def test_an_expected_code_is_success_and_nought_then_is_not(run) -> None:
    assert run("import sys; sys.exit(3)", codes=(3,))["details"]["exit_code"] == 3
    with pytest.raises(CommandFailed, match="ended with code 0, not 3: it printed nothing"):
        run("pass", codes=(3,))


def test_an_end_by_a_signal_names_it(run) -> None:
    source = "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"
    with pytest.raises(CommandFailed, match="was ended by SIGKILL, as where memory runs out"):
        run(source)


def test_a_program_that_is_not_there_says_so_and_what_helps(make_job, tmp_path: Path) -> None:
    job = make_job()._replace(command=command("/nowhere/prog"))
    with pytest.raises(Transient, match=r"'/nowhere/prog' does not start.*No such file.*`on`"):
        run_command(job, tmp_path / "0.output", UsageMeter(), Descendants())


def test_only_the_end_of_a_long_output_is_told_and_what_is_no_text_shows(run) -> None:
    source = "import os; os.write(1, b'x' * 5000 + bytes([255, 0]) + b' the end\\n')"
    found = run(source)["details"]["output"]
    assert found.endswith("x\N{REPLACEMENT CHARACTER}␀ the end")
    assert len(found) <= MESSAGE_BYTES


def test_what_a_program_says_in_its_answer_is_told_to_later_stages(run) -> None:
    source = (
        'open(\'result.json\', \'w\').write(\'{"metadata": {"tags": {"a": "b"}}, "n": 1}\');'
        "print('done')"
    )
    found = run(source)
    assert found["metadata"] == {"tags": {"a": "b"}}
    assert found["details"] == {"exit_code": 0, "output": "done", "result": {"n": 1}}


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"no json", "is not JSON"),
        (b"\xff\xfe\xff", "is not JSON"),
        (b"[1]", "is not an object"),
        (b'{"a": NaN}', "NaN is no number of JSON"),
        (b"[" * 50_000, "is not JSON"),
        (b'{"a": "' + b"x" * MAX_ANSWER_BYTES + b'"}', "at most 100000 are taken"),
    ],
)
def test_an_answer_that_cannot_be_read_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    (tmp_path / "result.json").write_bytes(content)
    with pytest.raises(BadInput, match=why):
        read_answer(tmp_path / "result.json")


def test_metadata_that_is_no_object_is_refused(run) -> None:
    with pytest.raises(BadInput, match="its `metadata` is not an object"):
        run("""open('result.json', 'w').write('{"metadata": 1}')""")


def test_what_the_program_used_counts(make_job, tmp_path: Path) -> None:
    source = (
        "b = bytearray(200_000_000); b[::4096] = b'x' * len(b[::4096])\nfor _ in range(10**7): pass"
    )
    job = make_job()._replace(command=command(sys.executable, "-c", source))
    meter = UsageMeter()
    run_command(job, tmp_path / "0.output", meter, Descendants())
    used = meter.so_far()
    assert used["max_rss_mb"] > 200
    assert used["cpu_s"] > 0.1
