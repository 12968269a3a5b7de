"""Eight sample specimens, written to the N-Drive as a workstation would, and what must become
of each.

Together they take every turn of the road: one code, two codes, a specimen and its label
linked by a disposable label, a device target, a broken document and a broken image.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import count
from pathlib import Path
from types import MappingProxyType

from demo.specimens.codes import PrintedCode, Symbology
from demo.specimens.documents import Capture, as_text, document_v2, document_v3
from demo.specimens.folders import finished_path, session_folder
from demo.specimens.sheets import Codes, DrawnSheet, Order, SheetKind, draw_sheet, encoded
from schemas.guid import Guid

DIGITISER = "Søren Ærøskøbing"
DERIVED_PPI = (400, 72)
FIRST_CATALOGUE_NUMBER = 317042
SHARED_LABEL = "mos"
RAW_BEGINS = b"FUJIFILMCCD-RAW 0201FF119502X-T3"
RAW_BYTES = 2_000_000
"""Noise in the place of a sensor's; nobody looks into a raw."""


class SpecimenEnd(StrEnum):
    """How a specimen's way ends."""

    FINALISED = "finalised"
    QUARANTINED = "quarantined"


class Fault(StrEnum):
    """What is broken on purpose."""

    BROKEN_JSON = "broken JSON"
    TRUNCATED_IMAGE = "truncated image"


@dataclass(frozen=True, slots=True)
class Plan:
    """One specimen of the set. `codes` are (prefix, symbology); equal `gathering`, equal label."""

    gathering: int
    codes: Codes
    suffix: str = ".jpg"
    kind: SheetKind = SheetKind.SPECIMEN
    version: int = 2
    ppi: int = 600
    fault: Fault | None = None
    link: str | None = None


@dataclass(frozen=True, slots=True)
class Expectation:
    """What must be true of one specimen in the end.

    `barcodes` are those of its metadata then, so a label has its specimens'; `links` are
    the guids it is joined to as a multi-object specimen; `derivatives` are in pixels per inch;
    `codes` and `label_lines` are what is printed on the sheet.
    """

    guid: str
    file_name: str
    end: SpecimenEnd
    subject: str | None
    barcodes: tuple[str, ...] = ()
    multi_specimen: bool = False
    disposable: str | None = None
    links: tuple[str, ...] = ()
    derivatives: tuple[int, ...] = ()
    fault: Fault | None = None
    codes: tuple[PrintedCode, ...] = ()
    label_lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SampleSession:
    """A session on the N-Drive, and what is expected of it by guid."""

    path: Path
    expectations: Mapping[str, Expectation]


_QR, _DM, _C128 = Symbology.QR_CODE, Symbology.DATA_MATRIX, Symbology.CODE_128
_LABEL, _TARGET = SheetKind.LABEL, SheetKind.DEVICE_TARGET

PLANS = (
    Plan(0, (("NHMD-", _QR),), ".tif"),
    Plan(1, (("NHMD-", _DM),), version=3),
    Plan(2, (("NHMD-", _C128), ("NHMD-", _QR)), ppi=300),
    Plan(3, (("NHMD-", _C128), ("DISP-", _DM)), ".tif", link=SHARED_LABEL),
    Plan(3, (("LBL-", _QR), ("DISP-", _DM)), kind=_LABEL, version=3, ppi=300, link=SHARED_LABEL),
    Plan(5, (("DEVICE-TARGET-", _DM),), ".tif", kind=_TARGET),
    Plan(6, (("NHMD-", _QR),), fault=Fault.BROKEN_JSON),
    Plan(7, (("NHMD-", _C128),), fault=Fault.TRUNCATED_IMAGE),
)


def write_sample_session(
    ndrive_root: Path,
    *,
    workstation: str = "WORKHERB0001",
    now: datetime,
    seed: int = 1,
    once: bool = False,
) -> SampleSession:
    """Write the eight (or, with `once`, one plain specimen) and tell what must become of them.

    They land in `<ndrive_root>/<workstation>/<time>/`, which appears complete. The same
    `now` and `seed` give the same guids and bytes. `now` needs a zone. Raises `FolderError`
    when a session of that second exists.
    """
    expectations = {}
    with session_folder(ndrive_root, workstation, now) as folder:
        for plan, capture, sheet, expectation in _drawn(
            PLANS[1:2] if once else PLANS, workstation, now, seed
        ):
            _write_pair(folder, plan, capture, sheet)
            expectations[capture.guid] = expectation
    return SampleSession(
        path=finished_path(ndrive_root, workstation, now),
        expectations=MappingProxyType(expectations),
    )


def write_camera_folder(
    folder: Path, *, workstation: str, now: datetime, seed: int = 1
) -> Mapping[str, Expectation]:
    """Write the specimens that nothing is wrong with as a camera and its converter leave them.

    Each is a camera raw and a TIFF or JPEG of one base name, by which they are returned; what is
    expected has guids of its own until `with_guids` gives it those of the workstation.
    """
    plans = tuple(plan for plan in PLANS if plan.fault is None)
    chance = random.Random(seed)
    expectations = {}
    for n, (_, capture, sheet, expectation) in enumerate(_drawn(plans, workstation, now, seed), 1):
        stem = f"DSCF{n:04}"
        image = encoded(sheet, capture.suffix, capture.taken)
        (folder / f"{stem}{capture.suffix.upper()}").write_bytes(image)
        (folder / f"{stem}.RAF").write_bytes(RAW_BEGINS + chance.randbytes(RAW_BYTES))
        expectations[stem] = expectation
    return MappingProxyType(expectations)


def with_guids(
    expectations: Mapping[str, Expectation], guids: Mapping[str, str]
) -> Mapping[str, Expectation]:
    """The expectations by the guids that a workstation gave; `guids` are these by base name."""
    new = {expectation.guid: guids[stem] for stem, expectation in expectations.items()}
    return {
        new[each.guid]: replace(
            each,
            guid=new[each.guid],
            file_name=new[each.guid],
            links=tuple(sorted(new[link] for link in each.links)),
        )
        for each in expectations.values()
    }


def _drawn(
    plans: tuple[Plan, ...], workstation: str, now: datetime, seed: int
) -> Iterator[tuple[Plan, Capture, DrawnSheet, Expectation]]:
    """Each specimen of the set: taken two minutes apart, the last two minutes ago."""
    chance = random.Random(seed)
    codes = _codes(plans, chance)
    captures = [
        _capture(plan, workstation, now - timedelta(minutes=2 * (len(plans) - n)), now, chance)
        for n, plan in enumerate(plans)
    ]
    for n, (plan, capture) in enumerate(zip(plans, captures, strict=True)):
        order = Order(seed + plan.gathering, plan.gathering, codes[n], plan.kind, plan.ppi)
        sheet = draw_sheet(order)
        yield plan, capture, sheet, _expectation(n, plans, captures, codes, sheet)


def _codes(plans: tuple[Plan, ...], chance: random.Random) -> list[Codes]:
    """The text of every code; a disposable label is the same on all sheets of its link."""
    catalogue = count(FIRST_CATALOGUE_NUMBER + chance.randrange(1000, 500_000))
    same = {
        "DISP-": f"DISP-{chance.randrange(1_000_000):06}",
        "LBL-": f"LBL-{chance.randrange(1_000_000):06}",
        "DEVICE-TARGET-": "DEVICE-TARGET-0001",
    }

    def text(prefix: str) -> str:
        return same.get(prefix) or f"{prefix}{next(catalogue):08}"

    return [tuple((text(prefix), kind) for prefix, kind in plan.codes) for plan in plans]


def _capture(
    plan: Plan, workstation: str, taken: datetime, now: datetime, chance: random.Random
) -> Capture:
    guid = Guid.build(
        taken, institution=0, collection=1, workstation=0, random=chance.randrange(1_000_000)
    )
    return Capture(
        guid=str(guid),
        taken=taken,
        written=now,
        suffix=plan.suffix,
        workstation=workstation,
        digitiser=DIGITISER,
    )


def _write_pair(folder: Path, plan: Plan, capture: Capture, sheet: DrawnSheet) -> None:
    image = encoded(sheet, capture.suffix, capture.taken)
    text = as_text(document_v3(capture) if plan.version == 3 else document_v2(capture))
    if plan.fault is Fault.TRUNCATED_IMAGE:
        image = image[: len(image) * 3 // 5]
    if plan.fault is Fault.BROKEN_JSON:
        text = text[: len(text) * 2 // 3]
    (folder / capture.file_name).write_bytes(image)
    (folder / f"{capture.guid}.json").write_text(text, encoding="utf-8")


def _expectation(
    n: int,
    plans: tuple[Plan, ...],
    captures: list[Capture],
    codes: list[Codes],
    sheet: DrawnSheet,
) -> Expectation:
    """What becomes of specimen `n`; a label ends with the barcodes of the specimens it links."""
    plan, capture = plans[n], captures[n]
    linked = [i for i, p in enumerate(plans) if i != n and plan.link and p.link == plan.link]
    own = _specimens(codes[n])
    gained = tuple(code for i in linked for code in _specimens(codes[i]))
    common = Expectation(
        guid=capture.guid,
        file_name=capture.file_name,
        end=SpecimenEnd.QUARANTINED,
        subject=None,
        fault=plan.fault,
        codes=sheet.codes,
        label_lines=sheet.label_lines,
    )
    if plan.fault:
        return common
    return replace(
        common,
        end=SpecimenEnd.FINALISED,
        subject=str(plan.kind),
        barcodes=own + gained if plan.kind is _LABEL else own,
        multi_specimen=len(own) > 1,
        disposable=next((text for text, _ in codes[n] if text.startswith("DISP-")), None),
        links=tuple(sorted(captures[i].guid for i in linked)),
        derivatives=() if plan.kind is _TARGET else DERIVED_PPI,
    )


def _specimens(codes: Codes) -> tuple[str, ...]:
    return tuple(text for text, _ in codes if text.startswith("NHMD-"))
