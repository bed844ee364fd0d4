"""Rare persons are planted in a region; nothing that a run writes outside its data may tell of them."""

import io
import json
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path

import pandas as pd
import pytest

from lakemedelsmodell.folders import written_folder
from lakemedelsmodell.privacy import check_anonymity

OLDEST, FIRST, SECOND = 990000001, 990000002, 990000003
OLDEST_COST, SMALL_COST, OTHER_COST = 31415.92, 27182.81, 1618.03
OWN_CODE = "V03AE99"
NAME = '=HYPERLINK("http://x","Lilla & <b>vårdcentralen</b>")'
ALPHA = 0.7


@pytest.fixture(scope="session")
def planted(tiny_run, tmp_path_factory) -> Path:
    """The data of the tiny world with a woman of 104, who alone gets one drug, and a centre of two persons."""
    folder = tmp_path_factory.mktemp("planted") / "region"
    shutil.copytree(tiny_run / "data", folder)
    tables = {name: pd.read_parquet(folder / f"{name}.parquet") for name in
              ("centres", "persons", "listings", "dispensings")}
    first_centre = tables["centres"]["centre_id"].iloc[0]

    def add(table, **columns):
        rows = pd.DataFrame(columns)
        tables[table] = pd.concat([tables[table], rows.reindex(columns=tables[table].columns)], ignore_index=True)

    add("centres", centre_id=["VC999"], name=[NAME])
    for column in ("operator", "cni", "rural"):
        if column in tables["centres"]:
            tables["centres"][column] = tables["centres"][column].fillna(tables["centres"][column].iloc[0])
    add("persons", person_id=[OLDEST, FIRST, SECOND], sex=["K", "M", "K"],
        birth_month=["1921-03", "1950-05", "1980-08"])
    start = date(2020, 1, 1)
    add("listings", person_id=[OLDEST, FIRST, SECOND], centre_id=[first_centre, "VC999", "VC999"],
        start_date=[start] * 3)
    days = [date(2024, 7, 15) + timedelta(days=30 * i) for i in range(24)]
    for person, code, cost in ((OLDEST, OWN_CODE, OLDEST_COST), (FIRST, "C07AB02", SMALL_COST),
                               (SECOND, "A10BA02", OTHER_COST)):
        columns = {"person_id": person, "date": days, "atc": code, "packages": 1, "ddd": 100.0, "cost": cost,
                   "gross_price": cost + 1, "in_base": True, "dose_dispensed": False}
        add("dispensings", **{k: v if k == "date" else [v] * len(days) for k, v in columns.items()
                              if k in tables["dispensings"]})
    for name, frame in tables.items():
        frame.to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def reduced(planted: Path, folder: Path) -> dict[str, Path]:
    """The region as a reduced table, and as sums per centre."""
    people, listings, bought = (pd.read_parquet(planted / f"{name}.parquet") for name in
                                ("persons", "listings", "dispensings"))
    bought = bought[pd.to_datetime(bought["date"]) >= "2026-01-01"]
    listed = listings[listings["end_date"].isna()].merge(people, on="person_id")
    cohort = pd.DataFrame({
        "person_id": listed["person_id"], "centre_id": listed["centre_id"], "sex": listed["sex"],
        "age": 2026 - listed["birth_month"].str[:4].astype(int), "months": 6,
        "cost": listed["person_id"].map(bought.groupby("person_id")["cost"].sum()).fillna(0.0),
        "flag_diabetes": listed["person_id"].isin(bought.loc[bought["atc"].str.startswith("A10"), "person_id"]),
        "flag_own": listed["person_id"] == OLDEST})
    sums = cohort.assign(age_sex_old=cohort["months"] * (cohort["age"] >= 60),
                         age_sex_young=cohort["months"] * (cohort["age"] < 60),
                         flag_diabetes=cohort["months"] * cohort["flag_diabetes"],
                         flag_own=cohort["months"] * cohort["flag_own"])
    sums = sums.drop(columns=["person_id", "age", "sex"]).groupby("centre_id", as_index=False).sum()
    for name, frame in (("cohort", cohort), ("totals", sums)):
        frame.to_csv(folder / f"{name}.csv", index=False)
    return {name: folder / f"{name}.csv" for name in ("cohort", "totals")}


def refused(planted: Path, folder: Path) -> Path:
    """The region with the planted persons in everything that can be wrong with a row."""
    shutil.copytree(planted, folder)
    for name, spoilt in (("persons", {"sex": "X", "birth_month": "1921-13"}), ("listings", {"centre_id": "VC998"}),
                         ("dispensings", {"atc": None, "packages": -1, "cost": OLDEST_COST})):
        frame = pd.read_parquet(folder / f"{name}.parquet")
        rows = frame["person_id"].isin([OLDEST, FIRST, SECOND])
        for column, value in spoilt.items():
            frame.loc[rows, column] = value
        pd.concat([frame, frame[rows]]).to_parquet(folder / f"{name}.parquet", index=False)
    return folder


def tell(command, out: Path, calls: Mapping[str, tuple[object, ...]], kept: bool = True) -> None:
    """What a command writes into a folder of its name, and what it says into a log beside it."""
    for name, call in calls.items():
        done = command(*call, *(("--out", out / name) if kept else ()))
        assert done.returncode == (name == "refused"), (name, done.stderr)
        (out / f"{name}.log").write_text(done.stdout + done.stderr)


@pytest.fixture(scope="session")
def found(command, planted, tmp_path_factory) -> Path:
    """What is written and said of the region, one folder and one log a command."""
    out, data = tmp_path_factory.mktemp("told"), tmp_path_factory.mktemp("reduced")
    amounts = out / "run" / "amounts.csv"
    tell(command, out, {
        "run": ("evaluate", planted), "audit": ("audit", planted), "published": ("publish", amounts),
        "totals": ("evaluate", "--totals", reduced(planted, data)["totals"]),
        "may": ("pay", amounts, planted, "--month", "2026-05"),
        "june": ("pay", amounts, planted, "--month", "2026-06", "--previous", out / "may")})
    tell(command, out, {
        "table": ("table", "--derive", planted), "check": ("check", planted),
        "explain": ("explain", "--age", "104", "--sex", "K", "--amounts", amounts),
        "sql": ("sql", amounts, "--dialect", "tsql", "--month", "2026-06"),
        "refused": ("check", refused(planted, data / "wrong"))}, kept=False)
    return out


@pytest.fixture(scope="session")
def found_besides(command, planted, found, tmp_path_factory) -> Path:
    """The same of commands that take longer."""
    out, data = tmp_path_factory.mktemp("besides"), tmp_path_factory.mktemp("reduced")
    amounts = found / "run" / "amounts.csv"
    tell(command, out, {
        "months": ("evaluate", planted, "--period", "2026-01..2026-02"),
        "cohort": ("evaluate", "--cohort", reduced(planted, data)["cohort"]),
        "manipulated": ("manipulate", planted, "--effort", "0,1", "--strategies", "1,9,10"),
        "days": ("pay", amounts, planted, "--month", "2026-06", "--months", "days"),
        "report": ("report", found / "run")})
    tell(command, out, {"reproduce": ("reproduce", found / "run")}, kept=False)
    return out


def texts(folder: Path):
    """Every file's text by its name, workbooks' sheets included; what lies in data/ is of persons by design."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and "data" not in p.relative_to(folder).parts[:-1]):
        if path.suffix == ".xlsx":
            with zipfile.ZipFile(io.BytesIO(path.read_bytes())) as book:
                for name in book.namelist():
                    yield f"{path.name}/{name}", book.read(name).decode("utf-8", "replace")
        else:
            yield path.relative_to(folder).as_posix(), path.read_text(encoding="utf-8", errors="replace")


def written(sek: float) -> re.Pattern[str]:
    """A sum in any form: its whole kronor, with whichever thousands separator, rounded or not."""
    numbers = {f"{int(x):,}".replace(",", "[^0-9.]{0,6}") for x in (sek, sek + 0.5)}
    return re.compile(rf"(?<![\d.,])(?:{'|'.join(sorted(numbers))})(?!\d)")


def sums(cost: float) -> list[float]:
    """What a person's dispensings of ``cost`` a month come to, and the centre's share of it."""
    return [x for months in (1, 6, 12, 24) for x in (cost * months, ALPHA * cost * months)]


def betrayed(folder: Path) -> list[tuple[str, str]]:
    """Places that tell of the planted persons: their ids, births and drugs, and what they cost alone or together."""
    patterns = [re.compile(r) for r in (rf"\b{OLDEST}\b", rf"\b{FIRST}\b", rf"\b{SECOND}\b", "1921-03", OWN_CODE)]
    small = [SMALL_COST + OTHER_COST, SMALL_COST, OLDEST_COST]
    patterns += [written(sek) for cost in small for sek in sums(cost)]
    return [(name, hit[0]) for name, text in texts(folder) for pattern in patterns if (hit := pattern.search(text))]


def test_nothing_tells_of_planted_persons(found):
    assert betrayed(found) == []


@pytest.mark.slow
def test_nothing_tells_of_planted_persons_besides(found_besides):
    assert betrayed(found_besides) == []


def test_a_centre_of_two_persons_is_named_and_nothing_said_of_it_or_of_one_other(found):
    frame = pd.read_csv(found / "run" / "centres.csv")
    empty = frame[frame["listed_months"].isna()]
    assert empty["centre_id"].nunique() == 2
    assert "VC999" in set(empty["centre_id"])
    assert empty.drop(columns=["centre_id", "name", "model"]).isna().all(axis=None)
    contributions = pd.read_csv(found / "run" / "contributions.csv")
    assert not set(contributions["centre_id"]) & set(empty["centre_id"])
    results = json.loads((found / "run" / "results.json").read_text())
    centres = [row["centre_id"] for entry in (results["price_style"], *(m for r in results["repricing"]
               for m in r["models"].values())) for row in entry.get("centres", ())]
    assert centres
    assert not set(centres) & set(empty["centre_id"])
    lowest = frame.groupby("model")["net_sek_per_listed_month"].min()
    for name, model in results["models"].items():
        assert model["spread"]["min"] == pytest.approx(lowest[name])


def test_what_a_centre_of_two_persons_gets_is_not_explained(command, found):
    done = command("explain", found / "run", "--centre", "VC999")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: What VC999 gets is not shown: fewer than five persons could be told of.\n"


def test_groups_of_few_are_hidden_with_one_more_of_their_family(found):
    groups = json.loads((found / "run" / "results.json").read_text())["models"]["chronic"]["predictive_ratios"]
    bands = {name: group["persons"] for name, group in groups.items() if name.startswith("age:")}
    assert bands["age:>100"] is None
    assert sum(persons is None for persons in bands.values()) >= 2
    assert all(persons is None or persons >= 5 for persons in bands.values())


def test_a_name_is_shown_and_never_computed_or_run(found):
    for name in ("centres.csv",):
        text = (found / "run" / name).read_text(encoding="utf-8")
        assert "=HYPERLINK" in text
        assert not re.search(r'(^|,)"?=', text, re.MULTILINE)
    for page in (found / "run").glob("*.html"):
        assert "<b>vårdcentralen</b>" not in page.read_text(encoding="utf-8")
    with zipfile.ZipFile(found / "run" / "results.xlsx") as book:
        assert not [name for name in book.namelist() if b"<f>" in book.read(name)]


NO_NETWORK = """
import socket
def refuse(*_, **__):
    raise RuntimeError("the network is forbidden")
for name in ("connect", "connect_ex", "bind", "sendto"):
    setattr(socket.socket, name, refuse)
socket.create_connection = socket.getaddrinfo = refuse
"""


@pytest.mark.slow
def test_the_main_commands_need_no_network(tiny_run, tmp_path, monkeypatch, command):
    (tmp_path / "sitecustomize.py").write_text(NO_NETWORK)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    refused = __import__("subprocess").run([sys.executable, "-c", "import socket; socket.getaddrinfo('localhost', 80)"],
                                           capture_output=True, text=True, check=False)
    assert "the network is forbidden" in refused.stderr
    out = tmp_path / "out"
    for call in (("simulate", "--scale", "0.01", "--centres", "12", "--out", out / "run"),
                 ("check", tiny_run / "data"), ("evaluate", tiny_run / "data", "--out", out / "again"),
                 ("explain", "--age", "60", "--sex", "M"), ("audit", tiny_run, "--out", out / "audit"),
                 ("table", "--derive", tiny_run / "data"),
                 ("publish", tiny_run / "amounts.csv", "--out", out / "published"),
                 ("report", tiny_run, "--out", out / "report"), ("anonymise-check", out / "published"),
                 ("flags", tiny_run, "--conditions", "skane_wide", "--out", out / "flags.csv"),
                 ("pay", tiny_run / "amounts.csv", tiny_run, "--month", "2026-06", "--out", out / "june"),
                 ("sql", tiny_run / "amounts.csv", "--dialect", "tsql", "--month", "2026-06"),
                 ("manipulate", tiny_run, "--strategies", "1", "--effort", "0,1", "--out", out / "played"),
                 ("study", "random_lists", "--scale", "0.005", "--replicates", "2", "--out", out / "study"),
                 ("reproduce", out / "run")):
        done = command(*call)
        assert done.returncode == 0, (call, done.stderr)


def test_no_file_is_unpickled_and_no_text_evaluated():
    forbidden = re.compile(r"\bimport pickle\b|\bpickle\.|read_pickle|joblib\.load|(?<![\w.])(?:eval|exec)\(|"
                           r"allow_pickle=True|yaml\.load|shell=True|urllib\.request|\brequests\b|http\.client")
    source = Path(__file__).resolve().parents[2] / "src"
    found = [(path.name, hit[0]) for path in source.rglob("*.py") if (hit := forbidden.search(path.read_text("utf-8")))]
    assert found == []


def test_a_run_may_be_handed_on_without_its_data(command, tiny_run, found, tmp_path):
    done = command("anonymise-check", tiny_run)
    assert done.returncode == 1
    assert "data/persons.parquet: data/ holds rows of persons" in done.stdout
    assert "truth/" in done.stdout
    for folder in (tiny_run, *(p for p in found.iterdir() if p.is_dir())):
        copy = tmp_path / folder.name
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("data", "truth"))
        done = command("anonymise-check", copy)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(("name", "text", "said"), [
    ("cohort.csv", "person_id;centre_id\n1;A\n", "has a row for each person"),
    ("groups.csv", "group,persons\na,12\nb,3\n", "row 2, column persons: tells of fewer than 5 persons"),
    ("results.json", '{"models": [{"persons": 4}]}', "column models[0].persons: tells of fewer than 5"),
    ("note.md", "Se 19121212-1212.\n", "what could be a personal number"),
    ("broken.json", "{", "cannot be read as JSON"),
    ("broken.parquet", "PAR", "cannot be read"),
    ("cohort.txt", "person_id|centre_id\n1|A\n", "has a row for each person"),
    ("sums.csv", "centre\n191212121212\n", "row 2: has what could be a personal number"),
    ("query.sql", "-- 19121212+1212\n", "row 1: has what could be a personal number"),
    ("19121212-1212.csv", "a,b\n", "its name holds what could be a personal number"),
    ("long.csv", f"persons\n{'9' * 200_000}\n", "cannot be read as a table"),
    ("packed.zip", "PK\3\4\0", "cannot be looked into"),
    ("photo", "\0", "cannot be looked into"),
])
def test_what_speaks_against_handing_on_is_named(tmp_path, name, text, said):
    (tmp_path / name).write_text(text)
    problems = check_anonymity(tmp_path)
    assert any(said in str(problem) for problem in problems), problems
    assert "1912" not in "".join(map(str, problems))


def test_what_is_no_file_or_in_another_encoding_is_looked_at_too(tmp_path):
    (tmp_path / "cohort.csv").write_text("person_id,centre_id\n1,A\n", encoding="utf-16")
    extract = pd.DataFrame({"Extract": ["person_id", 1], "": ["note", "19121212-1212"]})
    extract.to_excel(tmp_path / "a.xlsx", index=False)
    (tmp_path / "elsewhere").symlink_to("/")
    (tmp_path / "gone.csv").symlink_to("nowhere")
    assert [str(problem) for problem in check_anonymity(tmp_path)] == [
        "a.xlsx/Sheet1: has a row for each person (column person_id). Leave the file out.",
        "a.xlsx/Sheet1, row 2: has what could be a personal number. Look at the line, and leave it out.",
        "cohort.csv: has a row for each person (column person_id). Leave the file out.",
        "elsewhere: is no file of its own, but a link or a device. Leave it out.",
        "gone.csv: is no file of its own, but a link or a device. Leave it out."]


def test_a_picture_is_handed_on_only_as_a_command_wrote_it(tmp_path):
    with written_folder(tmp_path / "out") as stage:
        (stage / "table.pdf").write_bytes(b"%PDF\0")
    assert check_anonymity(tmp_path / "out") == []
    (tmp_path / "out" / "table.pdf").write_bytes(b"%PDF\0 another")
    assert "cannot be looked into" in str(check_anonymity(tmp_path / "out"))
