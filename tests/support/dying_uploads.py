"""The upload API in a process of its own that kills itself, as `kill -9` would, at a named moment.

`python -m tests.support.dying_uploads SPEC PORT MOMENT` where SPEC is a JSON file with `database`
and `folder`; without a moment it lives. Its own process is the one thing that ends.
"""

import json
import sys
from pathlib import Path
from typing import Any

import uvicorn

from api.workstations import ending, folders, receiving, stored
from api.workstations.app import create_app
from api.workstations.receiving import ArrivingFile
from refinery.addresses import LOOPBACK
from tests.support.dying import after, die
from tests.support.workstations import station_config
from track.records import uploads

FILE_MOMENTS = ("begun", "half", "arrived", "summed", "named", "stored", "confirmed")
END_MOMENTS = ("marked", "renamed", "completed")


def after_awaited(module: Any, name: str) -> None:
    """The same of one that is awaited: its transaction is committed by then."""
    real = getattr(module, name)

    async def dying(*given: Any, **named: Any) -> Any:
        await real(*given, **named)
        die()

    setattr(module, name, dying)


def arm(moment: str) -> None:
    """Have this process die at a moment."""
    match moment:
        case "begun":  # its row is there, and no folder
            folders.Drive.prepare = die  # type: ignore[assignment, method-assign]
        case "half":  # a MB has come
            after(ArrivingFile, "append")
        case "arrived":  # all is in the part, and nobody has looked at it
            receiving.ArrivingFile.finish = die  # type: ignore[assignment, method-assign]
        case "summed":  # it is right, and has no name
            uploads.store = die  # type: ignore[assignment]
        case "named":  # it has its name, and its row does not know
            after(stored, "put_in_place")
        case "stored":  # its row knows, and the client was not told
            after_awaited(stored, "store")
            from api.workstations import tus

            tus.store = stored.store
        case "confirmed":
            from api.workstations import tus

            after_awaited(tus, "confirmed")
        case "removed":  # it is taken back, and its row does not know
            after(stored, "_remove")
        case "marked":  # the folder says it is complete, under its name of before
            folders.Path.rename = die  # type: ignore[attr-defined]
        case "renamed":  # the watch may see it, and its row does not know
            after(ending, "complete")
        case "completed":  # its row knows, and the client was not told
            from api.workstations import sessions

            after_awaited(sessions, "complete_session")
        case "":
            pass
        case _:
            raise ValueError(moment)


def main() -> None:
    """Serve until it dies."""
    spec_file, port, moment = sys.argv[1:]
    serve(spec_file, int(port), moment)


def serve(spec_file: str, port: int, moment: str) -> None:
    """The same from within Python."""
    spec = json.loads(Path(spec_file).read_text(encoding="utf-8"))
    arm(moment)
    app = create_app(station_config(spec["database"], Path(spec["folder"])))
    uvicorn.run(app, host=LOOPBACK, port=port, log_level="warning")


if __name__ == "__main__":
    main()
