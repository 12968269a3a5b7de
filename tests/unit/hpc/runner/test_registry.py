"""The modules are the files that are there."""

import importlib
import re
import sys
import textwrap
from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from hpc.runner import modules, registry
from hpc.runner.errors import BadInput, NotPrepared
from hpc.runner.job import Result, result
from schemas.pipeline.run import Run


def test_every_file_is_a_module_under_its_own_name() -> None:
    names = registry.names()
    assert {"load", "barcode", "ocr", "crop", "derive", "upload", "clean"} <= set(names)
    for name in names:
        module = registry.load(name)
        assert module.name == name
        assert module.missing == []
        assert set(module.gives) <= set(Result.__annotations__)


def test_a_pipeline_may_run_every_module_that_is_there_and_no_other() -> None:
    for name in registry.names():
        known = {"modules": registry.names()}
        assert Run.model_validate(f"module {name}", context=known).text == f"module {name}"
    with pytest.raises(ValidationError, match="no module 'module barcod'"):
        Run.model_validate("module barcod", context=known)


def test_a_parameter_that_a_module_does_not_take_is_refused_with_the_nearest(make_job) -> None:
    crop, clean = registry.load("crop"), registry.load("clean")
    with pytest.raises(BadInput, match=r"params\.min_confidense.*did you mean 'min_confidence'"):
        crop.result(make_job(min_confidense=0.5))
    with pytest.raises(BadInput, match=r"params\.force: module clean.*takes none"):
        clean.result(make_job(force=True))


def test_a_field_that_a_module_does_not_declare_is_its_fault(make_job) -> None:
    made = registry.Module("odd", (), (), ("details",), lambda _job: result(metadata={"x": 1}))
    with pytest.raises(TypeError, match=r"odd fills 'metadata'.*GIVES"):
        made.result(make_job())
    plain = registry.Module("odd", (), (), ("details",), lambda _job: result(warnings=["hm"]))
    assert plain.result(make_job())["warning"] == "hm"


def test_an_unknown_module_gets_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="did you mean 'barcode'"):
        registry.load("barcodes")


def test_a_missing_library_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpc.runner.modules.crop.NEEDS", ("numpy", "no_such_library"))
    with pytest.raises(NotPrepared, match=r"lacks no_such_library.*operate/prepare-site"):
        registry.load_prepared("crop")


def test_the_module_that_the_manual_writes_is_one(
    make_job, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    manual = (Path(__file__).parents[4] / "docs/modules.md").read_text(encoding="utf-8")
    file, test = map(textwrap.dedent, re.findall(r"```python\n(.*?)```", manual, re.DOTALL)[:2])
    (tmp_path / "measure.py").write_text(file, encoding="utf-8")
    monkeypatch.setattr(modules, "__path__", [*modules.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    try:
        assert "measure" in registry.names()
        job = make_job("sheet.tif", Image.new("RGB", (30, 40)).save)
        assert registry.load_prepared("measure").result(job)["details"] == {"height_px": 40}
        tested: dict[str, object] = {}
        exec(test, tested)
        tested["test_a_sheet_is_measured"](make_job)
    finally:
        sys.modules.pop("hpc.runner.modules.measure", None)
        vars(modules).pop("measure", None)
