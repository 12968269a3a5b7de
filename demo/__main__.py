"""What is there to try the refinery with, each a command: `python -m demo --help`.

`refinery demo`, `refinery campaign` and `refinery ars` start these; nothing of the production
imports this package.
"""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from refinery.cli import guarded, here, say
from refinery.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="A sample session, a campaign of faults, and a stand-in of ARS.",
)


@app.command()
def demo(
    once: Annotated[
        bool, typer.Option("--once", help="Stop everything afterwards; 0 only if all went well.")
    ] = False,
    session: Annotated[
        Path | None, typer.Option(help="a folder of your own to send instead of the sample")
    ] = None,
    site: Annotated[
        str, typer.Option(help="run modules at this site only: one of yours, slurm, agents or pull")
    ] = "",
    origin: Annotated[
        str,
        typer.Option("--from", help="workstation: begin where a camera leaves its files"),
    ] = "",
) -> None:
    """Send a small sample session down the whole road and show how it fares."""
    from demo.run import run

    if origin not in ("", "workstation"):
        raise typer.BadParameter("there is only `workstation`", param_hint="--from")
    if origin and session:
        text = "a workstation sends its own sample; leave one of the two out"
        raise typer.BadParameter(text, param_hint="--session")
    from_workstation = bool(origin)
    raise typer.Exit(
        run(here(), say, once=once, session=session, site=site, from_workstation=from_workstation)
    )


@app.command()
def campaign(
    rounds: Annotated[int, typer.Option(min=1, help="how often the sample session is sent")] = 3,
    seed: Annotated[int | None, typer.Option(help="draw the faults from this number again")] = None,
) -> None:
    """Send sample sessions while processes are killed and the archive fails; count losses."""
    from demo.campaign import run

    raise typer.Exit(run(Path.cwd(), say, rounds=rounds, seed=seed))


@app.command()
def ars(
    profile: Annotated[
        str, typer.Option(help="which ARS it is, v2_11 or v2_6; omitted: ars_profile")
    ] = "",
    role: Annotated[
        list[str] | None,
        typer.Option(help="a realm role of our client there; may be repeated; omitted: ars_roles"),
    ] = None,
) -> None:
    """Serve the stand-in of ARS (part of `up` when no ARS is configured)."""
    from demo.ars.app import serve_here

    chosen = {"REFINERY_ARS_PROFILE": profile, "REFINERY_ARS_ROLES": ",".join(role or ())}
    given = {name: value for name, value in chosen.items() if value}
    serve_here(Settings.load(Path.cwd(), os.environ | given))


if __name__ == "__main__":
    guarded(partial(app, prog_name="refinery"))  # as its reader has called it
