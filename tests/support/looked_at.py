"""Specimens that went a part of the real road: with pictures, codes, boxes, tries and copies."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from sqlalchemy.ext.asyncio import AsyncEngine

from hpc.runner.modules import barcode, crop
from tests.support.callbacks import Cluster, cluster_config
from tests.support.jobs_on_disk import job_on_disk
from track.commands.attention import hold
from track.records.files import due_for_removal
from track.schema.database import transact

SHEET = "NHMD Ærø 100% 'x'"
"""A guid of which nothing may be taken for a sign of an address or a statement."""

OTHER, BROKEN, HELD = "sheet-2", "broken-3", "held-4"
LABEL = "Flora of Ærø\nQuercus robur L.\nleg. Å. Sørensen 12. 6. 1931"


@dataclass
class LookedAt:
    """The folders and the specimens in them."""

    cluster: Cluster
    folder: Path
    board: dict[str, Any] = field(default_factory=dict)

    @classmethod
    @asynccontextmanager
    async def open(
        cls, engine: AsyncEngine, database: str, folder: Path, image: Path | Image.Image
    ) -> "AsyncIterator[LookedAt]":
        """Four specimens; `image` is what the first one shows."""
        config = cluster_config(database, "http://127.0.0.1:9", folder)
        async with Cluster.open(engine, config) as cluster:
            made = cls(cluster, folder)
            made.board = {
                "previews": folder / "previews",
                "places": {"store": folder / "store", "n-drive": folder / "drive"},
            }
            await made._sheet(image)
            await made._others()
            yield made

    def store(self, guid: str) -> Path:
        """A specimen's folder in the store."""
        made = self.folder / "store" / guid
        made.mkdir(parents=True, exist_ok=True)
        return made

    async def asset(self, guid: str, **more: Any) -> None:
        """Register one with metadata and a file, whose folder in the store is known."""
        usual = {"digitiser": "Åse Sørensen", "date_asset_taken": "2026-11-28T09:30:00+01:00"}
        await self.cluster.asset(guid, **(usual | more))
        await self.cluster.world.sql(
            "UPDATE track.asset SET local_path = :p, source_path = '/n/WORKHERB0001/s' "
            "WHERE guid = :g",
            p=str(self.store(guid)),
            g=guid,
        )

    async def _sheet(self, image: Path | Image.Image) -> None:
        await self.asset(SHEET)
        path = self.store(SHEET) / f"{SHEET}.tif"
        if isinstance(image, Path):
            shutil.copy(image, path.with_suffix(".jpg"))
            await self.cluster.world.sql(
                "UPDATE track.file SET name = :n WHERE asset_guid = :g",
                n=path.with_suffix(".jpg").name,
                g=SHEET,
            )
            path = path.with_suffix(".jpg")
        else:
            image.save(path)

        def save(where: Path) -> None:
            shutil.copy(path, where)

        runs = {
            each.NAME: each.run(job_on_disk(self.folder / each.NAME, path.name, save))
            for each in (barcode, crop)
        }
        width, height = runs["crop"]["details"]["size"]
        read = {
            "image": path.name,
            "size": [width, height],
            "labels": [
                {
                    "box": [width * 0.62, height * 0.8, width * 0.3, height * 0.12],
                    "lines": [{"text": line, "confidence": 0.9} for line in LABEL.split("\n")],
                }
            ],
        }
        await self._try_again("assetLoader", SHEET)
        await self._complete("assetLoader", SHEET, details=runs["crop"]["details"])
        await self._complete(
            "barcode",
            SHEET,
            **{name: runs["barcode"][name] for name in ("metadata", "barcode", "details")},
        )
        await self._complete("ocr", SHEET, metadata={"tags.ocr": LABEL}, details=read)
        where, keep = str(self.store(SHEET)), timedelta(hours=6)
        await transact(self.cluster.engine, due_for_removal, SHEET, "store", where, keep=keep)

    async def _try_again(self, stage: str, guid: str) -> None:
        """Let one try fail."""
        attempt = await self.cluster.queue(guid, stage)
        await self.cluster.start(attempt, native="4711_3")
        failed = {"fail_status": "RETRY", "message": "the node's disk is full", "exit_code": 74}
        await self.cluster.own(attempt, "fail", {"native_id": "4711_3", "nonce": "x", **failed})
        await self.cluster.world.sql("UPDATE track.job SET available_at = now()")

    async def _complete(self, stage: str, guid: str, **result: Any) -> None:
        attempt = await self.cluster.queue(guid, stage)
        await self.cluster.start(attempt, native="4712_3")
        usage = {"usage": {"seconds": 12.5, "cpu_s": 11.0, "max_rss_mb": 310.0}}
        await self.cluster.own(
            attempt, "complete", {"native_id": "4712_3", "nonce": "x", "result": result | usage}
        )
        await self.cluster.finish_returned(await self.cluster.world.job_id(guid, stage))

    async def _others(self) -> None:
        await self.asset(OTHER, barcode=["NHMD-77"], collection="Entomology", digitiser="O'Neill")
        Image.new("RGB", (300, 400), (120, 160, 90)).save(self.store(OTHER) / f"{OTHER}.tif")
        await self.asset(BROKEN, barcode=["NHMD-78"])
        (self.store(BROKEN) / f"{BROKEN}.tif").write_bytes(b"II*\0" + bytes(5000))
        await self.cluster.world.sql(
            "UPDATE track.asset SET quarantine = jsonb_build_object('file', 'broken-3.tif',"
            " 'problem', 'it cannot be decoded to its end', 'remedy', 'photograph it again')"
            " WHERE guid = :g",
            g=BROKEN,
        )
        await self.asset(HELD)
        await transact(
            self.cluster.engine, hold, HELD, ["no code was read, and one was expected"], actor="ocr"
        )
