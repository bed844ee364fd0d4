"""Bad inputs from real extracts' habits, one row each: how the files are made, and what is said of them.

``wrong``: exit code 1, nothing written. ``read``: the same half-year as the good files. ``odd``: another half-year.
Either way these rows are counted as odd, and told.toml holds what is said, by the name of the case.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from bad_inputs.makers import (
    AMOUNTS,
    COHORT,
    CONDITIONS,
    GOOD,
    NOTHING,
    PERSONNUMMER,
    SETTINGS,
    TOTALS,
    WORLD,
    Maker,
    beside,
    cell,
    change,
    column,
    corrupt_page,
    damaged,
    everywhere,
    gone,
    laughs,
    more,
    parquet,
    raw,
    repacked,
    several,
    swap,
    swedish_midnights,
    workbook,
)

TOLD: dict[str, list[str]] = tomllib.loads(Path(__file__).with_name("told.toml").read_text(encoding="utf-8"))


@dataclass(frozen=True)
class Case:
    """What is done to a folder, the call made there, and what comes of it."""

    name: str
    make: Maker
    outcome: Literal["wrong", "read", "odd"]
    counts: Mapping[str, int] = field(default_factory=dict)
    call: str = "evaluate region --out out"

    @property
    def told(self) -> tuple[str, ...]:
        return tuple(TOLD.get(self.name, ()))


def wrong(name: str, make: Maker, call: str = Case.call) -> Case:
    return Case(name, make, "wrong", call=call)


def read(name: str, make: Maker, **counts: int) -> Case:
    return Case(name, make, "read", counts)


def odd(name: str, make: Maker, **counts: int) -> Case:
    return Case(name, make, "odd", counts)


def spoilt(file: str, text: str, call: str):
    """Cases of a file of its own: ``old`` becomes ``new`` in its text."""

    def case(name: str, old: str, new: str, encoding: str = "utf-8") -> Case:
        assert old in text
        return wrong(name, raw(file, text.replace(old, new, 1).encode(encoding)), call)

    return case


cohort = spoilt("cohort.csv", COHORT, "evaluate --cohort region/cohort.csv --out out")
totals = spoilt("totals.csv", TOTALS, "evaluate --totals region/totals.csv --out out")
conditions = spoilt("mine.csv", CONDITIONS, "flags region --conditions region/mine.csv --out out.csv")
settings = spoilt("settings.toml", SETTINGS, "evaluate region --settings region/settings.toml --out out")
world = spoilt("world.toml", WORLD, "simulate region/world.toml --out out")
amounts = spoilt("amounts.csv", AMOUNTS, "explain --age 60 --sex M --amounts region/amounts.csv")

CASES = (
    # Encodings and lines
    read("Windows-1252", change("centres", str, "cp1252")),
    read("UTF-16", change("centres", str, "utf-16")),
    read("UTF-8 with BOM", change("centres", str, "utf-8-sig")),
    wrong(
        "two encodings in one file",
        raw("centres.csv", "centre_id,name\nA,Åhus\n".encode() + "B,Båstad\n".encode("cp1252")),
    ),
    wrong("no encoding at all", raw("centres.csv", b"centre_id,name\nA,\xc5hus\nB,B\x81stad\n")),
    wrong("UTF-16 without its mark", change("centres", str, "utf-16-le")),
    wrong("UTF-16 cut inside a sign", raw("centres.csv", GOOD["centres"].encode("utf-16")[:-1])),
    wrong("a workbook called .csv", raw("centres.csv", b"PK\x03\x04\x14\x00\x00\x00\x08\x00")),
    read("line ends of an old Macintosh", change("persons", lambda text: text.replace("\n", "\r"))),
    read("line ends of Windows", change("persons", lambda text: text.replace("\n", "\r\n"))),
    read("line ends of several kinds", swap("persons", "1960-05,\n", "1960-05,\r\n")),
    read("a line for the spreadsheet first", change("persons", lambda text: "sep=,\n" + text)),
    read("blank lines", change("persons", lambda text: text.replace("\n", "\n\n"))),
    read("no line end after the last row", change("persons", lambda text: text[:-1])),
    # Separators and headers
    read("semicolons", change("persons", lambda text: text.replace(",", ";"))),
    read("tabs", change("persons", lambda text: text.replace(",", "\t"))),
    read("bars", change("persons", lambda text: text.replace(",", "|"))),
    wrong("another separator in the rows", swap("persons", "1,K,1960-05,", "1;K;1960-05;")),
    wrong("a name that holds the separator", swap("centres", "Åhus", "Åhus, norra")),
    wrong("a line that breaks off", more("persons", "3,K")),
    wrong("a quote left open", swap("centres", "Åhus", '"Åhus')),
    wrong("a quote in the middle of text in quotes", swap("centres", "Åhus", '"Åhus "norra"')),
    wrong("a line without end", swap("centres", "Åhus", "Å" * 1_100_000)),
    wrong(
        "a million columns",
        raw("centres.csv", "centre_id,name," + ",".join(f"c{i}" for i in range(1_000_000)) + "\nA,B\n"),
    ),
    wrong(
        "twenty thousand columns",
        raw("centres.csv", "centre_id,name," + ",".join(f"c{i}" for i in range(20_000)) + "\nA,B\n"),
    ),
    wrong("no header", change("persons", lambda text: text.split("\n", 1)[1])),
    wrong("a misspelt column", swap("dispensings", "cost", "kostnad")),
    wrong("a column twice", change("dispensings", lambda text: text.replace("ddd,cost", "cost,Cost"))),
    read("names in capitals, with blanks", swap("dispensings", "date,atc", " DATE , ATC")),
    read("a column nobody asked for", column("dispensings", "row_", "7", "8")),
    wrong("an empty file", raw("persons.csv", b"")),
    wrong("a header and no rows", raw("persons.csv", "person_id,sex,birth_month,death_date\n")),
    wrong("a missing table", gone("listings")),
    wrong("a table in a form that is not read", raw("persons.xls", b"\xd0\xcf\x11\xe0")),
    wrong("a folder of CSV files", several(gone("listings"), raw("listings/2025.csv", GOOD["listings"]))),
    wrong(
        "a table by year",
        several(
            gone("listings"),
            beside("listings_2025.csv", GOOD["listings"]),
            beside("listings_2026.csv", GOOD["listings"]),
        ),
    ),
    wrong("a table in two forms", beside("listings.txt", GOOD["listings"])),
    read("a copy beside the table", beside("listings (1).csv", GOOD["listings"])),
    wrong("the header again in the middle", change("dispensings", lambda text: text + text)),
    wrong("the header again in persons", more("persons", "person_id,sex,birth_month,death_date", "3,K,1990-01,")),
    read("empty rows at the end", more("persons", ",,,", ",,,")),
    read("marks that are not seen before the header", change("dispensings", lambda text: "\ufeff\ufeff\u200b" + text)),
    wrong("a row of sums", more("dispensings", "Summa,,,3,90,1254.5")),
    read("signs in a name that a terminal obeys", swap("centres", "Åhus", "\x1bÅhus\u202e\x07")),
    # Numbers
    wrong("a word in brackets for nothing", column("dispensings", "ddd", "(null)", "60")),
    read("decimal comma", column("dispensings", "cost", "1234,5", "20", delimiter=";")),
    read("blanks between thousands", column("dispensings", "cost", "1 234,50", "20", delimiter=";")),
    read("no-break blanks between thousands", column("dispensings", "cost", "1\u00a0234.50", "20")),
    read("narrow no-break blanks between thousands", column("dispensings", "cost", "1\u202f234.50", "20")),
    odd("a true minus sign", column("dispensings", "gross_price", "\u22125", "3")),
    wrong("dots between thousands", column("dispensings", "cost", "1.234,50", "20", delimiter=";")),
    wrong("commas between thousands", column("dispensings", "cost", "1,234.50", "20", delimiter=";")),
    wrong("apostrophes between thousands", column("dispensings", "cost", "1'234.50", "20")),
    wrong("thousands or decimals", column("dispensings", "cost", "1.234", "20")),
    wrong("blanks elsewhere in a number", column("dispensings", "cost", "12 34.50", "20")),
    wrong("both decimal signs", column("dispensings", "cost", "1234,5", "20.25", delimiter=";")),
    wrong("a decimal comma between commas", column("dispensings", "cost", "1234,5", "20")),
    wrong("the minus sign last", column("dispensings", "cost", "1234.5-", "20")),
    wrong("a currency", column("dispensings", "cost", "1234.50 kr", "20")),
    wrong("a word for a number", column("dispensings", "packages", "one", "2")),
    wrong("no cost", column("dispensings", "cost", "", "20")),
    wrong("a cost that is not a number", column("dispensings", "cost", "NaN", "20")),
    wrong("an infinite cost", column("dispensings", "cost", "inf", "20")),
    wrong("a cost beyond numbers", column("dispensings", "cost", "1e999", "20")),
    wrong("infinities in Parquet", parquet("dispensings", packages=[1.0, 2.0], cost=[float("inf"), float("-inf")])),
    wrong("a huge price", column("dispensings", "cost", "999999999", "20")),
    wrong("millions of packages", column("dispensings", "packages", "1", "73500000")),
    odd("a price of nothing", column("dispensings", "cost", "0", "20")),
    odd("no packages", column("dispensings", "packages", "0", "2"), dispensings_without_packages=1),
    wrong("a purchase with a negative cost", column("dispensings", "cost", "-1234.5", "20")),
    # Dates
    read("dates without hyphens", column("dispensings", "date", "20260105", "20260106")),
    read("dates with slashes, year first", column("dispensings", "date", "2026/01/05", "2026/1/6")),
    read("dates with dots, year first", column("dispensings", "date", "2026.01.05", "2026.01.06")),
    read("dates with a time of day", column("dispensings", "date", "2026-01-05 00:00:00", "2026-01-06T10:30:00.000")),
    read("dates as whole numbers in Parquet", parquet("dispensings", date=[20260105, 20260106])),
    read("times with a zone in Parquet", parquet("dispensings", date=swedish_midnights("2026-01-05", "2026-01-06"))),
    wrong("times with a zone in text", column("dispensings", "date", "2026-01-04T23:00:00Z", "2026-01-05T23:00:00Z")),
    wrong("dates with dots, day first", column("dispensings", "date", "05.01.2026", "06.01.2026")),
    wrong("American dates", column("dispensings", "date", "01/05/2026", "01/06/2026")),
    wrong("dates without century", column("dispensings", "date", "260105", "260106")),
    wrong("days of a spreadsheet", column("dispensings", "date", "46027", "46028")),
    wrong("a month in letters", column("dispensings", "date", "05JAN2026", "2026-01-06")),
    wrong("the 29th of February", column("dispensings", "date", "2026-01-05", "2026-02-29")),
    wrong("a year with its digits turned", column("dispensings", "date", "2026-01-05", "0206-01-06")),
    wrong("no date", column("dispensings", "date", "2026-01-05", "")),
    # Persons
    wrong("personnummer", everywhere(PERSONNUMMER)),
    wrong("personnummer of twelve digits", everywhere({"1": "196001051231", "2": "195501151236"})),
    wrong("samordningsnummer", everywhere({"1": "196001651238", "2": "7"})),
    *(wrong(f"personnummer with {how}", everywhere({"1": text, "2": "x7"})) for how, text in {
        "a plus sign": "19600105+1231", "a dash": "600105\u20131231", "blanks": "600105 - 1231",
        "an apostrophe": "'196001051231", "its country": "SE196001051231", "decimals": "196001051231.0"}.items()),
    *(wrong(f"personnummer {how}", everywhere({"1": one, "2": two})) for how, one, two in (
        ("with wrong check digits", "196005051230", "195501151230"),
        ("of ten digits with wrong check digits", "6005051230", "5501151230"),
        ("of the region's own", "19600505TF12", "195501151Q2A"))),
    odd("ids that begin like another date", everywhere({"1": "196105051230", "2": "195601151230"})),
    wrong("person_ids rounded by a spreadsheet", everywhere({"1": "1.96001E+11", "2": "1,95501E+11"})),
    wrong("a centre named by a personnummer", swap("centres", "Åhus", "Dr Ek 600105-1231")),
    wrong("a centre's id is a personnummer", change("centres", lambda text: text.replace("A,", "19600105+1231,"))),
    read("a file beside named by a personnummer", beside("persons 600105-1231.csv", "x\n")),
    wrong("a personnummer among pseudonyms", cell("dispensings", 2, "person_id", "195501151236")),
    wrong("a personnummer where a centre belongs", cell("listings", 3, "centre_id", "SE195501151236")),
    wrong(
        "personnummer and no header",
        change("persons", lambda text: "196001051231,K,1960-05,\n195501151236,M,1955-01,\n"),
    ),
    wrong("personnummer in a line that breaks off", more("persons", "19600105-1231,K")),
    wrong("a name where a pseudonym belongs", cell("listings", 3, "person_id", "Anna Andersson")),
    wrong("a person twice", more("persons", "1,K,1960-05,")),
    read("sex by number", column("persons", "sex", "2", "1")),
    read("sex in small letters", column("persons", "sex", "k", "m")),
    wrong("sex in English", column("persons", "sex", "F", "M")),
    wrong("a third sex", column("persons", "sex", "K", "3")),
    wrong("no sex", column("persons", "sex", "K", "")),
    wrong("an age of 266", column("persons", "birth_month", "1760-05", "1955-01")),
    wrong("a thirteenth month", column("persons", "birth_month", "1960-13", "1955-01")),
    wrong("born in another age", column("persons", "birth_month", "2160-05", "1955-01")),
    wrong("born after death", column("persons", "birth_month", "1960-05", "2026-03")),
    odd("only years of birth", column("persons", "birth_month", "1960", "1955", rename="birth_year")),
    # Listings
    wrong("an unknown centre", cell("listings", 3, "centre_id", "C")),
    wrong("an unknown person", cell("listings", 3, "person_id", "7")),
    wrong("overlapping listings", cell("listings", 2, "start_date", "2026-01-31")),
    wrong("a listing never ended", cell("listings", 1, "end_date", "")),
    wrong("the same listing twice", more("listings", "2,A,2020-01-01,")),
    wrong("a listing that ends before it starts", cell("listings", 1, "end_date", "2019-02-01")),
    odd("a listing of no days", more("listings", "2,B,2019-01-01,2019-01-01"), listings_without_days=1),
    odd("listed before birth", cell("listings", 3, "start_date", "1900-01-01"), listings_before_birth=1),
    odd(
        "listed after death",
        swap("listings", "2,A,2020-01-01,\n", "2,A,2020-01-01,2026-02-01\n2,B,2026-03-01,\n"),
        listings_after_death=1,
    ),
    odd("the end of time", cell("listings", 3, "end_date", "9999-12-31")),
    # Dispensings
    odd("dispensed after death", cell("dispensings", 2, "date", "2026-02-01"), dispensings_after_death=1),
    odd(
        "dispensed before birth",
        column("persons", "birth_month", "2026-02", "1955-01"),
        dispensings_before_birth=1,
        listings_before_birth=1,
    ),
    read("ATC in small letters", cell("dispensings", 1, "atc", "a10ba02"), atc_normalised=1),
    read("ATC with dots", cell("dispensings", 1, "atc", "A10.BA.02"), atc_normalised=1),
    read("ATC padded", cell("dispensings", 1, "atc", " A10BA02\u00a0"), atc_normalised=1),
    odd("ATC cut short", cell("dispensings", 1, "atc", "A10B"), atc_malformed_or_unknown=1),
    odd("ATC of an animal", cell("dispensings", 1, "atc", "QA10BA02"), atc_malformed_or_unknown=1),
    odd("ATC with the letter O for nought", cell("dispensings", 1, "atc", "A1OBA02"), atc_malformed_or_unknown=1),
    odd("no ATC", cell("dispensings", 1, "atc", ""), atc_missing=1),
    odd("no ATC at all", column("dispensings", "atc", "", ""), atc_missing=2),
    odd("a withdrawn ATC", cell("dispensings", 1, "atc", "N03AX16"), atc_withdrawn=1),
    odd(
        "a correction without a purchase",
        several(swap("dispensings", "2,60,20", "-2,-60,-20")),
        correction_without_purchase=1,
    ),
    odd(
        "a correction that costs",
        more("dispensings", "2,2026-01-06,C10AA05,-2,-60,20"),
        correction_with_positive_cost=1,
    ),
    odd("a row twice", more("dispensings", "2,2026-01-06,C10AA05,2,60,20"), duplicate_rows=1),
    odd("a dispensing to nobody listed", cell("dispensings", 2, "person_id", "9"), dispensings_of_unlisted_person=1),
    odd("no DDD", cell("dispensings", 1, "ddd", ""), ddd_unknown=1),
    # Parquet
    odd("no person_id among floats", parquet("dispensings", person_id=[1.0, float("nan")]),
        dispensings_of_unlisted_person=1),
    wrong("Parquet of no bytes", raw("persons.parquet", b"")),
    wrong("Parquet that is none", raw("persons.parquet", b"no such thing")),
    wrong("Parquet half written", damaged("persons", lambda whole: whole[: len(whole) // 2])),
    wrong("Parquet with a page overwritten", damaged("dispensings", corrupt_page)),
    wrong(
        "Parquet without rows",
        parquet("persons", person_id=NOTHING, sex=NOTHING, birth_month=NOTHING, death_date=NOTHING),
    ),
    wrong("Parquet with a name that is taken", parquet("persons", filename=["a", "b"])),
    wrong(
        "parts with different columns",
        several(
            parquet("dispensings", "dispensings/1.parquet"), parquet("dispensings", "dispensings/2.parquet", atc=None)
        ),
    ),
    wrong(
        "a part twice",
        several(parquet("dispensings", "dispensings/1.parquet"), parquet("dispensings", "dispensings/1 copy.parquet")),
    ),
    wrong("an empty part", several(parquet("dispensings", "dispensings/1.parquet"), raw("dispensings/2.parquet", b""))),
    wrong(
        "parts with types that do not go together",
        several(
            parquet("dispensings", "dispensings/1.parquet"),
            parquet("dispensings", "dispensings/2.parquet", cost=[[1.0], [2.0]]),
        ),
    ),
    # Workbooks
    wrong("a workbook with its header further down", workbook("persons", *((f"{c}1", None) for c in "ABCD"))),
    read("a workbook of text", workbook("persons")),
    wrong("a workbook that is none", raw("persons.xlsx", b"no such thing")),
    wrong("an empty workbook", workbook("persons", keep=False)),
    wrong("formulas without values", workbook("persons", ("B2", '=IF(1=1,"K","M")'))),
    wrong("dates as serial numbers", workbook("persons", ("D3", 46054))),
    wrong("a spreadsheet's error", workbook("dispensings", ("F2", "#N/A"))),
    wrong("a workbook that unpacks without end", repacked("persons", lambda sheet: sheet + b" " * 60_000_000)),
    wrong("a workbook of entities", repacked("persons", laughs)),
    wrong("a workbook of broken XML", repacked("persons", lambda sheet: sheet[: len(sheet) // 2])),
    read("a cell far away", workbook("persons", ("XFD1048576", " "))),
    # columns.toml
    wrong("a name in columns.toml that is none", raw("columns.toml", '[dispensings]\nEDATUM = "datum"\n')),
    wrong("a name above all tables that is none", raw("columns.toml", 'lopnr = "persn_id"\n')),
    wrong("a table in columns.toml that is none", raw("columns.toml", '[people]\nlopnr = "person_id"\n')),
    wrong("columns.toml without quotes", raw("columns.toml", "lopnr = person_id\n")),
    wrong("a list in columns.toml", raw("columns.toml", '[dispensings]\nEDATUM = ["date"]\n')),
    wrong(
        "a column in columns.toml that the file lacks", raw("columns.toml", '[dispensings]\nBRUTTO = "gross_price"\n')
    ),
    wrong(
        "columns.toml promises another date than the file's", raw("columns.toml", '[dispensings]\nEDATUM = "date"\n')
    ),
    wrong("columns.toml promises a name that no table has", raw("columns.toml", 'lopnr = "person_id"\n')),
    read(
        "columns.toml with names of several deliveries",
        several(
            raw("columns.toml", 'LOPNR = "person_id"\nlopnr = "person_id"\n[persons]\nKON = "sex"\nKon = "sex"\n'),
            swap("persons", "person_id,sex", "lopnr,Kon"),
        ),
    ),
    wrong("columns.toml with the tables as values", raw("columns.toml", 'dispensings = "EDATUM"\n')),
    # Centres and base drugs
    wrong("a centre twice", more("centres", "A,Åhus")),
    wrong("an infinite care-need index", parquet("centres", cni=[1.0, float("inf")])),
    wrong("rural perhaps", column("centres", "rural", "ja", "kanske")),
    wrong(
        "base drugs that end before they start",
        beside("base_drugs.csv", "atc,from_date,to_date\nA10,2026-01-01,2025-01-01\n"),
    ),
    # Several at once
    wrong(
        "several things wrong",
        several(
            cell("persons", 1, "sex", "X"),
            cell("listings", 3, "centre_id", "C"),
            cell("dispensings", 2, "date", "2026-13-06"),
        ),
    ),
    wrong("many of a kind", more("dispensings", *(f"1,2026-02-{d},A10BA02,1,30,10" for d in range(29, 60)))),
    # A reduced table
    cohort("cohort: an age of 200", "60,K", "200,K"),
    cohort("cohort: negative months", "M,6,200", "M,-6,200"),
    cohort("cohort: an infinite cost", "6,300", "6,1e400"),
    cohort("cohort: a person twice", "4,B,63", "3,B,63"),
    cohort("cohort: a flag that is neither", "300,0", "300,maybe"),
    cohort("cohort: a missing column", "months", "month"),
    cohort("cohort: a column twice", "months,cost", "cost,cost"),
    cohort("cohort: an odd name of a flag", "flag_asthma", "flag_=cmd()"),
    cohort("cohort: a personnummer", "\n1,A", "\n196001051231,A"),
    cohort("cohort: a centre named by a personnummer", "3,B", "3,600105-1231"),
    cohort("cohort: a weight beyond numbers", COHORT, COHORT.replace("\n", ",1e300\n").replace(",1e300", ",weight", 1)),
    cohort("cohort: nobody listed", COHORT, COHORT.replace(",6,", ",0,")),
    # Sums per centre
    totals("totals: a row of sums", TOTALS, TOTALS + "C,300,3000,150,150,40\nSumma,600,5500,300,300,80\n"),
    totals("totals: a centre twice", "B,200", "A,200"),
    totals("totals: a centre named by a personnummer", "B,200", "B 19600105-1231,200"),
    totals("totals: ages that do not add up", "60,40", "60,4"),
    totals("totals: more with the condition than listed", "110,30", "110,300"),
    totals("totals: negative months", "A,100", "A,-100"),
    totals("totals: no number", "1500", "n/a"),
    totals("totals: a missing column", "cost", "kostnad"),
    # Lists of conditions
    conditions("conditions: a misspelt column", "min_dates", "min_date"),
    conditions("conditions: a pattern for a code", "A10", "A10.*|"),
    conditions("conditions: a number that is none", "A10,2", "A10,two"),
    conditions("conditions: a number beyond bounds", "A10,2", "A10,1e300"),
    conditions("conditions: a condition that is not there", "A10,2,", "A10,2,hart"),
    conditions("conditions: a condition that asks for itself", "A10,2,", "A10,2,diabetes"),
    conditions("conditions: two spellings", "heart", "Diabetes"),
    conditions("conditions: a name that a spreadsheet would compute", "heart", "=1+1"),
    # Settings, worlds, rules and amounts
    settings("settings: a misspelt key", "condition_set", "condition_sets"),
    settings("settings: a value that cannot be", "12", "0"),
    settings("settings: no TOML", '"skane_wide"', "skane_wide"),
    settings("settings: in Windows-1252", "skane", "åsna", "cp1252"),
    world("world: a misspelt parameter", "price_sd", "price_sdd"),
    world("world: a value that cannot be", "price_sd = 0", "price_sd = -1"),
    world("world: no TOML", "price_sd = 0", "price_sd = none"),
    world("world: extends one that is not there", "skane_2026h1", "skane_2026h3"),
    wrong(
        "rule: a misspelt key",
        raw("rule.toml", 'nam = "mine"\n'),
        "study skane_2026h1 --rule region/rule.toml --out out",
    ),
    wrong(
        "grid: a misspelt key", raw("grid.toml", 'wrld = "skane_2026h1"\n'), "study --grid region/grid.toml --out out"
    ),
    amounts("amounts: a misspelt column", "sek_per_month", "sek"),
    amounts("amounts: no amount", "0,10", "0,ten"),
    amounts("amounts: an infinite amount", "0,10", "0,inf"),
    amounts("amounts: an unknown age", "K,0,", "K,3,"),
    amounts("amounts: in Windows-1252", "diabetes", "åderbråck", "cp1252"),
    amounts("amounts: a quote left open", "diabetes", '"diabetes'),
    amounts("amounts: more than anybody is paid", "K,0,10", "K,0,1e15"),
    amounts("amounts: a command in a name", "diabetes", '"diabetes\nDROP TABLE persons; --"'),
    *(wrong(f"amounts: {how}", raw("amounts.csv", "\n".join(
        line + ("," + (column if i == 0 else values[i % 2])) * (line != "")
        for i, line in enumerate(AMOUNTS.split("\n")))), "explain --age 60 --sex M --amounts region/amounts.csv")
      for how, column, values in (("a date that is none", "valid_from", ("soon", "soon")),
                                  ("two dates", "valid_from", ("2026-01-01", "2026-07-01")),
                                  ("an unknown rule", "rule", ("seen", "seen")))),
)
