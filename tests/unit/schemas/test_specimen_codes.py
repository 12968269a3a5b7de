"""Codes that are URIs name a specimen and its barcode; what is no barcode is told, never taken."""

import time

import pytest

from hpc.runner.registry import names
from schemas.pipeline.load import PipelineError, load_pipelines
from schemas.specimen_codes import name_specimens, uri_patterns

MFN = r"^https?://coll\.mfn-berlin\.de/u/([0-9a-f]+)$"
BGBM = r"^https?://herbarium\.bgbm\.org/object/(?P<barcode>B(\d+))$"
QR = "http://coll.mfn-berlin.de/u/115ff7"
SHEET = "https://herbarium.bgbm.org/object/B100277113"


def test_a_uri_gives_identifier_and_barcode() -> None:
    named = name_specimens([QR, SHEET, "NHMD-1"], uri_patterns([MFN, BGBM]), "Plants")
    assert named.barcodes == ("115ff7", "B100277113", "NHMD-1")
    assert named.pids == {"115ff7": QR, "B100277113": SHEET}
    assert named.unknown == {}


@pytest.mark.parametrize("codes", [[SHEET, "B100277113"], ["B100277113", SHEET], [SHEET, SHEET]])
def test_the_same_specimen_from_two_codes_is_one(codes: list[str]) -> None:
    named = name_specimens(codes, uri_patterns(BGBM), "Plants")
    assert (named.barcodes, named.pids) == (("B100277113",), {"B100277113": SHEET})


def test_capitals_part_two_numbers_and_not_a_number_from_its_uri() -> None:
    named = name_specimens(["115FF7", QR], uri_patterns(MFN), "Plants")
    assert (named.barcodes, named.pids) == (("115FF7",), {"115FF7": QR})
    assert name_specimens(["a1", "A1"], (), "Plants").barcodes == ("a1", "A1")


def test_a_collections_pattern_is_for_no_other_collection() -> None:
    patterns = uri_patterns({"Vascular plants": [BGBM], "Coleoptera": MFN})
    assert name_specimens([SHEET], patterns, "Vascular Plants").barcodes == ("B100277113",)
    named = name_specimens([QR], patterns, "Vascular plants")
    assert (named.barcodes, list(named.unknown)) == ((), [QR])


@pytest.mark.parametrize(
    ("code", "why"),
    [
        (QR, "URI that no pattern"),
        ("HTTP://COLL.MFN-BERLIN.DE/U/115FF7", "URI that no pattern"),
        ("urn:catalog:NHMUK:1", "URI that no pattern"),
        ("K/1234", "a slash"),
        ("..", "a slash"),
        ("9" * 201, "longer than the 200"),
        ("1\N{SYMBOL FOR NULL}2", "no text"),
    ],
)
def test_what_is_no_barcode_is_returned_with_the_reason(code: str, why: str) -> None:
    named = name_specimens([code, "NHMD-1"], (), "Plants")
    assert named.barcodes == ("NHMD-1",)
    assert why in named.unknown[code]


@pytest.mark.parametrize("code", ["NHMD\n1", "\x1d0112\x1d21X", "Ærø 7", "標本-1", "NHMD-1\r\n"])
def test_a_code_is_kept_as_it_was_read(code: str) -> None:
    assert name_specimens([code], uri_patterns(MFN), "Plants").barcodes == (code,)


@pytest.mark.parametrize(
    ("pattern", "why"),
    [
        ("'http://x/.*'", "has 0 groups in round brackets"),
        ("'http://(x)/(.*)'", "has 2 groups in round brackets"),
        ("'http://('", "is no pattern"),
        ("7", "is no pattern: write it as text"),
        ("{Plants: {a: b}}", "is a mapping within a mapping"),
        ("'http://((?:a+)+)$'", "repeats a group"),
    ],
)
def test_a_pattern_that_cannot_be_used_is_refused_with_its_line(pattern: str, why: str) -> None:
    text = f"""pipeline: P
stages:
  - {{key: ingest, run: refinery.ingest}}
  - key: barcode
    run: module barcode
    params: {{patterns: {{uri: {pattern}}}}}
"""
    with pytest.raises(PipelineError, match=r"params\.patterns\.uri") as refused:
        load_pipelines(text, "p.yaml", names())
    assert why in str(refused.value)
    assert "p.yaml, line 6" in str(refused.value)


def test_a_script_may_have_patterns_for_its_codes() -> None:
    stage = f"{{key: barcode, run: 'read.sh {{guid}}', params: {{patterns: {{uri: '{MFN}'}}}}}}"
    (made,) = load_pipelines(f"pipeline: P\nstages: [{stage}]", "p.yaml", names())
    assert made.stages[0].params["patterns"] == {"uri": MFN}


def test_a_long_code_is_not_tried_on_a_slow_pattern() -> None:
    began = time.process_time()
    name_specimens(["http://" + "a" * 100_000], uri_patterns(r"http://(a*a*a*a*)!"), "Plants")
    assert time.process_time() - began < 1
