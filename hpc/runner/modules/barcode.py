"""Which specimen is it? The codes of an image, and what each stands for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hpc.runner.errors import BadInput
from hpc.runner.job import Job, Result, result
from hpc.runner.source import source_image

if TYPE_CHECKING:
    from hpc.runner.imaging.codes import CodeReading, FoundCode

NAME = "barcode"
NEEDS = ("PIL", "numpy", "pyvips", "zxingcpp")
TAKES = ("patterns", "expected", "formats", "seconds", "accept_black", "max_pixels")
GIVES = ("metadata", "barcode", "details")

SPECIMEN, LABEL, DISPOSABLE, TARGET = "specimen", "label", "disposable", "device target"
IGNORED, OTHER = "ignored", "other"
URI = r"(?i:[a-z][a-z0-9+.-]*://|(?:urn|doi|ark|hdl):)"
"""How an identifier of the web begins: it names a specimen only where a pattern is given."""
PATTERNS: dict[str, tuple[str, str | None]] = {
    "disposable": (DISPOSABLE, "^DISP"),
    "label": (LABEL, "^LBL"),
    "device_target": (TARGET, "^DEVICE-TARGET"),
    "ignored": (IGNORED, None),
    "uri": (SPECIMEN, None),
    "specimen": (SPECIMEN, f"^(?!{URI})"),
}
"""By parameter: the kind of a code, and its pattern by default; None matches nothing."""
NOT_OURS = (OTHER, IGNORED)

Kinds = Sequence[tuple[str, re.Pattern[str]]]
"""Kinds of codes and their patterns; the first that fits counts."""


def run(job: Job) -> Result:
    """Codes with kind and box. No code at all is a result, with a warning.

    Params: `patterns` {disposable, label, device_target, ignored, uri, specimen: regular
    expression}, `formats` [code format], `seconds` (20) of processor time to spend at most,
    `accept_black`, `max_pixels`; `expected` is the server's. Raises BadInput naming the file
    or the parameter.
    """
    from hpc.runner.imaging.codes import BUDGET_S, FORMATS, read_codes
    from hpc.runner.imaging.picture import image_errors, read_grey

    patterns = compiled(job.params.get("patterns", {}))
    path, max_pixels, warnings = source_image(job)
    grey = read_grey(path, max_pixels)
    budget_s = seconds_of(job.params.get("seconds", BUDGET_S))
    with image_errors(path):
        reading = read_codes(grey, tuple(job.params.get("formats", FORMATS)), budget_s)
    kinds = [kind_of(code.text, patterns) for code in reading.codes]
    barcode = barcode_of(reading.codes, kinds)
    metadata = {
        "barcode": barcode["barcodes"],
        "asset_subject": barcode["asset_subject"],
        "multi_specimen": barcode["multi_specimen"],
    }
    return result(
        metadata={} if all(kind in NOT_OURS for kind in kinds) else metadata,
        barcode=barcode,
        details={
            "image": path.name,
            "size": [grey.shape[1], grey.shape[0]],
            "looks": reading.reads,
            "seconds": reading.seconds,
            "cut": [{"text": code.text, "box": list(code.box)} for code in reading.cut],
        },
        warnings=warnings + warnings_of(path.name, reading, kinds),
    )


def seconds_of(value: Any) -> float:
    """The budget; raises BadInput when it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        raise BadInput(f"params.seconds: {value!r} is not a number of seconds above 0")
    return float(value)


def compiled(patterns: Mapping[str, Any]) -> Kinds:
    """The patterns with their kinds, the given ones over the usual ones. Raises BadInput.

    Those of `uri` may be several, also by collection: the server knows which one counts.
    """
    unknown = sorted(set(patterns) - set(PATTERNS))
    if unknown:
        raise BadInput(f"params.patterns: {unknown} are unknown; there are {sorted(PATTERNS)}")
    made = []
    for name, (kind, usual) in PATTERNS.items():
        given = patterns.get(name, usual)
        for text in _each(given) if name == "uri" else [given]:
            try:
                made += [(kind, re.compile(text))] if text is not None else []
            except (re.error, TypeError) as error:
                why = f"{text!r} is no pattern ({error})"
                raise BadInput(f"params.patterns.{name}: {why}") from error
    return made


def _each(given: Any) -> list[Any]:
    if isinstance(given, Mapping):
        return [text for theirs in given.values() for text in _each(theirs)]
    return list(given) if isinstance(given, list | tuple) else [given]


def kind_of(text: str, patterns: Kinds) -> str:
    """What a code stands for: the first pattern it matches; none: a code of somebody else."""
    matching = (kind for kind, pattern in patterns if pattern.search(text))
    return next(matching, OTHER)


def barcode_of(codes: "list[FoundCode]", kinds: list[str]) -> dict[str, Any]:
    """The `barcode` part of a result.

    Several specimens on one image: multi_specimen. A disposable code: one of several images
    of the same object, multi_object. A target outranks a label as the image's subject.
    """
    found = list(zip(codes, kinds, strict=True))
    specimens = list(dict.fromkeys(code.text for code, kind in found if kind == SPECIMEN))
    disposables = [code.text for code, kind in found if kind == DISPOSABLE]
    return {
        "codes": [{**asdict(code), "box": list(code.box), "kind": kind} for code, kind in found],
        "barcodes": specimens,
        "disposable": disposables[0] if disposables else None,
        "label": LABEL in kinds,
        "asset_subject": TARGET if TARGET in kinds else LABEL if LABEL in kinds else SPECIMEN,
        "multi_specimen": len(specimens) > 1,
        "multi_object": bool(disposables),
    }


def warnings_of(name: str, reading: "CodeReading", kinds: list[str]) -> list[str]:
    """What a person should know of: nothing found, a code cut off, the budget spent."""
    warnings = []
    if all(kind in NOT_OURS for kind in kinds):
        warnings.append(f"no code found in {name}")
    if (several := kinds.count(DISPOSABLE)) > 1:
        warnings.append(f"{several} disposable codes in {name}; the topmost counts")
    if reading.cut:
        texts = ", ".join(_shown(code.text) for code in reading.cut)
        warnings.append(f"{texts}: cut by the edge of {name}, not counted")
    if reading.unread:
        warnings.append(
            f"{reading.unread} places in {name} that may hold a code were not looked at "
            f"in {reading.seconds:.0f} s; raise params.seconds"
        )
    return warnings


def _shown(text: str) -> str:
    """A code within a sentence: what cannot be printed shows as an escape."""
    return text if text.isprintable() else repr(text)[1:-1]
