"""Whether the modules of a pipeline will be able to read an image, asked before it is let in.

It is their own code that answers, so that what ingest lets in no later stage refuses for its
kind. A pipeline that only archives takes any kind.
"""

import importlib.util
from pathlib import Path

from hpc.runner import registry
from hpc.runner.errors import BadInput, Transient, WrongKind
from hpc.runner.imaging.pages import picture_of
from tasks.errors import DeviceFault, named
from tasks.files.images import INSPECTING, BrokenImage
from tasks.files.threads import Stop

LOOKS_WITH = "pyvips"
"""The library of every module that looks at an image."""


def modules_that_look() -> list[str]:
    """The names of our modules that read an asset's image."""
    return [name for name in registry.names() if LOOKS_WITH in registry.load(name).needs]


async def look_as_modules(path: Path, stages: list[str]) -> list[str]:
    """What `stages` would warn of; without any, of damage only.

    Raises BrokenImage for a kind that they do not read, or a part that is missing; another
    FileError when the file itself cannot be reached.
    """
    return await INSPECTING.run(_look, path, stages)


def _look(_: Stop, path: Path, stages: list[str]) -> list[str]:
    try:
        return _remarks(path)
    except WrongKind as error:
        if not stages:
            return []
        reason, remedy = _parted(path, error)
        raise BrokenImage(path, f"{reason} (needed by {', '.join(stages)})", remedy) from error
    except BadInput as error:
        raise BrokenImage(path, *_parted(path, error)) from error
    except Transient as error:
        raise DeviceFault(path, str(error)) from error
    except OSError as error:
        raise named(error, path, reading=True) from error


def _remarks(path: Path) -> list[str]:
    if importlib.util.find_spec(LOOKS_WITH) is None:
        picture_of(path)  # a server without libvips judges the kind alone
        return []
    from hpc.runner.imaging.integrity import check_integrity

    # Zeros at the end of the pixels are ingest's own question, which a person may answer.
    return check_integrity(path, accept_black=True)


def _parted(path: Path, error: BadInput) -> tuple[str, str]:
    """Reason and remedy of a module's words, which name the file first."""
    reason, _, remedy = str(error).removeprefix(f"{path.name}: ").rpartition("; ")
    return reason, remedy
