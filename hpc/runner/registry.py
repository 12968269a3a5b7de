"""The modules this runner knows: one file each under `modules/`, found by being there.

Such a file declares NAME, NEEDS (import names beyond the standard library), TAKES (the
parameters it understands), GIVES (the fields of a Result it fills) and `run(job) -> Result`.
It imports what it needs inside `run`, so that a site lacking a library can still say which.
What a run does not need is not imported: each job starts a Python of its own.
"""

import importlib
import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from hpc.runner import modules
from hpc.runner.errors import BadInput, NotPrepared
from hpc.runner.job import Job, Result

ALWAYS = frozenset({"warning", "usage"})
"""Fields of a Result that any module may fill, and the runner does."""


class Module(NamedTuple):
    """A module, imported. `missing` are the libraries of `needs` this Python lacks."""

    name: str
    needs: tuple[str, ...]
    takes: tuple[str, ...]
    gives: tuple[str, ...]
    run: Callable[[Job], Result]

    @property
    def missing(self) -> list[str]:
        from importlib.util import find_spec

        return [name for name in self.needs if find_spec(name) is None]

    def result(self, job: Job) -> Result:
        """What `run` gives, held to what the file declares.

        Raises BadInput for a parameter the module does not take, TypeError for a field it
        does not declare, and what `run` raises.
        """
        for param in job.params:
            if param not in self.takes:
                hint = _hint(param, self.takes, f"it takes {', '.join(self.takes) or 'none'}")
                raise BadInput(f"params.{param}: module {self.name} has no such parameter; {hint}")
        found = self.run(job)
        for name, value in found.items():
            if value and name not in ALWAYS and name not in self.gives:
                raise TypeError(f"{self.name} fills {name!r} of its result; its GIVES lacks it")
        return found


def names() -> list[str]:
    """Every module's name, sorted."""
    import pkgutil

    return sorted(found.name for found in pkgutil.iter_modules(modules.__path__))


def load(name: str) -> Module:
    """The module called `name`. Raises BadInput when there is none."""
    file = _file(name)
    if file is None:
        known = names()
        hint = _hint(name, known, f"there are {', '.join(known)}")
        raise BadInput(f"there is no module {name!r}; {hint}")
    return Module(file.NAME, file.NEEDS, file.TAKES, file.GIVES, file.run)


def _file(name: str) -> Any:
    """The file of that module, imported; None when there is none."""
    if not name.isidentifier() or name.startswith("_"):
        return None
    path = f"{modules.__name__}.{name}"
    try:
        return importlib.import_module(path)
    except ModuleNotFoundError as error:
        if error.name != path:
            raise
        return None


def _hint(wrong: str, known: Sequence[str], otherwise: str) -> str:
    import difflib

    near = difflib.get_close_matches(wrong, known, 1)
    return f"did you mean {near[0]!r}?" if near else otherwise


def load_prepared(name: str) -> Module:
    """As `load`, and raises NotPrepared when a library it needs is not there."""
    module = load(name)
    if module.missing:
        raise NotPrepared(
            f"{sys.executable} lacks {', '.join(module.missing)}, which module {name} needs: "
            "prepare the site again (operate/prepare-site)"
        )
    return module
