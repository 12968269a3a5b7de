"""What a test needs of the machine: where it is missing the test is skipped, but never in CI."""

import os

import pytest


def need(there: bool, missing: str) -> None:
    """Skip the test that asks unless something is there; `missing` says what to install.

    In CI it fails: a suite that quietly leaves something out proves nothing of it.
    """
    if there:
        return
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
