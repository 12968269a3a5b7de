"""Which specimen is it? Reads the codes of an image and says what each stands for."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from hpc.job.errors import BadInput
from hpc.job.job import Job, Result, result

if TYPE_CHECKING:
    from hpc.job.imaging.codes import Code

NAME = "barcode"
NEEDS = ("numpy", "pyvips", "zxingcpp")

SPECIMEN, LABEL, DISPOSABLE, TARGET = "specimen", "label", "disposable", "device target"
PATTERNS = {"disposable": "^DISP", "label": "^LBL", "device_target": "^DEVICE-TARGET"}
KINDS = {"disposable": DISPOSABLE, "label": LABEL, "device_target": TARGET}


def run(job: Job) -> Result:
    """Codes with kind and box. No code at all is a result, with a warning.

    Params: `patterns` {disposable, label, device_target: regular expression}, `formats`
    [code format], `max_pixels`. Raises BadInput naming the file or the parameter.
    """
    from hpc.job.imaging.codes import BUDGET_S, FORMATS, read_codes
    from hpc.job.imaging.picture import MAX_PIXELS, read_grey

    patterns = compiled(job.params.get("patterns", {}))
    path = job.image()
    grey = read_grey(path, job.params.get("max_pixels", MAX_PIXELS))
    reading = read_codes(
        grey, tuple(job.params.get("formats", FORMATS)), job.params.get("seconds", BUDGET_S)
    )
    codes = reading.codes
    kinds = [kind_of(code.text, patterns) for code in codes]
    barcode = barcode_of(codes, kinds)
    return result(
        metadata=metadata_of(barcode) if codes else {},
        barcode=barcode,
        details={"image": path.name, "size": [grey.shape[1], grey.shape[0]]},
        warnings=warnings_of(path.name, kinds),
    )


def compiled(patterns: Mapping[str, str]) -> dict[str, re.Pattern[str]]:
    """The patterns by kind, the given ones over the usual ones. Raises BadInput naming one."""
    unknown = sorted(set(patterns) - set(PATTERNS))
    if unknown:
        raise BadInput(f"params.patterns: {unknown} are unknown; there are {sorted(PATTERNS)}")
    made = {}
    for name, text in {**PATTERNS, **patterns}.items():
        try:
            made[KINDS[name]] = re.compile(text)
        except (re.error, TypeError) as error:
            raise BadInput(f"params.patterns.{name}: {text!r} is no pattern ({error})") from error
    return made


def kind_of(text: str, patterns: Mapping[str, re.Pattern[str]]) -> str:
    """What a code stands for: the first pattern it matches, else a specimen."""
    matching = (kind for kind, pattern in patterns.items() if pattern.search(text))
    return next(matching, SPECIMEN)


def barcode_of(codes: "list[Code]", kinds: list[str]) -> dict[str, Any]:
    """The `barcode` part of a result.

    Several specimens on one image: multi_specimen. A disposable code: one of several images
    of the same object, multi_object. A target outranks a label as the image's subject.
    """
    texts = [code.text for code in codes]
    specimens = list(
        dict.fromkeys(text for text, kind in zip(texts, kinds, strict=True) if kind == SPECIMEN)
    )
    disposables = [text for text, kind in zip(texts, kinds, strict=True) if kind == DISPOSABLE]
    return {
        "codes": [
            {**asdict(code), "box": list(code.box), "kind": kind}
            for code, kind in zip(codes, kinds, strict=True)
        ],
        "barcodes": specimens,
        "disposable": disposables[0] if disposables else None,
        "label": LABEL in kinds,
        "asset_subject": TARGET if TARGET in kinds else LABEL if LABEL in kinds else SPECIMEN,
        "multi_specimen": len(specimens) > 1,
        "multi_object": bool(disposables),
    }


def metadata_of(barcode: Mapping[str, Any]) -> dict[str, Any]:
    """What the codes say about the asset, in v3 names."""
    return {
        "barcode": barcode["barcodes"],
        "asset_subject": barcode["asset_subject"],
        "multi_specimen": barcode["multi_specimen"],
    }


def warnings_of(name: str, kinds: list[str]) -> list[str]:
    """What a person should know: nothing was found, or more disposables than one."""
    if not kinds:
        return [f"no code found in {name}"]
    several = kinds.count(DISPOSABLE)
    return [f"{several} disposable codes in {name}; the topmost counts"] if several > 1 else []
