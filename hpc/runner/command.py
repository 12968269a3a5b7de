"""Runs a program that knows nothing of us, in a folder of its own, and judges it by its exit code.

Its words and its environment tell it what it may want to know, and no token is among that. What
it leaves running is ended with it.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from string import Formatter
from typing import Any

from hpc.runner.descendants import Descendants
from hpc.runner.errors import BadInput, CommandFailed, Transient
from hpc.runner.job import GrantedCommand, Job, Result, result
from hpc.runner.outcome import UsageMeter
from hpc.runner.tail import read_tail

ANSWER = "result.json"
"""The file in its folder by which a program says more than a code."""
MAX_ANSWER_BYTES = 100_000
MESSAGE_BYTES = 2000
"""How much of what it printed stands in its message and its result."""
OURS = ("REFINERY_", "PREFECT_")
"""What the names of our own settings begin with; a program is given none of them."""


def run_command(job: Job, log: Path, meter: UsageMeter, started: Descendants) -> Result:
    """Run the job's command; what it prints is written to `log`, and what it was told beside it.

    Raises BadInput for words that cannot be filled in and an answer that cannot be read,
    Transient when the program does not start, CommandFailed when it ends with another code.
    """
    command = job.command
    if command is None:
        raise BadInput(f"the grant names no command, and stage {job.stage} runs one")
    values = values_of(job, command)
    words = [filled(word, values) for word in command.words]
    folder = empty_folder(job)
    told = log.with_suffix(".params.json")
    told.write_text(json.dumps(_told(job), ensure_ascii=False), encoding="utf-8", errors="replace")
    code = _run(words, folder, environment(os.environ, job, told), log, meter)
    started.end()
    output = read_tail(log, MESSAGE_BYTES) or ""
    if code not in command.expect_exit:
        raise CommandFailed(_how_it_ended(words[0], code, command.expect_exit, output), code)
    return _result(folder, code, output)


def filled(word: str, values: Mapping[str, str]) -> str:
    """A word with its placeholders replaced, one word whatever they hold. Raises BadInput."""
    text = ""
    for literal, field, _, _ in Formatter().parse(word):
        if field is not None and field not in values:
            raise BadInput(f"command: {{{field}}} has no value for this asset")
        text += literal + ("" if field is None else values[field])
    return text


def values_of(job: Job, command: GrantedCommand) -> dict[str, str]:
    """What placeholders stand for, here and for this job. Inputs are brought before, if asked for.

    Raises BadInput where there is no input, else what bringing them raises.
    """
    params = {f"params.{name}": _as_word(value) for name, value in job.params.items()}
    here = {"folder": str(job.folder)}
    if command.inputs:
        here["input"] = str(job.image())
    return {**command.values, **params, **here}


def _as_word(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def empty_folder(job: Job) -> Path:
    """The command's own folder, empty. Raises BadInput when another thing has its name, OSError."""
    folder = job.command_folder
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
        raise BadInput(
            f"{folder.name}: stage {job.stage} runs in a folder of that name, and it is none; "
            "somebody must look at it"
        )
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir(parents=True)
    return folder


def environment(ours: Mapping[str, str], job: Job, told: Path) -> dict[str, str]:
    """What a program sees: what its site gives to jobs, none of our settings, and four of its own.

    `told` is where its parameters, metadata and earlier results are. One in Python holds back
    nothing of what it prints, which would be gone if it is killed.
    """
    given = {name: value for name, value in ours.items() if not name.startswith(OURS)}
    return (
        {"PYTHONUNBUFFERED": "1"}
        | given
        | {
            "REFINERY_GUID": job.guid,
            "REFINERY_STAGE": job.stage,
            "REFINERY_FOLDER": str(job.folder),
            "REFINERY_PARAMS": str(told),
        }
    )


def _told(job: Job) -> dict[str, Any]:
    return {
        "params": dict(job.params),
        "metadata": dict(job.metadata),
        "results": dict(job.results),
    }


def _run(
    words: Sequence[str], folder: Path, env: dict[str, str], log: Path, meter: UsageMeter
) -> int:
    """The exit code of a program, negative when a signal ended it; its use is counted.

    It has a process group of its own, so that `kill 0` in a script is no signal to us. Files that
    we were told to pass on, such as a lock that says who is at work, are passed on to it.
    """
    with log.open("wb") as printed:
        try:
            process = subprocess.Popen(
                words,
                cwd=folder,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=printed,
                close_fds=False,
                process_group=0,
            )
        except OSError as error:
            raise Transient(
                f"program {words[0]!r} does not start at this site: {error.strerror}; put it "
                "there, or name the sites that have it under the stage's `on`"
            ) from error
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    meter.add(used)
    return process.returncode


def _how_it_ended(program: str, code: int, expected: Sequence[int], output: str) -> str:
    if code < 0:
        name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
        how = f"was ended by {name}"
        how += ", as where memory runs out (resources.mem)" if -code == signal.SIGKILL else ""
    else:
        how = f"ended with code {code}, not {' or '.join(map(str, expected))}"
    return f"{program} {how}: {output or 'it printed nothing'}"


def _result(folder: Path, code: int, output: str) -> Result:
    answer = read_answer(folder / ANSWER)
    metadata = answer.pop("metadata", {})
    if not isinstance(metadata, dict):
        raise BadInput(f"{ANSWER}: its `metadata` is not an object")
    details = {"exit_code": code, "output": output}
    return result(metadata=metadata, details=details | ({"result": answer} if answer else {}))


def read_answer(path: Path) -> dict[str, Any]:
    """What a program said in `result.json`; nothing when there is none. Raises BadInput."""
    if not path.is_file():
        return {}
    if (size := path.stat().st_size) > MAX_ANSWER_BYTES:
        raise BadInput(f"{ANSWER}: has {size} bytes; at most {MAX_ANSWER_BYTES} are taken")
    try:
        found = json.loads(path.read_bytes(), parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{ANSWER}: is not JSON ({error})") from error
    if not isinstance(found, dict):
        raise BadInput(f"{ANSWER}: is not an object, {{…}}")
    return found


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")
