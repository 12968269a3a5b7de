"""What goes to a cluster: the same batch gives the same files, tokens for their owner alone."""

import io
import json
import tarfile
from pathlib import Path

from hpc.sites.shipping import pack, parcel
from hpc.tokens import Keys
from track.jobs.batches import Batch, Member

KEYS = Keys.parse("k:00112233445566778899aabbccddeeff")


def a_batch() -> Batch:
    members = tuple(
        Member(n + 40, 1, n, f"Ærø-{n}", "ocr", "module", "ocr", True, None, False)
        for n in range(3)
    )
    return Batch(1, "b1", "far", 1, "intended", None, {}, members)


def test_a_tar_holds_manifest_tokens_script_and_runner_and_ends_with_its_seal(
    tmp_path: Path,
) -> None:
    runner = tmp_path / "runner-1.pyz"
    runner.write_bytes(b"zip")
    sent = pack([parcel(a_batch(), "#!/bin/sh\n", KEYS, callback="http://h", root="/r")], runner)
    with tarfile.open(fileobj=io.BytesIO(sent)) as tar:
        names = tar.getnames()
        assert names[-1] == "sealed"
        assert oct(tar.getmember("b1/tokens").mode) == "0o600"
        manifest = tar.extractfile("b1/manifest.jsonl")
        tokens = tar.extractfile("b1/tokens")
        assert manifest is not None
        assert tokens is not None
        lines = [json.loads(line) for line in manifest.read().decode().splitlines()]
        issued = tokens.read().decode().splitlines()
    assert {"bin/runner-1.pyz", "b1/job.sh", "b1/results", "b1/log"} <= set(names)
    assert lines[2] == {
        "attempt": 42,
        "fence": 1,
        "guid": "Ærø-2",
        "stage": "ocr",
        "module": "ocr",
        "callback": "http://h",
        "root": "/r",
    }
    assert [KEYS.read(token) for token in issued] == [(40, 1), (41, 1), (42, 1)]


def test_the_same_batch_gives_the_same_files() -> None:
    first, second = (parcel(a_batch(), "x", KEYS, callback="c", root="/r") for _ in range(2))
    assert first == second
