"""Whatever is done to a folder, in whatever order: what must hold of what the watch takes from it.

A real folder, the real watch of one workstation, the real closing; the clock is turned by hand
and the database is a list of the sessions that were opened.
"""

import asyncio
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest.mock import patch

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from blocks.ndrive import NDrive
from schemas.quarantine import QuarantineEntry
from tasks.files.mounts import Pulse
from tasks.files.ndrive import Listing, list_session, listing_hash
from tasks.files.pairing import STILL, Pair
from tasks.intake.folders import Decided, close
from tasks.intake.workstation_watch import WorkstationWatch
from tests.support.folder_play import (
    BASES,
    ENDINGS,
    FORMATS,
    START,
    TEMPORARIES,
    FolderPlay,
    metadata,
)

N = 10.0
CONTENTS = st.binary(min_size=1, max_size=4)


class Folders(RuleBasedStateMachine):
    """One folder name on one workstation, used again after each closing."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="play "))
        self.play = FolderPlay(self.root / "W" / "s")
        self.play.folder.mkdir(parents=True)
        self.runner = asyncio.Runner()
        drive = NDrive(root=self.root, workstations=["W"], settle_seconds=N)
        self.watch = WorkstationWatch(drive, "W", lambda: None, lambda: self.play.now, given=True)  # type: ignore[arg-type, return-value]
        self.sessions: list[str] = []  # hashes of this folder's, under this name of it
        self.ever: set[str] = set()
        self.ready: dict[str, int] = {}  # specimens to be taken in, with their session
        self.refused: dict[str, int] = {}
        self.taken: dict[str, bytes] = {}
        self.opened = 0
        self.kept: tuple[str, Path, bytes] | None = None

    def teardown(self) -> None:
        try:
            self.ends_well()
        finally:
            self.runner.close()
            shutil.rmtree(self.root)

    # what people and programs do

    @rule(named=st.sampled_from(FORMATS))
    def describe(self, named: str | None) -> None:
        self.play.write("c.json", metadata("c", named))

    @rule(base=st.sampled_from(BASES), named=st.sampled_from(FORMATS[:2]), content=CONTENTS)
    def drop(self, base: str, named: str | None, content: bytes) -> None:
        self.play.write(f"{base}.json", metadata(base, named))
        self.play.write(f"{base}.{'jpg' if named == 'JPEG' else 'tif'}", content)

    @rule(base=st.sampled_from(["a", "c"]), ending=st.sampled_from(ENDINGS), content=CONTENTS)
    def photograph(self, base: str, ending: str, content: bytes) -> None:
        self.play.write(f"{base}{ending}", content)

    @rule(base=st.sampled_from(BASES), how=st.sampled_from(TEMPORARIES), still=st.booleans())
    def begin_copy(self, base: str, how: str, still: bool) -> None:
        self.play.write(how.format(f"{base}.tif"), b"half of it")
        if still:
            self.lies_still()

    @rule(name=st.sampled_from(["README.txt", "SHA256SUMS", "a.tif.md5"]), content=CONTENTS)
    def note(self, name: str, content: bytes) -> None:
        self.play.write(name, content)

    @precondition(lambda self: self.play.temporary())
    @rule(data=st.data(), base=st.sampled_from(BASES))
    def end_copy(self, data: st.DataObject, base: str) -> None:
        partial = self.play.temporary()
        self.play.rename(data.draw(st.sampled_from(partial)), f"{base}.tif")

    @precondition(lambda self: self.play.files)
    @rule(data=st.data(), more=CONTENTS, how=st.sampled_from(["grow", "replace", "remove"]))
    def change(self, data: st.DataObject, more: bytes, how: str) -> None:
        name = data.draw(st.sampled_from(sorted(self.play.files)))
        if how == "remove":
            self.play.remove(name)
        elif name.endswith(".json"):
            self.play.replace(name, metadata(name[0], "TIF"))
        elif how == "grow":
            self.play.write(name, self.play.files[name] + more)
        else:
            self.play.replace(name, more)

    @precondition(lambda self: self.play.files and not self.is_known())
    @rule(data=st.data())
    def bytes_come(self, data: st.DataObject) -> None:
        """Into a file whose size was reserved: neither that nor its time tells of them."""
        pictures = [name for name in self.play.files if not name.endswith(".json")]
        if pictures:
            self.play.rewrite(data.draw(st.sampled_from(sorted(pictures))))

    @precondition(lambda self: self.play.files.keys() - self.play.temporary() and not self.kept)
    @rule(data=st.data())
    def put_aside(self, data: st.DataObject) -> None:
        plain = sorted(self.play.files.keys() - self.play.temporary())
        name = data.draw(st.sampled_from(plain))
        kept = self.play.put_aside(name)
        self.kept = name, kept, self.play.files.pop(name)
        self.lies_still_for_long()

    @precondition(lambda self: self.kept is not None and self.kept[0] not in self.play.files)
    @rule()
    def put_back(self) -> None:
        assert self.kept is not None
        self.play.put_back(*self.kept)
        self.kept = None

    # what the refinery does

    @rule()
    def lies_still(self) -> None:
        self.look(0)
        self.look(N)

    @rule()
    def lies_still_for_long(self) -> None:
        self.look(0)
        self.look(STILL * N)

    @rule(seconds=st.sampled_from([0.0, 1.0, N - 1, 5 * N]))
    def look(self, seconds: float) -> None:
        self.play.now += seconds
        self.play.ticks += int(seconds)
        with (
            patch("tasks.intake.workstation_watch.register_folder", self.open),
            patch("tasks.intake.workstation_watch.is_known", self.knows),
        ):
            self.runner.run(self.watch.look())

    async def knows(self, *given: object) -> bool:
        return self.is_last(str(given[-1]))

    def is_known(self) -> bool:
        return self.is_last(listing_hash(list_session(self.play.folder)))

    def is_last(self, content: str) -> bool:
        """Whether it is known, and none came after it under this name of the folder."""
        return content in self.ever and content not in self.sessions[:-1]

    async def open(self, *_: object, listing: Listing, **__: object) -> None:
        still = self.play.now - self.play.changed_at
        assert still >= N, "something changed less than N ago"
        lacking = set(listing.items) - self.play.complete()
        assert not (lacking or self.play.temporary()) or still >= STILL * N, "something is missing"
        assert not {each.name for each in listing.files} & set(self.play.temporary())
        for each in listing.files:
            came = self.play.now - self.play.came_at.get(each.name, -N)
            assert came >= N, f"bytes came into {each.name} less than N ago"
        content = listing_hash(listing)
        if self.is_last(content):
            return
        self.ever.add(content)
        self.sessions = [*(each for each in self.sessions if each != content), content]
        self.opened += 1
        for base in listing.items:
            known = base in self.taken or base in self.ready
            if not known or base in self.refused:
                self.refused.pop(base, None)
                self.ready[base] = self.opened

    @precondition(lambda self: self.ready)
    @rule(data=st.data())
    def ingest(self, data: st.DataObject) -> None:
        self.ingest_one(data.draw(st.sampled_from(sorted(self.ready))))

    def ingest_one(self, base: str) -> None:
        pair = list_session(self.play.folder).items.get(base, Pair())
        session = self.ready.pop(base)
        found = pair.images_of(self.play.named(base)) if pair.json else []
        if len(found) == 1:
            assert base not in self.taken, "taken in twice"
            named = self.play.named(base)
            assert named is None or found[0].path.suffix[1:2] == named[0].lower()
            self.taken[base] = found[0].path.read_bytes()
        else:
            self.refused[base] = session
        self.settle()

    @precondition(lambda self: self.sessions and not self.ready)
    @rule()
    def settle(self) -> None:
        if self.ready or not self.sessions:
            return
        said: Mapping[str, Any] = dict.fromkeys(self.sessions, ())
        decided = Decided(
            self.play.folder, 1, bool(self.taken), self.entries(), said, latest=self.sessions[-1]
        )
        since = START + self.play.ticks - STILL * N
        closed = close(Pulse(), decided, "imported_", self.root, since)
        if closed is None:
            return
        lately = START + self.play.ticks - N
        coming = {
            name for name in self.play.temporary() if (closed / name).stat().st_mtime > lately
        }
        assert not coming, "a copy was under way"
        note = {"QUARANTINE.txt"} if self.refused else set()
        there = {each.name: each.read_bytes() for each in closed.iterdir()}
        assert note == there.keys() & {"QUARANTINE.txt"}, "it is noted what was refused"
        there = {name: content for name, content in there.items() if name not in note}
        assert there == self.play.files, "nothing is lost, nothing is added"
        assert listing_hash(list_session(closed)) in self.sessions, "all of it was seen"
        missed = self.play.complete() - self.taken.keys()
        assert not missed, f"{missed} are whole, and were never taken"
        self.sessions, self.refused = [], {}
        self.play.files = {}

    def entries(self) -> list[QuarantineEntry]:
        return [QuarantineEntry(base, "it is refused", "mend it") for base in sorted(self.refused)]

    def ends_well(self) -> None:
        """Left alone, it is closed, by one further session at most."""
        before = self.opened
        for _ in range(4):
            self.look(STILL * N)
            for base in sorted(self.ready):
                self.ingest_one(base)
            self.settle()
        assert self.opened <= before + 1
        left = list_session(self.play.folder).items if self.play.folder.is_dir() else {}
        known = listing_hash(list_session(self.play.folder)) in self.ever if left else False
        assert not left or (known and not self.sessions), "it was put back exactly as it was"


Folders.TestCase.settings = settings(max_examples=60, stateful_step_count=25)
test_whatever_is_done_to_a_folder_it_is_taken_whole_and_once = Folders.TestCase
