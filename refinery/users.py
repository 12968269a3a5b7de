"""`refinery user`: who may log in to the board, and who may upload from which workstation."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blocks.access.users import LocalUser, Role, UsersFile
    from refinery.settings import Settings

app = typer.Typer(no_args_is_help=True, help="Say who may log in, as what, and upload where.")

Name = Annotated[str, typer.Argument(help="the name they log in with; the history shows it")]
ROLES = "reader (sees everything) or operator (may also act)"
WORKSTATIONS = "a workstation into whose folder they may upload; `*`: every one"


def here() -> "Settings":
    """The settings of the project in the current folder."""
    from refinery.settings import Settings

    return Settings.load(Path.cwd())


def users_file() -> "UsersFile":
    """The users of the project in the current folder."""
    from blocks.access.users import UsersFile

    return UsersFile(here().users_file)


@app.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help=ROLES)] = "reader",
    workstation: Annotated[
        list[str] | None, typer.Option(help=f"{WORKSTATIONS}; may be repeated")
    ] = None,
) -> None:
    """Add a user; asks for the password, or reads it as one line of standard input."""
    from blocks.access.passwords import Passwords
    from blocks.access.users import CannotChangeUser, LocalUser, account, user_name

    file, name, wanted = users_file(), user_name(name), role_named(role)
    targets = targets_named(workstation or [])
    if account(name) in file.read():
        raise CannotChangeUser(f"{name} is a user already; `refinery user password` changes one")
    hashed = Passwords().hashed(asked_password(name))
    user = LocalUser(name=name, role=wanted, password=hashed, workstations=targets)
    file.add(user)
    typer.echo(f"{name} may log in as {wanted}")
    if targets:
        typer.echo(uploads(user))


@app.command()
def remove(name: Name) -> None:
    """Remove a user; whoever is logged in by that name is out at once."""
    typer.echo(f"{users_file().remove(name).name} may log in no more")


@app.command()
def password(name: Name) -> None:
    """Give a user a new password; every login with the old one ends."""
    from blocks.access.passwords import Passwords
    from blocks.access.users import CannotChangeUser

    file = users_file()
    if file.find(name) is None:
        raise CannotChangeUser(f"there is no user {name!r}; `refinery user list` shows all")
    hashed = Passwords().hashed(asked_password(name))
    user = file.change(name, lambda user: user.model_copy(update={"password": hashed}))
    typer.echo(f"{user.name} has a new password")


@app.command()
def role(name: Name, role: Annotated[str, typer.Argument(help=ROLES)]) -> None:
    """Give a user another role; it counts at once."""
    wanted = role_named(role)
    user = users_file().change(name, lambda user: user.model_copy(update={"role": wanted}))
    typer.echo(f"{user.name} is {user.role}")


@app.command()
def workstations(
    name: Name,
    workstation: Annotated[
        list[str] | None, typer.Argument(help=f"{WORKSTATIONS}; omitted: show them")
    ] = None,
    none: Annotated[bool, typer.Option("--none", help="let them upload nowhere")] = False,
) -> None:
    """Say into which workstations' folders a user may upload, instead of those before."""
    from blocks.access.users import CannotChangeUser

    file, targets = users_file(), targets_named(workstation or [])
    if targets and none:
        raise CannotChangeUser("write either workstations or --none")
    if targets or none:
        change = {"workstations": targets}
        user: LocalUser | None = file.change(name, lambda user: user.model_copy(update=change))
    else:
        user = file.find(name)
    if user is None:
        raise CannotChangeUser(f"there is no user {name!r}; `refinery user list` shows all")
    typer.echo(uploads(user))


@app.command("list")
def list_users() -> None:
    """Show who may log in."""
    from rich.console import Console
    from rich.table import Table

    file = users_file()
    table = Table("name", "role", "workstations", "", box=None)
    for user in file.read().values():
        out = "disabled" if user.disabled else ""
        table.add_row(user.name, user.role, ", ".join(user.workstations), out)
    if table.row_count:
        Console(highlight=False, markup=False).print(table)
    else:
        typer.echo(f"nobody in {file.path}: `refinery user add NAME --role operator` adds one")


def role_named(text: str) -> "Role":
    """The role of that name. Raises ValueError with those there are."""
    from blocks.access.users import Role

    try:
        return Role(text)
    except ValueError:
        raise ValueError(f"role: there is no {text!r}; write {' or '.join(Role)}") from None


def targets_named(names: list[str]) -> tuple[str, ...]:
    """Workstations that there are, each once.

    Raises ValueError for a name that cannot be a folder's, or is no workstation's.
    """
    from refinery.offered import known_workstation
    from schemas.digitisation import upload_target

    settings = here()
    safe = [upload_target(name) for name in dict.fromkeys(names)]
    return tuple(known_workstation(settings, name) for name in safe)


def uploads(user: "LocalUser") -> str:
    """Where a user may upload, in a line."""
    from schemas.digitisation import ANY_WORKSTATION

    if ANY_WORKSTATION in user.workstations:
        return f"{user.name} may upload from every workstation"
    return f"{user.name} may upload from {', '.join(user.workstations) or 'no workstation'}"


def asked_password(name: str) -> str:
    """A new password, asked for twice, or one line of standard input. Raises UnfitPassword."""
    from blocks.access.passwords import check_new_password

    if sys.stdin.isatty():
        new: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        new = sys.stdin.readline().rstrip("\r\n")
    check_new_password(new, name)
    return new
