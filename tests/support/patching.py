"""Replacing what one module sees of another, and nothing that others see."""

from types import ModuleType, SimpleNamespace
from typing import Any

import pytest


def seen_by(patch: pytest.MonkeyPatch, module: ModuleType, name: str, **changed: Any) -> None:
    """Let `module` see another module, imported under `name`, with some of it changed.

    A clock changed in `time` itself is changed for the whole process: a server's thread that
    slept meanwhile slept on for hours.
    """
    patch.setattr(module, name, SimpleNamespace(**(vars(getattr(module, name)) | changed)))
