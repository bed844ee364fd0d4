"""The payment as one page for those who check and sign it, in Swedish and English."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd

from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.payment.changes import OTHER_REASONS, REASONS

HERE = Path(__file__).parent
MONTHS = {
    "sv": "januari februari mars april maj juni juli augusti september oktober november december".split(),
    "en": "January February March April May June July August September October November December".split(),
}
DASH, MINUS, GAP = "–", "\N{MINUS SIGN}", "\N{NO-BREAK SPACE}"


def whole(value: Any, lang: str) -> str:
    """12345 → 12 345 or 12,345; a dash for what is not known."""
    if value is None or pd.isna(value):
        return DASH
    text = f"{abs(int(value)):,}".replace(",", GAP if lang == "sv" else ",")
    return f"{MINUS if value < 0 else ''}{text}"


def money(ore: Any, lang: str) -> str:
    """Öre as kronor; with öre only where there are any."""
    if ore is None or pd.isna(ore):
        return DASH
    kronor, rest = divmod(abs(int(ore)), 100)
    text = whole(kronor, lang) + (f"{',' if lang == 'sv' else '.'}{rest:02d}" if rest else "")
    text = f"{text}{GAP}kr" if lang == "sv" else f"SEK{GAP}{text}"
    return f"{MINUS if ore < 0 else ''}{text}"


def percent(value: float, lang: str) -> str:
    """With two decimals; what rounds to 0 has no sign."""
    return f"{value:z.2f}{GAP}%".replace("-", MINUS).replace(".", "," if lang == "sv" else ".")


def signed(ore: Any, lang: str) -> str:
    """Money with its sign; nothing for 0."""
    if ore is None or pd.isna(ore) or not ore:
        return ""
    return f"{'+' if ore > 0 else ''}{money(ore, lang)}"


def write_summaries(stage: Path, results: Mapping[str, Any], payments: pd.DataFrame, changes: pd.DataFrame | None,
                    differences: pd.DataFrame | None, conditions: ConditionSet, langs: Sequence[str]) -> None:
    """Write payment.<lang>.html into ``stage`` from what its CSV files and results.json say."""
    import jinja2

    environment = jinja2.Environment(loader=jinja2.FileSystemLoader(HERE / "templates"), autoescape=True,
                                     trim_blocks=True, lstrip_blocks=True, undefined=jinja2.StrictUndefined)
    template = environment.get_template("payment.html")
    texts = tomllib.loads((HERE / "texts.toml").read_text(encoding="utf-8"))
    by_centre: dict[str, dict[str, int]] = {}
    if changes is not None:
        for row in changes.itertuples(index=False):
            by_centre.setdefault(row.centre_id, {})[row.reason] = row.ore
    reasons = [r for r in (*REASONS, "few", *OTHER_REASONS) if any(r in found for found in by_centre.values())]
    centres = [{**c, "reasons": by_centre.get(c["centre_id"], {})} for c in payments.to_dict("records")]
    for lang in langs:
        t = texts[lang]
        month = date.fromisoformat(f"{results['month']}-01")
        page = template.render(
            lang=lang, t=t, r=results, month=f"{MONTHS[lang][month.month - 1]} {month.year}", facts=_facts(results, t),
            centres=centres, reasons=reasons, components=_components(results, conditions, t, lang),
            differences=[] if differences is None else differences.to_dict("records"),
            whole=lambda v, lang=lang: whole(v, lang), money=lambda v, lang=lang: money(v, lang),
            signed=lambda v, lang=lang: signed(v, lang),
            percent=lambda v, lang=lang: percent(v, lang))
        (stage / f"payment.{lang}.html").write_text(page, encoding="utf-8")


def _facts(results: Mapping[str, Any], t: Mapping[str, str]) -> list[tuple[str, str]]:
    facts = [(t["model"], results["model"]), (t["valid_from"], str(results["valid_from"] or DASH)),
             (t["months"], t[results["months"]])]
    if results["rule"]:
        facts += [(t["conditions"], f"{results['condition_set'] or DASH}, {t[results['rule']]}"),
                  (t["lookback"], results["lookback"].replace("..", DASH))]
    return facts


def _components(results: Mapping[str, Any], conditions: ConditionSet, t: Mapping[str, str], lang: str
                ) -> list[dict[str, Any]]:
    labels = {c.name: c.label(lang) for c in conditions.conditions}

    def label(c: Mapping[str, Any]) -> str:
        match c["kind"]:
            case "age_sex":
                return t["women" if c["sex"] == "K" else "men"].format(c["name"].replace("-", DASH))
            case "count":
                return t["number"].format(c["name"])
            case "highest":
                return t["highest"].format(labels.get(c["name"], c["name"]))
            case "cni":
                return t["cni"]
            case "few":
                return t["few_component"]
            case "total":
                return t["sum"]
        return labels.get(c["name"], c["name"])

    return [{**c, "label": label(c)} for c in results["components"]]
