"""How the catalogue's files are made from a good tiny half-year: a maker returns a function that changes a folder."""

import csv
import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

Maker = Callable[[Path], None]

GOOD = {
    "centres": "centre_id,name\nA,Åhus\nB,Båstad\n",
    "persons": "person_id,sex,birth_month,death_date\n1,K,1960-05,\n2,M,1955-01,2026-02-01\n",
    "listings": "person_id,centre_id,start_date,end_date\n1,A,2020-01-01,2026-02-01\n1,B,2026-02-01,\n"
                "2,A,2020-01-01,\n",
    "dispensings": "person_id,date,atc,packages,ddd,cost\n1,2026-01-05,A10BA02,1,30,1234.5\n"
                   "2,2026-01-06,C10AA05,2,60,20\n",
}
COHORT = ("person_id,centre_id,age,sex,months,cost,flag_asthma\n1,A,60,K,6,100,1\n2,A,61,M,6,200,0\n3,B,62,K,6,300,0\n"
          "4,B,63,M,6,400,1\n")
TOTALS = "centre_id,months,cost,age_sex_old,age_sex_young,flag_asthma\nA,100,1000,60,40,10\nB,200,1500,90,110,30\n"
CONDITIONS = "condition,atc,min_dates,requires\ndiabetes,A10,2,\nheart,C01,2,\n"
SETTINGS = 'condition_set = "skane_wide"\nlookback_months = 12\n'
WORLD = 'extends = "skane_2026h1"\n[style]\nprice_sd = 0\n'
AMOUNTS = ("model,kind,name,sex,age_from,sek_per_month\n"
           + "".join(f"chronic,age_sex,,{sex},{age},10\n" for sex in "KM" for age in range(0, 101, 5))
           + "chronic,condition,diabetes,,,25\n")
NOTHING = pa.array([], pa.string())
PERSONNUMMER = {"1": "600105-1231", "2": "550115-1236"}
"""Made up, with the right check digits."""


def good(folder: Path) -> None:
    for table, text in GOOD.items():
        (folder / f"{table}.csv").write_text(text, encoding="utf-8", newline="")


def rows(text: str, delimiter: str = ",") -> list[list[str]]:
    return list(csv.reader(io.StringIO(text), delimiter=delimiter))


def joined(table: list[list[str]], delimiter: str = ",") -> str:
    out = io.StringIO()
    csv.writer(out, delimiter=delimiter, lineterminator="\n").writerows(table)
    return out.getvalue()


def frame(table: str) -> pd.DataFrame:
    """The good table as text."""
    return pd.read_csv(io.StringIO(GOOD[table]), dtype=str)


def several(*makers: Maker) -> Maker:
    def make(folder: Path) -> None:
        for maker in makers:
            maker(folder)
    return make


def raw(name: str, content: bytes | str) -> Maker:
    """A file with these bytes, in place of the table's CSV."""
    def make(folder: Path) -> None:
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        if path.suffix != ".toml" and path.parent == folder:
            (folder / f"{path.stem}.csv").unlink(missing_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return make


def beside(name: str, text: str) -> Maker:
    """A file more."""
    return lambda folder: (folder / name).write_text(text, encoding="utf-8") and None


def change(table: str, do: Callable[[str], str], encoding: str = "utf-8") -> Maker:
    """The table's text changed, and written in an encoding."""
    def make(folder: Path) -> None:
        (folder / f"{table}.csv").write_bytes(do(GOOD[table]).encode(encoding))
    return make


def swap(table: str, old: str, new: str) -> Maker:
    assert old in GOOD[table]
    return change(table, lambda text: text.replace(old, new, 1))


def more(table: str, *lines: str) -> Maker:
    return change(table, lambda text: text + "".join(f"{line}\n" for line in lines))


def cell(table: str, row: int, column: str, value: str) -> Maker:
    """One value changed; rows are counted from 1."""
    def do(text: str) -> str:
        found = rows(text)
        found[row][found[0].index(column)] = value
        return joined(found)
    return change(table, do)


def column(table: str, name: str, *values: str, rename: str = "", delimiter: str = ",") -> Maker:
    """A column with other values and perhaps another name, or a new one."""
    def do(text: str) -> str:
        found = rows(text)
        if name not in found[0]:
            found = [[*row, ""] for row in found]
            found[0][-1] = name
        at = found[0].index(name)
        for row, value in zip(found, (rename or name, *values), strict=bool(values)):
            row[at] = value
        return joined(found, delimiter)
    return change(table, do)


def everywhere(ids: dict[str, str]) -> Maker:
    """Other person_ids in every table that has them."""
    def make(folder: Path) -> None:
        for table in ("persons", "listings", "dispensings"):
            header, *found = rows(GOOD[table])
            (folder / f"{table}.csv").write_text(joined([header, *([ids[row[0]], *row[1:]] for row in found)]))
    return make


def swedish_midnights(*days: str) -> pa.Array:
    """Midnights in Sweden in winter as times in UTC."""
    return pa.array(pd.to_datetime(list(days)).tz_localize("Europe/Stockholm").tz_convert("UTC"))


def gone(table: str) -> Maker:
    return lambda folder: (folder / f"{table}.csv").unlink()


def parquet(table: str, name: str = "", **columns: object) -> Maker:
    """The table as one Parquet file or part, with columns replaced (None: left out)."""
    def make(folder: Path) -> None:
        (folder / f"{table}.csv").unlink(missing_ok=True)
        left = [c for c in frame(table) if columns.get(c, c) is not None]
        found = {c: [value if isinstance(value, str) else None for value in frame(table)[c]] for c in left}
        found |= {c: v for c, v in columns.items() if v is not None}
        path = folder / (name or f"{table}.parquet")
        path.parent.mkdir(exist_ok=True)
        pq.write_table(pa.table(found), path, compression="zstd")
    return make


def damaged(table: str, how: Callable[[bytes], bytes]) -> Maker:
    def make(folder: Path) -> None:
        parquet(table)(folder)
        path = folder / f"{table}.parquet"
        path.write_bytes(how(path.read_bytes()))
    return make


def corrupt_page(whole: bytes) -> bytes:
    """The first page's compressed values overwritten; the footer is as it was."""
    at = whole.index(b"\x28\xb5\x2f\xfd")  # how a zstd frame begins
    return whole[:at] + b"\xff" * 8 + whole[at + 8:]


def workbook(table: str, *changes: tuple[str, object], keep: bool = True) -> Maker:
    """The table as a workbook, with cells such as B2 replaced."""
    def make(folder: Path) -> None:
        import openpyxl

        (folder / f"{table}.csv").unlink()
        book = openpyxl.Workbook()
        for row in rows(GOOD[table]) if keep else ():
            book.active.append([value or None for value in row])
        for place, value in changes:
            book.active[place] = value
        book.save(folder / f"{table}.xlsx")
    return make


def repacked(table: str, do: Callable[[bytes], bytes]) -> Maker:
    """The workbook with the XML of its sheet changed."""
    def make(folder: Path) -> None:
        workbook(table)(folder)
        path = folder / f"{table}.xlsx"
        with zipfile.ZipFile(path) as packed:
            members = {name: packed.read(name) for name in packed.namelist()}
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in members.items():
                packed.writestr(name, do(content) if name.startswith("xl/worksheets/") else content)
    return make


def laughs(sheet: bytes) -> bytes:
    """Entities that unfold to a billion."""
    entities = b'<!DOCTYPE x [<!ENTITY a0 "ha">' + b"".join(
        b'<!ENTITY a%d "%s">' % (i, b"&a%d;" % (i - 1) * 10) for i in range(1, 10)) + b"]>"
    return entities + sheet.replace(b"<sheetData>", b'<sheetData><row><c t="inlineStr"><is><t>&a9;</t></is></c></row>')
