"""The application that every command registers with."""

from __future__ import annotations

from typing import Annotated

import typer

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    help="How a region shares out its drug money between primary-care centres, and how far apart they end up.",
    epilog="Exit codes: 0 it went well, 1 the data are bad, 2 the call is wrong, 3 a fault of the program.",
)


def example(arguments: str) -> str:
    return f"Example: python -m lakemedelsmodell {arguments}"


def _show_version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"lakemedelsmodell {version('lakemedelsmodell')}")
        raise typer.Exit


@app.callback()
def _common(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and leave.")
    ] = False,
) -> None: ...
