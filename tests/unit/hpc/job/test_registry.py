"""The modules are the files that are there."""

import pytest

from hpc.job import registry
from hpc.job.errors import BadInput, NotPrepared


def test_every_file_is_a_module_under_its_own_name() -> None:
    names = registry.names()
    assert {"load", "barcode", "ocr", "crop", "derive", "upload", "clean"} <= set(names)
    for name in names:
        module = registry.load(name)
        assert module.name == name
        assert module.missing == []


def test_an_unknown_module_gets_the_nearest_name() -> None:
    with pytest.raises(BadInput, match="did you mean 'barcode'"):
        registry.load("barcodes")


def test_a_missing_library_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hpc.job.modules.crop.NEEDS", ("numpy", "no_such_library"))
    with pytest.raises(NotPrepared, match=r"lacks no_such_library.*operate/prepare-site"):
        registry.load_prepared("crop")
