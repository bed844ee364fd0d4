"""What goes wrong by the user's hand, said in one line.

The command line prints these as one message and exits with ``exit_code``; nothing else may reach a
user as a traceback.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

IDENTIFYING = frozenset({"person_id"})
"""Columns whose values are never shown, only their form."""

PERSONAL_NUMBER = re.compile(
    r"(?<!\d)(\d\d)?\d\d-?(0[1-9]|1[0-2])-?(0[1-9]|[12]\d|3[01]|6[1-9]|[78]\d|9[01]) ?[-+\u2013\u2212]? ?"
    r"[\dA-Z]\d{3}(?!\d)")
"""What could be a personnummer or samordningsnummer (its day is 60 higher), check digit or not."""

SIGNED, TWELVE = re.compile(r"\d{6,8}[-+\u2013\u2212].{4}"), re.compile(r"(18|19|20)\d{10}")

LONGEST_VALUE = 80
"""Signs of a value that are shown."""


def form(text: str) -> str:
    """What a value looks like without saying it: # for a digit, x for a letter."""
    return re.sub(r"[^\W\d_]", "x", re.sub(r"\d", "#", text))


def masked(text: str) -> str:
    """The text with the form only of what could be a personal number."""
    return PERSONAL_NUMBER.sub(lambda found: form(found[0]), text)


def names_somebody(text: str) -> bool:
    """Whether a text holds a personal number beyond mistaking: with its sign, or of twelve digits of which the last is
    the check digit. Other digits are sums, coordinates and codes too."""
    return any(SIGNED.fullmatch(hit[0]) or (TWELVE.fullmatch(hit[0]) and _checked(hit[0][2:]))
               for hit in PERSONAL_NUMBER.finditer(text) if text[hit.start() - 1:hit.start()] != ".")


def _checked(ten: str) -> bool:
    """Luhn's check of ten digits."""
    doubled = (2 * int(d) for d in ten[::2])
    return (sum(d - 9 * (d > 9) for d in doubled) + sum(map(int, ten[1::2]))) % 10 == 0


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE - 1] + "…"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


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
    in one row. Of a value that identifies a person, or could be a personal number, only the form is kept.
    """

    file: str
    problem: str
    remedy: str
    row: int | None = None
    column: str | None = None
    value: str | None = None
    count: int = 1

    def __post_init__(self) -> None:
        if self.value is not None:
            object.__setattr__(self, "value", _cut(form(self.value) if self.column in IDENTIFYING
                                                   else masked(self.value)))

    def __str__(self) -> str:
        place = [self.file]
        if self.row is not None:
            place.append(f"row {self.row}")
        if self.column is not None:
            place.append(f"column {_cut(self.column)}")
        if self.value is not None:
            place.append(f"value {self.value!r}")
        more = f" ({self.count} rows)" if self.count > 1 else ""
        return _one_line(masked(f"{', '.join(place)}: {self.problem}{more}. {self.remedy}"))


SHOWN = 20
"""Examples shown of each kind of problem."""


def first_of_a_kind(problems: Iterable[Problem]) -> list[Problem]:
    """The first :data:`SHOWN` of each file, column and problem, in order; the very first carries their count."""
    kinds: dict[tuple[str, str | None, str], list[Problem]] = {}
    for problem in problems:
        kinds.setdefault((problem.file, problem.column, problem.problem), []).append(problem)
    return [replace(p, count=sum(q.count for q in same)) if i == 0 else p
            for same in kinds.values() for i, p in enumerate(same[:SHOWN])]


class DataError(UserError):
    """The data are bad (exit code 1): every :class:`Problem` found, most important first."""

    exit_code = 1

    def __init__(self, problems: Problem | list[Problem]):
        self.problems = [problems] if isinstance(problems, Problem) else list(problems)
        super().__init__("\n".join(str(p) for p in self.problems))


def redacted(text: str) -> str:
    """The text with the passwords in its URLs hidden."""
    text = re.sub(r"(://[^:/@\s]*):[^/\s]*@", r"\1:***@", text)
    return re.sub(r"((?:password|pwd|token)=)[^&;\s]+", r"\1***", text, flags=re.IGNORECASE)
