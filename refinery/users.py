"""`refinery user`: who may log in to the board."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from blocks.access.users import Role, UsersFile

app = typer.Typer(no_args_is_help=True, help="Say who may log in to the board, and as what.")

Name = Annotated[str, typer.Argument(help="the name they log in with; the history shows it")]
ROLES = "reader (sees everything) or operator (may also act)"


def users_file() -> "UsersFile":
    """The users of the project in the current folder."""
    from blocks.access.users import UsersFile
    from refinery.settings import Settings

    return UsersFile(Settings.load(Path.cwd()).users_file)


@app.command()
def add(
    name: Name,
    role: Annotated[str, typer.Option(help=ROLES)] = "reader",
) -> None:
    """Add a user; asks for the password, or reads it as one line of standard input."""
    from blocks.access.passwords import Passwords
    from blocks.access.users import CannotChangeUser, LocalUser, account, user_name

    file, name, wanted = users_file(), user_name(name), role_named(role)
    if account(name) in file.read():
        raise CannotChangeUser(f"{name} is a user already; `refinery user password` changes one")
    hashed = Passwords().hashed(asked_password(name))
    file.add(LocalUser(name=name, role=wanted, password=hashed))
    typer.echo(f"{name} may log in as {wanted}")


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


@app.command("list")
def list_users() -> None:
    """Show who may log in."""
    from rich.console import Console
    from rich.table import Table

    file = users_file()
    table = Table("name", "role", "", box=None)
    for user in file.read().values():
        table.add_row(user.name, user.role, "disabled" if user.disabled else "")
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


def asked_password(name: str) -> str:
    """A new password, asked for twice, or one line of standard input. Raises UnfitPassword."""
    from blocks.access.passwords import check_new_password

    if sys.stdin.isatty():
        new: str = typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    else:
        new = sys.stdin.readline().rstrip("\r\n")
    check_new_password(new, name)
    return new
