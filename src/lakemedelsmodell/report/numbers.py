"""Numbers as a Swedish or an English reader writes them; unknown is a dash, never 0."""

from __future__ import annotations

import math
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Decimal

from lakemedelsmodell.measures.groups import FEWEST_PERSONS

DASH = "–"
MINUS = "\N{MINUS SIGN}"
NARROW_SPACE = "\N{NARROW NO-BREAK SPACE}"
NO_BREAK_SPACE = "\N{NO-BREAK SPACE}"


def known(value: object) -> bool:
    """Whether a value is there: null, nan, infinity and text that is no number are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


@dataclass(frozen=True)
class Numbers:
    """Writes numbers in one language, ``sv`` or ``en``."""

    lang: str

    @property
    def decimal_mark(self) -> str:
        return "," if self.lang == "sv" else "."

    @property
    def thousands_mark(self) -> str:
        return NARROW_SPACE if self.lang == "sv" else ","

    def number(self, value: float | None, decimals: int = 0, *, sign: bool = False) -> str:
        """``-1234.5`` → ``−1 234,5`` or ``−1,234.5``; a dash when unknown; no minus before a rounded zero."""
        if value is None or not known(value):
            return DASH
        exact = Decimal(repr(float(value))).quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_EVEN)
        text = f"{abs(exact):,.{decimals}f}".replace(",", "\0").replace(".", self.decimal_mark)
        text = text.replace("\0", self.thousands_mark)
        if exact < 0:
            return MINUS + text
        return "+" + text if sign and exact > 0 else text

    def whole_or(self, value: float | None, decimals: int) -> str:
        """Without decimals where the value is whole (an amount in kronor), else with ``decimals``."""
        whole = known(value) and float(value or 0).is_integer()
        return self.number(value, 0 if whole else decimals)

    def about(self, value: float | None, half_width: float, decimals: int) -> str:
        """``96 ± 4``: a value and half its interval, decimals alike; the value alone where that is unknown."""
        text = self.whole_or(value, decimals)
        if text == DASH or not known(half_width):
            return text
        whole = float(value or 0).is_integer()
        return f"{text}{NO_BREAK_SPACE}±{NO_BREAK_SPACE}{self.number(half_width, 0 if whole else decimals)}"

    def percent(self, share: float | None, decimals: int = 1, *, sign: bool = False) -> str:
        """A share 0.234 → ``23,4 %`` or ``23.4%``."""
        if share is None or not known(share):
            return DASH
        gap = NO_BREAK_SPACE if self.lang == "sv" else ""
        return f"{self.number(share * 100, decimals, sign=sign)}{gap}%"

    def millions(self, value: float | None, decimals: int = 1, *, sign: bool = False) -> str:
        """In millions; with three decimals where one would show a sum as nothing."""
        if value is None or not known(value):
            return DASH
        return self.number(value / 1e6, 3 if 0 < abs(value) < 50_000 else decimals, sign=sign)

    def money(self, sek: float | None, decimals: int = 0) -> str:
        """``1 234 kr`` or ``SEK 1,234``."""
        text = self.number(sek, decimals)
        if text == DASH:
            return text
        return f"{text}{NO_BREAK_SPACE}kr" if self.lang == "sv" else f"SEK{NO_BREAK_SPACE}{text}"

    def persons(self, count: float | None) -> str:
        """A count of persons or rows; ``<5`` stands for one to four."""
        if known(count) and 0 < float(count or 0) < FEWEST_PERSONS:
            return f"<{FEWEST_PERSONS}"
        return self.number(count)
