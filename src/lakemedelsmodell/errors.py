"""What goes wrong by the user's hand, said in one line.

The command line prints these as one message and exits with ``exit_code``; nothing else may reach a
user as a traceback.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass


class UserError(Exception):
    """The call is wrong: an unknown name, a folder that may not be replaced (exit code 2)."""

    exit_code = 2


def unknown_name(kind: str, name: str, available: Iterable[str], or_else: str = "") -> UserError:
    """There is no ``kind`` of this name: the one probably meant, those there are, and what else would do."""
    available = list(available)
    close = difflib.get_close_matches(name, available, n=1)
    guess = f" Did you mean {close[0]}?" if close else ""
    return UserError(f"There is no {kind} {name!r}.{guess} Choose one of {', '.join(available)}{or_else}.")


@dataclass(frozen=True)
class Problem:
    """One thing wrong in one place of one file.

    ``row`` counts data rows from 1 (the header is not counted) and is None where the trouble is not
    in one row. ``value`` is shown as read and must never be a person's name or personal number.
    """

    file: str
    problem: str
    remedy: str
    row: int | None = None
    column: str | None = None
    value: str | None = None
    count: int = 1

    def __str__(self) -> str:
        place = [self.file]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {self.column}")
        if self.value is not None:
            place.append(f"value {self.value!r}")
        more = f" ({self.count} rows)" if self.count > 1 else ""
        return f"{', '.join(place)}: {self.problem}{more}. {self.remedy}"


class DataError(UserError):
    """The data are bad (exit code 1): every :class:`Problem` found, most important first."""

    exit_code = 1

    def __init__(self, problems: Problem | list[Problem]):
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(str(p) for p in self.problems))
