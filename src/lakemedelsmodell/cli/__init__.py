"""The commands: they parse, call and print, and compute nothing.

Whatever a command needs beyond typer is imported inside it, so that ``--help`` is instant. A user's
mistake arrives as :class:`~lakemedelsmodell.errors.UserError` and leaves as one message on stderr and
an exit code: 1, the data are bad; 2, the call is wrong. A fault of the program's leaves as a traceback and 3.
"""

import atexit
import io
import os
import signal
import sys
import traceback

from lakemedelsmodell.cli.app import app
from lakemedelsmodell.errors import UserError, masked

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
import lakemedelsmodell.cli.trust
# isort: on


FAULT = 3
NOTHING_CHANGED = "What was there before is unchanged."


def main() -> None:
    """Entry point: run the command, turn a user's mistake or a fault of the machine into one message and an exit code.

    Ctrl-C and a request to end are obeyed once what is half written has been cleared: exit 130 and 143.
    """
    asked: list[int] = []
    stopped: list[int] = []
    atexit.register(_end, stopped)  # the first, and so called last

    def stop(number: int, frame: object) -> None:
        asked.append(number)
        raise KeyboardInterrupt

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    sys.stdout, sys.stderr = sys.stdout or io.StringIO(), sys.stderr or io.StringIO()  # closed, as by a service
    for stream in (sys.stdout, sys.stderr):  # a file or pipe may be in an encoding without φ, − or å
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        _check_names(sys.argv[1:])
        app()
    except BaseException as error:  # what is said of an interruption depends on the library it struck
        if asked and not (isinstance(error, SystemExit) and not error.code):
            print(f"stopped. {NOTHING_CHANGED}", file=sys.stderr)
            stopped.append(128 + asked[0])
            sys.exit(stopped[0])
        if isinstance(error, SystemExit):
            raise
        if (said := _said(error)) is None:  # a fault of the program's, which libraries tell with the value they met
            print(masked("".join(traceback.format_exception(error))), end="", file=sys.stderr)
            sys.exit(FAULT)
        print(f"error: {said}", file=sys.stderr)
        sys.exit(error.exit_code if isinstance(error, UserError) else UserError.exit_code)


def _end(stopped: list[int]) -> None:
    """End a process that was told to stop, once all is cleared: in libraries struck at work, taking the interpreter
    down tells of objects still held, or aborts."""
    if stopped:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(stopped[0])


def _check_names(arguments: list[str]) -> None:
    """Raises UserError where a path is in another encoding than the system's, which not every library can open."""
    try:
        "".join(arguments).encode()
    except UnicodeEncodeError:
        raise UserError("The name of a file or folder is not in this system's encoding, "
                        f"{sys.getfilesystemencoding()}. Rename it, or set PYTHONUTF8=1 where names are in UTF-8. "
                        "Nothing was written.") from None


def _said(error: BaseException) -> str | None:
    """One message, for what is no fault of the program's."""
    if isinstance(error, UserError):
        return str(error)
    kind = type(error).__name__
    if isinstance(error, MemoryError) or (_of_duckdb(error) and kind == "OutOfMemoryException"):
        return f"there is not enough memory. Free some, or simulate with a smaller --scale. {NOTHING_CHANGED}"
    if isinstance(error, OSError) or (_of_duckdb(error) and kind in ("IOException", "FatalException")):
        reason = str(error).splitlines()[0]
        if isinstance(error, OSError) and error.strerror:
            reason = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return f"{reason.rstrip('.')}. {NOTHING_CHANGED}"
    if kind in ("TerminatedWorkerError", "BrokenProcessPool"):
        return "a worker died, perhaps for lack of memory. Run again with fewer --workers; what was done is kept."
    return None


def _of_duckdb(error: BaseException) -> bool:
    return type(error).__module__ in ("duckdb", "_duckdb")
