"""The `refinery` command. Every command imports what it needs when it runs, so that asking
for help is quick and the workstation's small install can do it too.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from refinery import users
from schemas.proxies import proxies, unproxied
from workstation.command import ingest

if TYPE_CHECKING:
    from refinery.settings import Settings

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Specimen Refinery: from the camera to the archive and the cluster, and back.",
)
app.add_typer(users.app, name="user")
app.command()(ingest)


ON_TO_ANOTHER = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
"""Of a command that has its own command line read elsewhere, help and all."""


def main() -> None:
    """The console script: errors that a person can correct are shown without a traceback."""
    guarded(app)


def guarded(command: Callable[[], object]) -> None:
    """Run a command: its errors are one line on stderr and exit code 1."""
    if proxies(os.environ):
        os.environ.update(unproxied(os.environ))
    try:
        command()
    except (RuntimeError, ValueError, OSError) as error:
        say(str(error), error=True)
        sys.exit(1)


def say(text: str, *, error: bool = False) -> None:
    """Print one line for a person, errors to stderr."""
    typer.secho(text, err=error, fg=typer.colors.RED if error else None)


def here() -> "Settings":
    """The settings of the project in the current folder."""
    from refinery.settings import Settings

    return Settings.load(Path.cwd())


@app.command()
def up(
    detach: Annotated[
        bool, typer.Option("--detach", help="Return once it is ready; 'refinery stop' ends it.")
    ] = False,
) -> None:
    """Start everything on this host and keep it alive until Ctrl-C."""
    from refinery.addresses import Addresses, resolve
    from refinery.local import lifecycle

    settings = here()

    async def serve(addresses: Addresses) -> None:
        say(
            f"ready. Board: {addresses.board}  Prefect: {addresses.prefect}  "
            f"N-Drive: {settings.n_drive}"
        )
        await lifecycle.for_ever(addresses)

    if detach:
        now = lifecycle.detach(settings, say)
        addresses = resolve(settings, now.ports)
        say(f"ready. Board: {addresses.board}  Prefect: {addresses.prefect}")
    else:
        lifecycle.up(settings, say, serve)


@app.command()
def stop() -> None:
    """Stop what `refinery up` started here."""
    from refinery.local import lifecycle

    say("stopped" if lifecycle.stop(here(), say) else "nothing was running")


@app.command()
def watch() -> None:
    """Watch the N-Drive for sessions (part of `up`)."""
    from refinery import services

    settings = here()
    services.until_stopped(services.watch(settings), settings.log_format)


@app.command()
def sites() -> None:
    """Drive the sites that run modules (part of `up`)."""
    from refinery import services

    settings = here()
    services.until_stopped(services.sites(settings), settings.log_format)


@app.command()
def api(
    which: Annotated[
        str, typer.Argument(help="which: clusters, workstations or board")
    ] = "clusters",
) -> None:
    """Serve the clusters' API or the board (part of `up`)."""
    from refinery import services

    services.api(here(), which)


@app.command()
def doctor() -> None:
    """Look whether everything is as it should be; says what to do about what is not."""
    from refinery.doctor import examine, show

    findings = examine(here())
    show(findings)
    raise typer.Exit(0 if all(finding.well for finding in findings) else 1)


@app.command("alarm-test")
def alarm_test() -> None:
    """Send a message to everybody who is told of alarms, and say what each address answered."""
    from refinery.alarm_test import send_test

    sent = send_test(here())
    for each in sent:
        say(f"{each.shown}: {each.answer}", error=not each.taken)
    raise typer.Exit(0 if all(each.taken for each in sent) else 1)


@app.command("env")
def environment() -> None:
    """Print what a shell needs for Prefect's own command: eval "$(refinery env)"."""
    import shlex

    from refinery.addresses import of_running

    addresses = of_running(here())
    say(f"export PREFECT_API_URL={shlex.quote(addresses.prefect_api)}")
    say(f"export PREFECT_API_AUTH_STRING={shlex.quote(addresses.prefect_login)}")


@app.command()
def agents() -> None:
    """Show each site's queue, and the agents that take work where nobody here can reach."""
    from refinery.agents import show

    show(here())


@app.command()
def why(
    what: Annotated[
        str, typer.Argument(help="a guid or a session's id; omitted: all that stands still")
    ] = "",
) -> None:
    """Say why a specimen, a session, or anything at all does not move."""
    from refinery.why import show

    show(here(), what)


@app.command(context_settings=ON_TO_ANOTHER)
def operate(context: typer.Context) -> None:
    """Do what an operator may do: `refinery operate --help` lists the verbs."""
    from refinery import operate as verbs

    verbs.operate(here(), context.args)


@app.command()
def report(
    what: Annotated[str, typer.Argument(help="a day (2026-11-28), a month (2026-11), a session")],
    form: Annotated[
        Literal["table", "json", "csv"], typer.Option("--format", help="how it is written")
    ] = "table",
) -> None:
    """Say what was received, archived and processed, what waits, and what stages took."""
    from refinery.report import show

    show(here(), what, form)


Form = Annotated[
    Literal["table", "json", "csv"], typer.Option("--format", help="how it is written")
]


@app.command()
def find(
    q: Annotated[
        str, typer.Argument(help="a barcode, a guid, a part of a number, a name, or words")
    ] = "",
    barcode: Annotated[str, typer.Option(help="a whole barcode")] = "",
    guid: Annotated[str, typer.Option(help="how a guid begins")] = "",
    number: Annotated[str, typer.Option(help="any part of a barcode or catalogue number")] = "",
    words: Annotated[str, typer.Option(help="words of a label, a taxon, a note")] = "",
    collection: Annotated[str, typer.Option(help="how its name begins")] = "",
    digitiser: Annotated[str, typer.Option(help="how the name begins")] = "",
    workstation: Annotated[str, typer.Option(help="how its name begins")] = "",
    pipeline: Annotated[str, typer.Option(help="how its name begins")] = "",
    state: Annotated[str, typer.Option(help="finalised, underway, person, quarantined, …")] = "",
    came_from: Annotated[str, typer.Option(help="registered on that day or later")] = "",
    came_to: Annotated[str, typer.Option(help="registered on that day or before")] = "",
    taken_from: Annotated[str, typer.Option(help="photographed on that day or later")] = "",
    taken_to: Annotated[str, typer.Option(help="photographed on that day or before")] = "",
    order: Annotated[str, typer.Option(help="newest or oldest first")] = "newest",
    every: Annotated[bool, typer.Option("--all", help="every one, written as found")] = False,
    form: Form = "table",
) -> None:
    """Find specimens by what is known of them: all of what is given must fit."""
    from refinery.find import show_found

    names = (
        "q", "barcode", "guid", "number", "words", "collection", "digitiser", "workstation",
        "pipeline", "state", "came_from", "came_to", "taken_from", "taken_to", "order",
    )  # fmt: skip
    given = locals()
    show_found(here(), {name: given[name] for name in names}, form, every=every)


@app.command()
def show(
    guid: Annotated[str, typer.Argument(help="a specimen's or a derivative's guid")],
    form: Form = "table",
) -> None:
    """Show all about one specimen: its state, stages, files and copies."""
    from refinery.find import show_life

    show_life(here(), guid, form)


@app.command()
def register(
    folder: Annotated[Path, typer.Argument(help="a session's folder on the N-Drive")],
    by: Annotated[
        str, typer.Option(help="who asks; recorded in the history")
    ] = "refinery register",
) -> None:
    """Open the session of a folder now, without waiting until it is complete."""
    import asyncio

    from refinery import services

    say(asyncio.run(services.register(here(), folder.absolute(), by)))


@app.command()
def migrate() -> None:
    """Bring the database's tables, pipelines and sites up to date."""
    from refinery import services

    changed = services.migrate(here())
    say(f"up to date; changed pipelines: {', '.join(changed) or 'none'}")


@app.command("import-dassco")
def import_dassco(
    folder: Annotated[Path, typer.Argument(help="a DaSSCo server's IntegrationServer/ConfigFiles")],
    out: Annotated[
        Path, typer.Option(help="where pipelines, sites, settings and the report are written")
    ] = Path("deployments/imported"),
    force: Annotated[bool, typer.Option("--force", help="write over what is there")] = False,
) -> None:
    """Turn a DaSSCo Integration Server's configuration into one of ours."""
    from refinery.dassco.convert import import_dassco as moved_in

    project_dir = Path.cwd()
    say(moved_in(folder, project_dir, project_dir / out, force=force))
    say(f"written to {out}")


@app.command("pack-agent")
def pack_agent(
    folder: Annotated[Path, typer.Argument(help="where the file is written")] = Path(),
) -> None:
    """Write the agent, one file for a machine that takes work where we cannot reach."""
    from hpc.archives import build_agent

    say(str(build_agent(folder)))


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def psql(
    context: typer.Context,
    database: Annotated[str, typer.Option(help="refinery, prefect or ars")] = "refinery",
) -> None:
    """Open the embedded database; further arguments go to psql."""
    from refinery.local.consoles import open_psql

    open_psql(here(), database, context.args)


@app.command()
def logs(
    name: Annotated[str, typer.Argument(help="a service; omitted: all of them")] = "",
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on as they grow")] = False,
) -> None:
    """Show what the services wrote."""
    from refinery.local.consoles import show_logs

    show_logs(here(), name, follow=follow)


@app.command()
def backup(
    folder: Annotated[
        Path | None, typer.Argument(help="a new folder; omitted: one by date")
    ] = None,
) -> None:
    """Save the embedded databases, also while everything runs."""
    from refinery.local.backup import save

    say(f"saved in {save(here(), folder)}")


@app.command()
def restore(folder: Annotated[Path, typer.Argument(help="a folder that backup made")]) -> None:
    """Replace the embedded databases by saved ones; the system must be stopped."""
    from refinery.local import backup
    from tasks.errors import FileError
    from tasks.intake.unknown_folders import remedy

    settings = here()
    backup.restore(settings, folder)
    try:
        if forgotten := backup.forgotten_folders(settings, folder):
            say(remedy(forgotten))
    except (OSError, FileError) as error:
        say(f"whether folders were closed after the backup cannot be seen: {error}", error=True)
    say("restored; start it with 'refinery up'")


@app.command("restore-records")
def restore_records(
    folders: Annotated[list[Path], typer.Argument(help="folders that `refinery why GUID` names")],
) -> None:
    """Put records that left the database back into it, also while everything runs."""
    from refinery.old_records import put_back

    settings = here()
    for folder in folders:
        say(put_back(settings, folder))


@app.command()
def forget(
    yes: Annotated[bool, typer.Option("--yes", help="really remove databases and files")] = False,
) -> None:
    """Remove everything the system keeps in its state folder, databases included."""
    from refinery.local import lifecycle

    say(lifecycle.forget(here(), really=yes))


@app.command(context_settings=ON_TO_ANOTHER)
def demo(context: typer.Context) -> None:
    """Send a small sample session down the whole road and show how it fares."""
    _become_demo("demo", context.args)


@app.command(context_settings=ON_TO_ANOTHER)
def campaign(context: typer.Context) -> None:
    """Send sample sessions while processes are killed and the archive fails; count losses."""
    _become_demo("campaign", context.args)


@app.command(context_settings=ON_TO_ANOTHER)
def ars(context: typer.Context) -> None:
    """Serve the stand-in of ARS (part of `up` when no ARS is configured)."""
    _become_demo("ars", context.args)


def _become_demo(command: str, arguments: list[str]) -> None:
    """Become that command of `python -m demo`, which nothing here imports."""
    os.execv(sys.executable, [sys.executable, "-m", "demo", command, *arguments])


if __name__ == "__main__":
    main()
