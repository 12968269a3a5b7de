"""`refinery operate VERB …`: an operator's verb at a terminal, with options of its own.

The verbs are the deployments of prefect.yaml with the tag `operate`, and their options those
of the flow's signature and docstring, so the help is there while nothing runs.
"""

import asyncio
import getpass
import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer
import yaml
from prefect.client.orchestration import get_client
from prefect.settings import PREFECT_API_AUTH_STRING, PREFECT_API_URL, temporary_settings
from prefect.utilities.callables import parameter_schema
from rich.console import Console
from rich.markdown import Markdown
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from refinery.addresses import of_running
from refinery.settings import Settings
from tasks.upkeep.verbs import (
    Verb,
    VerbParameter,
    VerbResult,
    WrongParameter,
    await_verb,
    start_verb,
    verb_of,
)
from track.commands.selection import CannotDo

METAVARS = {"text": "TEXT", "uuid": "ID", "integer": "N", "number": "NUMBER", "list": "TEXT"}
MANY = 8
"""More choices than these do not fit into the place of a value."""

REFUSED = 1
KEYWORD = inspect.Parameter.KEYWORD_ONLY


def operate(settings: Settings, arguments: Sequence[str]) -> None:
    """Run the command that `arguments` are; the process exits with its code."""
    app = typer.Typer(
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        help="Do what an operator may do, at the system that runs here; exits with 0 if it was "
        "done, 1 if it was refused, 2 if it was not written as it must be.",
    )
    app.callback()(lambda: None)  # a command of its own for each verb, also if there is one only
    verbs = installed_verbs(settings.project_dir)
    for verb in [each for each in verbs if each.name in arguments[:1]] or verbs:
        app.command(verb.name, help=verb.help)(_command(settings, verb))
    app(args=list(arguments), prog_name="refinery operate")


@cache
def installed_verbs(project_dir: Path) -> list[Verb]:
    """The verbs that `refinery up` deploys from this folder, by name."""
    written = yaml.safe_load((project_dir / "prefect.yaml").read_text(encoding="utf-8"))
    verbs = []
    for deployment in written["deployments"]:
        if "operate" in deployment.get("tags", ()):
            file, _, name = deployment["entrypoint"].partition(":")
            flow = getattr(import_module(file.removesuffix(".py").replace("/", ".")), name)
            schema = parameter_schema(flow.fn).model_dump()
            verbs.append(verb_of(deployment["name"], deployment["description"], schema))
    return sorted(verbs, key=lambda verb: verb.name)


def _command(settings: Settings, verb: Verb) -> Callable[..., None]:
    """A function whose signature typer makes the verb's options of."""

    def command(no_wait: bool, **options: Any) -> None:
        given = {name: _as_text(value) for name, value in options.items() if value is not None}
        try:
            parameters = verb.read(given)
        except WrongParameter as error:
            raise typer.BadParameter(error.remedy, param_hint=_option(error.name)) from None
        _run(settings, verb, parameters, wait=not no_wait)

    signature = [_signed(each) for each in verb.parameters]
    told = Annotated[bool, typer.Option("--no-wait", help="Ask for it, and do not wait.")]
    signature.append(inspect.Parameter("no_wait", KEYWORD, default=False, annotation=told))
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {each.name: each.annotation for each in signature}
    return command


def _signed(each: VerbParameter) -> inspect.Parameter:
    option: dict[str, Any] = {"help": _help(each), "show_default": _shown_default(each)}
    default: Any = None
    kind: Any = str | None
    if each.name == "by":
        default, kind = getpass.getuser(), str
    elif each.kind == "boolean":
        kind = bool | None
    elif each.kind in ("mapping", "list"):
        kind = list[str] | None
        option["metavar"] = "KEY=VALUE" if each.kind == "mapping" else METAVARS[each.kind]
    else:
        option["metavar"] = _choices(each) or METAVARS[each.kind]
    annotation = Annotated[kind, typer.Option(_option(each.name, each.kind), **option)]
    return inspect.Parameter(each.name, KEYWORD, default=default, annotation=annotation)


def _option(name: str, kind: str = "") -> str:
    dashed = name.replace("_", "-")
    if kind != "boolean":
        return f"--{dashed}"
    return "--on/--off" if name == "on" else f"--{dashed}/--no-{dashed}"


def _choices(each: VerbParameter) -> str:
    """A few choices in the place of the value; many are told in the help instead."""
    if len(each.choices) > MANY:
        return "NAME"
    return f"[{'|'.join(each.choices)}]" if each.choices else ""


def _help(each: VerbParameter) -> str:
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (
            ("more than", each.more_than),
            ("at least", each.minimum),
            ("at most", each.maximum),
        )
        if bound is not None
    ]
    several = ["repeat it for several"] if each.kind in ("mapping", "list") else []
    needed = ["required"] if each.required and each.name != "by" else []
    chosen = [f"one of {' '.join(each.choices)}"] if len(each.choices) > MANY else []
    notes = ", ".join([*needed, *bounds, *several, *chosen])
    return escape(each.help + (f" ({notes})" if notes else ""))


def _shown_default(each: VerbParameter) -> bool | str:
    if each.name == "by":
        return "your login name"
    return False if each.default in (None, "") else str(each.default)


def _as_text(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _run(settings: Settings, verb: Verb, parameters: Mapping[str, Any], *, wait: bool) -> None:
    addresses = of_running(settings)
    console = Console(highlight=False)
    try:
        with temporary_settings(
            {
                PREFECT_API_URL: addresses.prefect_api,
                PREFECT_API_AUTH_STRING: addresses.prefect_login,
            }
        ):
            found = asyncio.run(_ask(verb.name, parameters, addresses.prefect, wait=wait))
    except CannotDo as error:
        raise RuntimeError(str(error)) from None
    except httpx.HTTPError as error:
        raise RuntimeError(
            f"Prefect at {addresses.prefect} does not take it ({error or type(error).__name__}); "
            "'refinery doctor' says more"
        ) from None
    if found is not None:
        show(console, found)
        if not found.done:
            raise typer.Exit(REFUSED)


async def _ask(
    verb: str, parameters: Mapping[str, Any], prefect: str, *, wait: bool
) -> VerbResult | None:
    """The run's result; None when it is not waited for. Its address and progress go to stderr."""
    console = Console(highlight=False, stderr=True)
    async with get_client() as client:
        run_id = await start_verb(client, verb, parameters)
        console.print(f"asked for: {prefect}/runs/flow-run/{run_id}", soft_wrap=True)
        if not wait:
            return None
        with console.status(f"{verb}: asked for") as status:
            return await await_verb(
                client, run_id, progress=lambda state: status.update(f"{verb}: {state}")
            )


def show(console: Console, result: VerbResult) -> None:
    """Print what a run left: its pages, its table without empty columns, and its last word."""
    for page in result.pages:
        console.print(Markdown(page))
    names = result.rows[0] if result.rows else ()
    columns = [name for name in names if any(row[name] for row in result.rows)]
    if columns:
        table = Table(*columns, header_style="bold")
        for row in result.rows:
            table.add_row(*(Text(str(row[name])) for name in columns))
        console.print(table)
    style = "" if result.done else "red"
    console.print(Text(result.message or result.state, style=style), soft_wrap=True)
