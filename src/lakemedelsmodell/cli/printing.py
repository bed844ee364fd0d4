"""Numbers and columns of text as the commands print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def kronor(value: float) -> str:
    """Whole kronor as such, others with öre; a dash where no amount is set."""
    return "–" if value != value else f"{value:,.0f}" if value == round(value) else f"{value:,.2f}"


def number(value: float | None, digits: int = 2) -> str:
    return "–" if value is None or value != value else f"{value:,.{digits}f}"


def percent(value: float | None) -> str:
    return "–" if value is None or value != value else f"{100 * value:.0f} %"


def columns(rows: Sequence[Sequence[str]], ways: str) -> str:
    """Text in columns, each to the left (<) or right (>) as ``ways`` says; its last holds for further ones."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    ways = ways.ljust(len(widths), ways[-1])
    lines = [[f"{text:{way}{width}}" for text, way, width in zip(row, ways, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(cells).rstrip() for cells in lines)


def summary(results: Mapping[str, Any]) -> str:
    """What was paid, how far apart the centres end up under each model, and the headline contrast."""
    totals = results["totals"]
    size = [
        (results.get("period") or {}).get("label"),
        f"{totals['centres']:,} centres",
        f"{totals['persons']:,} persons" if totals["persons"] else None,
        f"cost {number(totals['cost_sek'] / 1e6, 1)} MSEK",
        f"shared out {number(totals['budget_sek'] / 1e6, 1)} MSEK",
    ]
    head = ("model", "SD", "noise floor", "P90−P10", "within ±2 %", "φ", "R²")
    rows = [
        (
            name,
            number(m["spread"]["sd"]),
            number(m["noise_floor"]),
            number(m["spread"]["p90_p10"]),
            percent(m["spread"]["within_2pct"]),
            number(m["phi"], 4),
            number(m["fit"]["r2"], 3),
        )
        for name, m in results["models"].items()
    ]
    return "\n".join(
        [
            " · ".join(part for part in size if part),
            *(f"Note: {warning}" for warning in results["warnings"]),
            "\nHow far apart the centres' net results lie, SEK per listed month",
            columns([head, *rows], "<>"),
            *(f"\n{_headline(contrast)}" for contrast in results["contrasts"][:1]),
        ]
    )


def _headline(contrast: Mapping[str, Any]) -> str:
    change = _change(contrast["sd_ratio"])
    if change is None:
        return f"{contrast['model']} against {contrast['against']}: too few centres to compare."
    from math import exp

    text = f"{contrast['model']} against {contrast['against']}: the spread (SD) is {change}"
    if contrast["ci_low"] is not None and contrast["ci_high"] is not None:
        text += f" (95 % interval {_change(exp(contrast['ci_high']))} to {_change(exp(contrast['ci_low']))})"
    if (chance := _change(contrast["random_list_ratio"])) is not None:
        text += f".\nHad lists been composed at random it would be {chance}"
    return text + "."


def _change(ratio: float | None) -> str | None:
    if ratio is None or ratio != ratio:
        return None
    return f"{percent(1 - ratio)} smaller" if ratio <= 1 else f"{percent(ratio - 1)} larger"
