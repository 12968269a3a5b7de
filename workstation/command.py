"""`refinery ingest`: its command line and its exit codes."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

if TYPE_CHECKING:
    from workstation.ingest.report import IngestReport

DELETE_AFTER = "when files are deleted here: once the server, or once the archive has them"


def ingest(
    folder: Annotated[
        Path | None, typer.Argument(help="the folder of one finished session")
    ] = None,
    server: Annotated[str, typer.Option(help="address of the server; kept for next time")] = "",
    user: Annotated[str, typer.Option(help="the name you log in with; kept for next time")] = "",
    workstation: Annotated[str, typer.Option(help="whose session it is")] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="show what would be done, change nothing")
    ] = False,
    yes: Annotated[
        bool,
        typer.Option("--yes", help="ask nothing; raws that are not uploaded ARE deleted"),
    ] = False,
    without_failed: Annotated[
        bool,
        typer.Option("--without-failed", help="end the session without what stays wrong"),
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="delete nothing here")] = False,
    upload_raw: Annotated[
        bool | None,
        typer.Option("--upload-raw/--no-upload-raw", help="whether raws are sent, too"),
    ] = None,
    raw_required: Annotated[
        bool,
        typer.Option("--raw-required/--raw-optional", help="whether each image needs its raw"),
    ] = True,
    delete_after: Annotated[
        Literal["confirmed", "archived"] | None, typer.Option(help=DELETE_AFTER)
    ] = None,
    at_once: Annotated[int, typer.Option(min=1, max=16, help="files sent at a time")] = 3,
    institution: Annotated[str | None, typer.Option()] = None,
    collection: Annotated[str | None, typer.Option()] = None,
    preparation_type: Annotated[str | None, typer.Option()] = None,
    pipeline: Annotated[str | None, typer.Option()] = None,
    payload_type: Annotated[str | None, typer.Option()] = None,
    funding: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    digitiser: Annotated[str | None, typer.Option(help="who photographed")] = None,
    other_digitiser: Annotated[list[str] | None, typer.Option(help="may be repeated")] = None,
    clean: Annotated[
        bool, typer.Option("--clean", help="delete what the archive has by now, of all sessions")
    ] = False,
    sessions: Annotated[
        bool, typer.Option("--sessions", help="show where the workstation's sessions are")
    ] = False,
    page: Annotated[
        bool, typer.Option("--page", help="do all of it on a page in the browser instead")
    ] = False,
) -> None:
    """Send a session's folder to the server, and delete it here once it is confirmed.

    Ends with 0: done; 1: there are problems; 2: something is missing on the command line;
    75: not complete yet, run the same again. Killed at any point, the next run goes on.
    """
    from workstation.places import usual_places
    from workstation.terminal.choosing import GivenChoices
    from workstation.terminal.ending import exit_code
    from workstation.terminal.terminal import GivenOptions, Terminal

    if page and (folder is not None or clean or sessions):
        raise typer.BadParameter("the folder is chosen on the page", param_hint="--page")
    if folder is None and not clean and not sessions and not page:
        raise typer.BadParameter("name the folder of a finished session", param_hint="FOLDER")
    given = GivenOptions(
        server=server,
        user=user,
        workstation=workstation,
        dry_run=dry_run,
        yes=yes,
        keep=keep,
        without_failed=without_failed,
        upload_raw=upload_raw,
        delete_after=delete_after,
        raw_required=raw_required,
        at_once=at_once,
    )
    chosen = GivenChoices(
        institution=institution,
        collection=collection,
        preparation_type=preparation_type,
        pipeline=pipeline,
        funding=None if funding is None else tuple(funding),
        digitiser=digitiser,
        other_digitisers=None if other_digitiser is None else tuple(other_digitiser),
        payload_type=payload_type,
    )

    places = usual_places()

    def work() -> "list[IngestReport]":
        if page:
            from workstation.page.serve import open_page

            open_page(places, server, typer.echo)
            return []
        terminal = Terminal(places, given)
        if sessions:
            terminal.sessions()
        if clean:
            return terminal.clean()
        done = terminal.ingest(folder, chosen) if folder is not None else None
        return [] if done is None else [done]

    raise typer.Exit(exit_code(work, places))
