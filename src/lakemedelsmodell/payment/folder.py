"""The payment folder: written whole or not at all, never replaced by another payment, compared with earlier ones."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lakemedelsmodell.amounts import AmountTable, read_amounts
from lakemedelsmodell.conditions import ConditionSet
from lakemedelsmodell.data.files import read_half_year
from lakemedelsmodell.data.periods import Period, add_months
from lakemedelsmodell.data.tables import HalfYear
from lakemedelsmodell.errors import DataError, Problem, UserError
from lakemedelsmodell.facts import N_CELLS
from lakemedelsmodell.folders import MANIFEST, alone, behind, file_hashes, neutral, seal, to_json, versions
from lakemedelsmodell.measures.disclosure import hidden, merged
from lakemedelsmodell.measures.groups import FEWEST_PERSONS
from lakemedelsmodell.payment.changes import OTHER_REASONS, REASONS, Changes, changes_between
from lakemedelsmodell.payment.month import KEY, Listed, Months, Payment, Tariff, conditions_of, pay_listed
from lakemedelsmodell.payment.summary import write_summaries

Progress = Callable[[str], Any]

SCHEMA = 1
PAYMENTS, LINES, CHANGES, DIFFERENCES, CONTROL, AMOUNTS, RESULTS = (
    "payments.csv", "lines.csv", "changes.csv", "differences.csv", "control.csv", "amounts.csv", "results.json")


MANY_STRANGERS = 0.1
"""Share of a month's dispensings that are of persons nobody lists above which the payment says so."""


@dataclass(frozen=True, eq=False)
class Earlier:
    """A payment folder written before: its month, what each centre was paid (öre by centre_id), and its lines."""

    folder: Path
    month: date
    paid: pd.Series
    model: str

    @classmethod
    def read(cls, folder: Path) -> Earlier:
        """Raises UserError for a folder that is no payment, or has been changed since it was written."""
        try:
            results = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
            manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
            month, model = date.fromisoformat(f"{results['month']}-01"), str(results["model"])
            payments = pd.read_csv(folder / PAYMENTS, dtype={"centre_id": str})
        except (OSError, ValueError, KeyError):
            raise UserError(f"{folder} is not a payment folder. Give one that pay has written.") from None
        hashes = file_hashes(folder)
        for name, was in manifest["outputs"].items():
            if name in hashes and hashes[name] != was:
                raise UserError(f"{folder / name} is not what pay wrote. Take the folder from the archive.")
        return cls(folder, month, payments.set_index("centre_id")["payment_ore"], model)

    def lines(self) -> pd.DataFrame:
        """The exact lines, which the folder's data/ keeps."""
        path = self.folder / "data" / LINES
        if not path.is_file():
            raise UserError(f"{self.folder} has no data/{LINES}. Give the whole folder as pay wrote it.")
        return pd.read_csv(path, dtype={"centre_id": str, "age_from": "Int64", "name": str, "sex": object},
                           keep_default_na=False, na_values={"age_from": [""], "sex": [""]})

    def table(self) -> AmountTable:
        return read_amounts(self.folder / AMOUNTS, self.model)


@dataclass(frozen=True, eq=False)
class PaymentFolder:
    """A payment folder that has been written (or was there already, the same).

    ``results`` is what results.json holds; ``written`` is False where an equal folder was left as it was.
    """

    folder: Path
    payment: Payment
    changes: Changes | None
    results: dict[str, Any]
    written: bool


def payment_run(amounts: Path, data: Path, month: date, out: Path, *, model: str = "chronic",
                conditions: str | None = None, months: Months = "snapshot", previous: Sequence[Path] = (),
                langs: Sequence[str] = ("sv", "en"), progress: Progress = lambda _: None) -> PaymentFolder:
    """Pay the month that begins on ``month`` and write the payment folder ``out``.

    Parameters
    ----------
    amounts : amounts.csv
    data : folder with the four tables
    out : folder to write; left as it is where it already holds the same payment
    model : which model of the file
    conditions : the condition list, where it is one of the user's own (CSV)
    previous : earlier payment folders, at most one of the same month (what is to be corrected) and one of the month
        before (what has changed since)

    Raises
    ------
    UserError
        As :func:`pay`; amounts that do not hold yet; ``out`` holds something else.
    DataError
        The data cannot be read, or a month of the look-back has no dispensings, or most are of persons nobody lists.
    """
    table = read_amounts(amounts, model)
    chosen, tariff = conditions_of(table, conditions), Tariff.of(table)
    if table.valid_from and month < table.valid_from:
        raise UserError(f"The amounts of {model} hold from {table.valid_from}, not yet in {month:%Y-%m}. Give the "
                        "amounts of that month.")
    same, before = _sorted_out([Earlier.read(p) for p in previous], month)
    half_year = read_half_year(data, progress=progress)
    strangers = _check_lookback(half_year, Period.half_year_of(month).before(12)) if table.conditions else None
    progress(f"{month:%Y-%m}: listings and flags")
    payment = pay_listed(_listed(half_year, table, chosen, month, months), tariff)
    progress("what changed since last month")
    changes = _changes(half_year, payment, chosen, months, conditions, before)
    warnings = _warnings(payment, changes, strangers)
    results = _results(payment, changes, half_year, same, before, months, warnings)
    with written_once(out) as stage:
        _write(stage, payment, changes, results, same, chosen, langs)
        inputs = {"amounts": file_hashes(amounts), "content_hash": half_year.content_hash,
                  "previous": [file_hashes(e.folder)[RESULTS] for e in (same, before) if e]}
        (stage / MANIFEST).write_text(to_json({"inputs": inputs, "versions": versions(),
                                               "outputs": file_hashes(stage)}), encoding="utf-8")
        written = not _same_payment(stage, out)
    return PaymentFolder(out, payment, changes, results, written)


def _listed(half_year: HalfYear, table: AmountTable, conditions: ConditionSet, month: date, months: Months) -> Listed:
    rule: Any = table.rule if table.conditions else None
    return Listed.read(half_year, month, conditions, rule, months)


def _sorted_out(earlier: Sequence[Earlier], month: date) -> tuple[Earlier | None, Earlier | None]:
    """The earlier payment of the same month, and of the month before."""
    known = {month: "the same month", add_months(month, -1): "the month before"}
    found: dict[date, Earlier] = {}
    for one in earlier:
        if one.month not in known:
            raise UserError(f"{one.folder} is the payment of {one.month:%Y-%m}. Give that of {month:%Y-%m} (to see "
                            f"corrections) or of {add_months(month, -1):%Y-%m} (to see changes).")
        if one.month in found:
            raise UserError(f"{found[one.month].folder} and {one.folder} are both of {known[one.month]}. Give one.")
        found[one.month] = one
    return found.get(month), found.get(add_months(month, -1))


def _check_lookback(half_year: HalfYear, lookback: Period) -> pd.DataFrame:
    """Dispensings per month, and how many of them are of persons nobody lists: rows, strangers by month.

    Half a look-back would lose half the flags, and so would half of it under other pseudonyms; nobody would see it in
    the sums.
    """
    if missing := [m for m in lookback.months if m not in half_year.months_seen]:
        raise DataError(Problem("dispensings", f"flags are read from {lookback}, and {len(missing)} of these months "
                                f"have no dispensings, first {missing[0]:%Y-%m}", "Deliver them too.", column="date"))
    t = half_year.dispensings
    t = t.filter(t.date >= lookback.start, t.date < lookback.end)
    t = t.mutate(month=t.date.year() * 12 + t.date.month() - 1)
    rows, known = (x.group_by("month").agg(n=x.count()).to_pandas().set_index("month")["n"]
                   for x in (t, t.semi_join(half_year.listings, "person_id")))
    found = pd.DataFrame({"rows": rows, "strangers": rows.sub(known, fill_value=0)}).sort_index()
    found.index = [f"{n // 12}-{n % 12 + 1:02d}" for n in found.index]
    if len(most := found.index[2 * found["strangers"] > found["rows"]]):
        raise DataError(Problem("dispensings", f"flags are read from {lookback}, and in {len(most)} of these months "
                                f"more dispensings are of persons nobody lists than of others, first {most[0]}",
                                "Use the same pseudonyms in every table and every month.", column="person_id"))
    return found


def _changes(half_year: HalfYear, payment: Payment, conditions: ConditionSet, months: Months, given: str | None,
             earlier: Earlier | None) -> Changes | None:
    """Since last month; None where the data do not reach back to its look-back."""
    table, last = payment.tariff.table, add_months(payment.month, -1)
    lookback = Period.half_year_of(last).before(12)
    if table.conditions and not set(lookback.months) <= set(half_year.months_seen):
        return None
    before = pay_listed(_listed(half_year, table, conditions, last, months), payment.tariff)
    if not before.listed.persons.any():
        return None
    if earlier is None:
        return changes_between(before, payment)
    old = earlier.table()
    set_then = conditions_of(old, given if old.condition_set == table.condition_set else None)
    as_paid = pay_listed(_listed(half_year, old, set_then, last, months), Tariff.of(old))
    return changes_between(before, payment, earlier.paid, as_paid)


def _warnings(payment: Payment, changes: Changes | None, strangers: pd.DataFrame | None) -> list[str]:
    found = []
    if strangers is not None and (share := strangers["strangers"] / strangers["rows"]).max() > MANY_STRANGERS:
        whole = strangers["strangers"].sum() / strangers["rows"].sum()
        found.append(f"{100 * whole:.0f} % of the look-back's dispensings are of persons nobody lists, and so pay "
                     f"nobody; most in {share.idxmax()}, {100 * share.max():.0f} %. Are the pseudonyms the same in "
                     "every table and every month?")
    if changes is None:
        found.append("What changed since last month is not shown: the data do not reach back to its look-back.")
    if empty := int((payment.listed.persons == 0).sum()):
        found.append(f"{empty} centres list nobody this month and are paid nothing.")
    if below := int((payment.centre_ore < 0).sum()):
        found.append(f"The amounts of {below} centres come to less than nothing: they are to pay in.")
    table = payment.tariff.table
    if unset := [name for name, add_on in zip(table.conditions, table.add_ons, strict=True) if np.isnan(add_on)]:
        found.append(f"No add-on is set for {', '.join(unset)}: they pay nothing.")
    return found


# What is written


def shown_lines(payment: Payment) -> pd.DataFrame:
    """The lines with what too few persons stand behind merged into one line ``few`` per centre; sums stay."""
    too_few = np.hstack([merged(block) for block in np.split(payment.persons, _blocks(payment), axis=1)])
    there = (payment.persons > 0) & ~too_few
    centre, row = np.nonzero(np.column_stack([there, np.any(too_few, axis=1)]))
    few = pd.DataFrame({"kind": ["few"], "name": ["few"], "sex": [None], "age_from": [None], "ore_per_month": [None]})
    frame = pd.concat([payment.components.astype(object), few.astype(object)], ignore_index=True)
    frame = frame.iloc[row].reset_index(drop=True)
    frame.insert(0, "centre_id", payment.centre_ids[centre])

    def with_few(values: np.ndarray, last: Any) -> np.ndarray:
        return np.hstack([values.astype(object), np.full((len(values), 1), last, dtype=object)])[centre, row]

    frame.insert(5, "persons", with_few(payment.persons, None))
    frame.insert(6, payment.unit, with_few(payment.units, None))
    ore = np.hstack([payment.ore, (payment.ore * too_few).sum(axis=1)[:, None]])
    return frame.assign(ore=ore[centre, row])


def _blocks(payment: Payment) -> list[int]:
    """Where the columns of a payment's components part: each block's persons are told by the centre's own number."""
    kinds = payment.components["kind"].to_numpy()
    cni = [len(kinds) - 1] if kinds[-1] == "cni" else []
    return [N_CELLS, *cni]


def shown_changes(changes: Changes) -> pd.DataFrame:
    """The changes with reasons that too few persons stand behind merged into one ``few`` per centre."""
    too_few = merged(changes.persons, least=2)
    open_ = Changes(changes.centre_ids, np.where(too_few, 0, changes.persons), np.where(too_few, 0, changes.ore),
                    changes.other, changes.before).to_frame()
    at = np.flatnonzero(too_few.any(axis=1))
    few = pd.DataFrame({"centre_id": changes.centre_ids[at], "reason": "few",
                        "persons": pd.array([None] * len(at), "Int64"), "ore": (changes.ore * too_few).sum(axis=1)[at]})
    order = {reason: i for i, reason in enumerate([*REASONS, *OTHER_REASONS, "few"])}
    place = {centre: i for i, centre in enumerate(changes.centre_ids)}
    frame = pd.concat([open_, few], ignore_index=True)
    return frame.sort_values(["centre_id", "reason"], key=lambda c: c.map(place if c.name == "centre_id" else order),
                             ignore_index=True)


def control_frame(payment: Payment) -> pd.DataFrame:
    """Sums over the centres: one row per component (those of too few persons merged), and the total."""
    persons, units, ore = (v.sum(axis=0) for v in (payment.persons, payment.units, payment.ore))
    too_few = np.concatenate([merged(block[None, :])[0] for block in np.split(persons, _blocks(payment))])
    frame = payment.components.astype(object).assign(
        persons=persons.astype(object), **{payment.unit: units.astype(object)}, ore=ore)
    frame = frame[(persons > 0) & ~too_few]
    if too_few.any():
        frame.loc[len(persons)] = ["few", "few", None, None, None, None, None, int(ore[too_few].sum())]
    frame.loc[len(persons) + 1] = ["total", "total", None, None, None, int(payment.listed.persons.sum()),
                                   int(payment.centre_units.sum()), int(ore.sum())]
    return frame.reset_index(drop=True)


def payments_frame(payment: Payment, changes: Changes | None) -> pd.DataFrame:
    """One row per centre: what to pay. A number of persons below five is left empty, and one more with it."""
    persons, ore = payment.listed.persons, payment.centre_ore
    few = hidden(persons)
    frame = pd.DataFrame({
        "centre_id": payment.centre_ids, "name": payment.listed.centres["name"].to_numpy(),
        "persons": pd.Series(persons).astype("Int64").where(~few),
        payment.unit: pd.Series(payment.centre_units).astype("Int64").where(~few),
        "payment_ore": ore, "payment_sek": [sek(v) for v in ore],
        "share_percent": np.round(100 * ore / max(int(ore.sum()), 1), 4)})
    if changes is not None:
        before = pd.Series(changes.before, changes.centre_ids)
        frame["before_ore"] = before.reindex(payment.centre_ids).to_numpy()
        frame["change_ore"] = ore - frame["before_ore"]
        frame["share_before_percent"] = np.round(100 * frame["before_ore"] / max(int(before.sum()), 1), 4)
    return frame


def sek(ore: int) -> str:
    """Öre as kronor with two decimals, exactly: -12345 → -123.45."""
    kronor, rest = divmod(abs(int(ore)), 100)
    return f"{'-' if ore < 0 else ''}{kronor}.{rest:02d}"


def differences_frame(payment: Payment, earlier: Earlier) -> pd.DataFrame:
    """Centres whose payment differs from the earlier one of the same month: paid_ore, payment_ore, difference_ore."""
    now = pd.Series(payment.centre_ore, payment.centre_ids, name="payment_ore")
    both = earlier.paid.rename("paid_ore").to_frame().join(now, how="outer").fillna(0).astype("int64").sort_index()
    both["difference_ore"] = both["payment_ore"] - both["paid_ore"]
    return both[both["difference_ore"] != 0].rename_axis("centre_id").reset_index()


def line_differences(payment: Payment, earlier: Earlier) -> pd.DataFrame:
    """The lines that differ from the earlier payment of the same month: persons and öre, then and now."""
    key = ["centre_id", *KEY]

    def indexed(lines: pd.DataFrame) -> pd.DataFrame:
        lines = lines.assign(sex=lines["sex"].fillna(""), age_from=lines["age_from"].astype("Int64").fillna(-1))
        return lines.set_index(key)[["persons", "ore"]]

    paid, now = indexed(earlier.lines()).add_suffix("_paid"), indexed(payment.to_frame()).add_suffix("_now")
    both = paid.join(now, how="outer")
    both = both.fillna(0).astype("int64").sort_index()
    both["difference_ore"] = both["ore_now"] - both["ore_paid"]
    both = both[(both["difference_ore"] != 0) | (both["persons_now"] != both["persons_paid"])].reset_index()
    return both.assign(age_from=both["age_from"].astype("Int64").where(both["age_from"] >= 0))


def _results(payment: Payment, changes: Changes | None, half_year: HalfYear, same: Earlier | None,
             before: Earlier | None, months: Months, warnings: list[str]) -> dict[str, Any]:
    table, control = payment.tariff.table, control_frame(payment)
    total = int(payment.ore.sum())
    by_reason = None
    if changes is not None:
        # All centres together: persons behind a reason are many, or their number is left out.
        persons, ore = changes.persons.sum(axis=0), changes.ore.sum(axis=0)
        by_reason = {r: {"persons": int(n) if n == 0 or n >= FEWEST_PERSONS else None, "ore": int(o)}
                     for r, n, o in zip(REASONS, persons, ore, strict=True)}
        by_reason |= {r: {"persons": None, "ore": int(o)}
                      for r, o in zip(OTHER_REASONS, changes.other.sum(axis=0), strict=True) if o}
    differences = None
    if same is not None:
        found = differences_frame(payment, same)
        differences = {"centres": len(found), "paid_ore": int(same.paid.sum()), "payment_ore": total,
                       "difference_ore": total - int(same.paid.sum())}
    return {
        "schema": SCHEMA, "month": f"{payment.month:%Y-%m}", "model": table.model, "rule": table.rule,
        "condition_set": table.condition_set, "valid_from": table.valid_from, "lookback": str(payment.lookback),
        "months": months, "content_hash": half_year.content_hash,
        "totals": {"centres": len(payment.centre_ids), "persons": int(payment.listed.persons.sum()),
                   payment.unit: int(payment.centre_units.sum()), "payment_ore": total, "payment_sek": sek(total)},
        "control": payment.control(),
        "components": control.to_dict("records"),
        "changes": None if changes is None else {
            "since": f"{add_months(payment.month, -1):%Y-%m}", "from_paid": before is not None,
            "before_ore": int(changes.before.sum()), "change_ore": int(changes.total.sum()), "by_reason": by_reason},
        "differences": differences, "warnings": warnings,
        "counts": {k: v for k, v in half_year.counts.items() if v >= FEWEST_PERSONS},
    }


def _write(stage: Path, payment: Payment, changes: Changes | None, results: dict[str, Any], same: Earlier | None,
           conditions: ConditionSet, langs: Sequence[str]) -> None:
    (stage / "data").mkdir()
    frames = {PAYMENTS: payments_frame(payment, changes), LINES: shown_lines(payment), CONTROL: control_frame(payment),
              AMOUNTS: payment.tariff.table.to_frame(), f"data/{LINES}": payment.to_frame()}
    if changes is not None:
        frames |= {CHANGES: shown_changes(changes), f"data/{CHANGES}": changes.to_frame()}
    if same is not None:
        frames |= {DIFFERENCES: differences_frame(payment, same),
                   f"data/{DIFFERENCES}": line_differences(payment, same)}
    for name, frame in frames.items():
        neutral(frame).to_csv(stage / name, index=False, lineterminator="\n")
    (stage / RESULTS).write_text(to_json(results), encoding="utf-8")
    write_summaries(stage, results, frames[PAYMENTS], frames.get(CHANGES), frames.get(DIFFERENCES), conditions,
                    langs)


def _same_payment(stage: Path, out: Path) -> bool:
    """Whether ``out`` holds what is staged, whichever versions of the programs wrote it."""
    return out.is_dir() and all(
        a == b for a, b in [[{k: v for k, v in file_hashes(p).items() if k != MANIFEST} for p in (stage, out)]])


@contextmanager
def written_once(out: Path) -> Iterator[Path]:
    """A sibling folder to write into that becomes ``out``, unless ``out`` is there: the same is left as it is.

    Raises UserError where ``out`` holds anything else: a payment is never replaced by another.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out} is a file. Choose a folder with --out.")
    out = behind(out)
    stage = out.with_name(f".{out.name}.part")
    with alone(out):
        shutil.rmtree(stage, ignore_errors=True)
        stage.mkdir(mode=0o700)
        try:
            yield stage
            seal(stage)
            if out.is_dir() and not any(out.iterdir()):
                out.rmdir()
            if not out.exists():
                stage.rename(out)
            elif not _same_payment(stage, out):
                raise UserError(f"{out} holds something else than this payment, and a payment is never replaced. "
                                f"Choose another folder with --out; with --previous {out} the differences are shown.")
        finally:
            shutil.rmtree(stage, ignore_errors=True)
