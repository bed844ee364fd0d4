"""The commands: they parse, call and print, and compute nothing.

Whatever a command needs beyond typer is imported inside it, so that ``--help`` is instant. A user's
mistake arrives as :class:`~lakemedelsmodell.errors.UserError` and leaves as one message on stderr and
an exit code: 1, the data are bad; 2, the call is wrong.
"""

import sys

from lakemedelsmodell.cli.app import app
from lakemedelsmodell.errors import UserError

# isort: off
# The order of the commands in --help.
import lakemedelsmodell.cli.tables
import lakemedelsmodell.cli.publication
import lakemedelsmodell.cli.runs
import lakemedelsmodell.cli.payment
import lakemedelsmodell.cli.extracts
import lakemedelsmodell.cli.studies
import lakemedelsmodell.cli.manipulation
import lakemedelsmodell.cli.audit
# isort: on


def main() -> None:
    """Entry point: run the command, turn a user's mistake into one message and an exit code."""
    try:
        app()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except OSError as error:
        print(f"error: {f'{error.filename}: {error.strerror}' if error.filename else error}", file=sys.stderr)
        sys.exit(UserError.exit_code)
