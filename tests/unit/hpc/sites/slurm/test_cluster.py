"""What is said to a cluster and read from it, with this machine's shell at the other end."""

import os
import re
import shlex
from pathlib import Path

import pytest

from hpc.scheduler.refusals import SubmitOutcome
from hpc.sites.shipping import Parcel
from hpc.sites.slurm.answers import SiteTrouble
from hpc.sites.slurm.cluster import MAX_SENT, Cluster
from hpc.transport.channel import CommandAnswer, Counts, Sink, Stdin
from tests.support.local_wire import LocalWire

HASTY_CAT = """#!/bin/sh
/bin/cat "$@"
case "$*" in *batches/b1/*)
    mkdir -p batches/b0/started/40 batches/b0/results
    echo '{}' >batches/b0/started/40/by
    echo '{}' >batches/b0/results/40.json
esac
"""


async def test_no_result_is_seen_without_its_start_however_fast_the_job_was(
    tmp_path: Path,
) -> None:
    """While b1 is read, a job of b0, which was read before, starts and ends."""
    cat = tmp_path / "bin" / "cat"
    cat.parent.mkdir()
    cat.write_text(HASTY_CAT)
    cat.chmod(0o755)
    for name in ("started/41/by", "results/41.json"):
        path = tmp_path / "batches" / "b1" / name
        path.parent.mkdir(parents=True)
        path.write_text("{}")
    cluster = Cluster(LocalWire(), str(tmp_path), f"PATH={cat.parent}:$PATH")
    seen = await cluster.poll(["b0", "b1"], queue=False, starts=True)
    assert (tmp_path / "batches" / "b0" / "results" / "40.json").exists()
    ended = {int(Path(name).stem) for name in seen.results}
    assert 41 in ended
    assert ended <= set(seen.starts)


async def test_a_folder_is_written_to_before_what_it_lacks_counts(tmp_path: Path) -> None:
    """A client of a shared disk may show it as it was a minute ago, until it writes there."""
    folders = [tmp_path / "batches" / "b1" / name for name in ("results", "ended", "started")]
    for folder in folders:
        folder.mkdir(parents=True)
        os.utime(folder, (1, 1))
    cluster = Cluster(LocalWire(), str(tmp_path))
    await cluster.poll(["b1"], queue=False, starts=True)
    assert {folder.stat().st_mtime for folder in folders} == {1}
    await cluster.poll(["b1", "b2"], queue=False, history="disk", starts=True)
    assert all(folder.stat().st_mtime > 1 for folder in folders)
    assert [list(folder.iterdir()) for folder in folders] == [[], [], []]
    assert not (tmp_path / "batches" / "b2").exists()


NOISY = """#!/bin/sh
echo "$0: warning: plugin cli_filter is deprecated" >&2
"""
LOST = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)"


@pytest.mark.parametrize(
    ("squeue", "outcome"),
    [
        (f"{NOISY}echo 3 nodes are down today; echo 77", SubmitOutcome.KNOWN),
        (f"{NOISY}echo 3 nodes are down today", SubmitOutcome.ABSENT),
        (f"{NOISY}echo '{LOST}' >&2", SubmitOutcome.QUEUE_UNREADABLE),
        (f"{NOISY}exit 1", SubmitOutcome.QUEUE_UNREADABLE),
    ],
)
async def test_a_harmless_line_hides_no_job_that_is_looked_for_and_a_lost_answer_does(
    tmp_path: Path, squeue: str, outcome: SubmitOutcome
) -> None:
    programs = {"squeue": squeue, "sbatch": "#!/bin/sh\nexit 1"}
    for name, text in programs.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    cluster = Cluster(LocalWire(), str(tmp_path / "root"), f"PATH={tmp_path}:$PATH")
    (tmp_path / "root").mkdir()
    parcels = [Parcel("b1", {"job.sh": b""})]
    await cluster.send(parcels)
    found = (await cluster.send(parcels))["b1"]
    assert (found.outcome, found.job_id) == (
        outcome,
        "77" if outcome is SubmitOutcome.KNOWN else "",
    )


class Sbatch:
    """A login node that submits whatever it is told, until `room` commands are used up."""

    def __init__(self, room: int = 100) -> None:
        self.counts = Counts()
        self.commands: list[list[str]] = []
        self.room = room

    async def run(
        self,
        command: str,
        stdin: Stdin = b"",
        *,
        deadline_s: float = 60.0,
        sink: Sink | None = None,
    ) -> CommandAnswer:
        given = stdin if isinstance(stdin, bytes) else b"".join(stdin)
        mark, _, *words = self._words(given)
        self.commands.append(words)
        told = [f"id {key} {len(self.commands)}" for key in words[::5]]
        if len(self.commands) > self.room:
            told = ["trouble the disk is full"]
        lines = "".join(f"{mark} {each}\n" for each in (*told, "end"))
        return CommandAnswer(0, lines.encode(), b"")

    @staticmethod
    def _words(given: bytes) -> list[str]:
        """The words of a script, from the line that begins its stdin."""
        escaped = given.partition(b"\n")[0].decode()
        text = re.sub(r"\\0([0-7]{3})", lambda found: chr(int(found[1], 8)), escaped)
        return shlex.split(text.partition("set -- ")[2].partition("\n")[0])

    async def open(self) -> None:
        """There is nothing to open."""

    async def close(self) -> None:
        """Nor to close."""


def parcels(count: int) -> list[Parcel]:
    return [Parcel(f"b{n:012x}", {"job.sh": b"x"}) for n in range(count)]


async def test_ever_so_many_batches_go_in_as_many_commands_as_it_takes(tmp_path: Path) -> None:
    wire, runner = Sbatch(), tmp_path / "runner.pyz"
    runner.write_bytes(b"x")
    sent = await Cluster(wire, "/root").send(parcels(700), runner=runner, accounting=True)
    assert {each.outcome for each in sent.values()} == {SubmitOutcome.KNOWN}
    assert list(sent) == [each.key for each in parcels(700)]
    assert [len(words) // 5 for words in wire.commands] == [MAX_SENT] * 3 + [100]


async def test_what_was_sent_before_the_site_had_trouble_is_reported_and_the_rest_is_not() -> None:
    sent = await Cluster(Sbatch(room=1), "/root").send(parcels(MAX_SENT + 5))
    assert list(sent) == [each.key for each in parcels(MAX_SENT)]
    with pytest.raises(SiteTrouble, match="disk is full"):
        await Cluster(Sbatch(room=0), "/root").send(parcels(3))


async def test_a_runner_goes_also_without_any_batch(tmp_path: Path) -> None:
    wire, runner = Sbatch(), tmp_path / "runner.pyz"
    runner.write_bytes(b"x")
    assert await Cluster(wire, "/root").send([], runner=runner) == {}
    assert len(wire.commands) == 1
