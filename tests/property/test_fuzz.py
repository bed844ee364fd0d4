"""Whatever a file holds, it is read or what is wrong is said: no traceback, no hang, no unbounded memory."""

import io
import resource
import time
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bad_inputs.makers import AMOUNTS, COHORT, CONDITIONS, GOOD, SETTINGS, TOTALS, WORLD, frame, good, joined, rows
from lakemedelsmodell.amounts import read_amounts
from lakemedelsmodell.conditions import read_condition_list
from lakemedelsmodell.data.cohort_file import read_cohort
from lakemedelsmodell.data.files import read_half_year
from lakemedelsmodell.data.totals_file import read_totals
from lakemedelsmodell.errors import UserError
from lakemedelsmodell.run import read_settings
from lakemedelsmodell.simulation.scenario import load_scenario
from lakemedelsmodell.study.grid import read_grid
from lakemedelsmodell.verdict import read_rule

Reader = Callable[[Path], object]

SECONDS, MEGABYTES = 60, 3_000
"""What one file may take, on a machine that others use too."""

NASTY = [
    *r"""NaN inf -inf 1e999 -1 0 1,5 1.5 ٣ ½ " ' '' \ ; , | =1+1 {} ${x} %s 2026-02-30 0000-00-00 99999999 20260105 nan
    1960-05 600105-1231 196001051231 A10BA02 a10 ja true K M å 💊 person_id file_ row_ NULL flag_ age_sex_ ../x #REF!
    """.split(),
    "", " ", "1 234", "9" * 400, "\0", "\ufeff", "\u2028", "\t", "\r", "\n", "\r\n", "'); DROP TABLE persons; --",
    "a" * 5000,
]
values = st.sampled_from(NASTY) | st.text(max_size=12)


def peak() -> int:
    """Most memory this process has held so far, KiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def told(read: Reader, path: Path) -> None:
    """Read, or be told in lines without a line end inside what is wrong."""
    before, started = peak(), time.perf_counter()
    try:
        read(path)
    except UserError as error:
        problems = getattr(error, "problems", ())
        assert str(error).strip()
        assert all("\n" not in str(p) and p.remedy for p in problems)
    assert time.perf_counter() - started < SECONDS
    # The peak is the process's: what a test before this one took is not counted.
    assert peak() <= max(MEGABYTES * 1024, before)


@st.composite
def spoilt_tables(draw: st.DrawFn, text: str) -> bytes:
    """A table with a few cells, rows, columns or bytes changed, in some encoding."""
    table = rows(text)
    for _ in range(draw(st.integers(0, 3))):
        row = table[draw(st.integers(0, len(table) - 1))]
        row[draw(st.integers(0, len(row) - 1))] = draw(values)
    match draw(st.sampled_from(["", "", "", "repeat", "cut", "wide"])):
        case "repeat":
            table.append(table[draw(st.integers(0, len(table) - 1))])
        case "cut":
            table = table[:draw(st.integers(0, len(table)))]
        case "wide":
            table = [[*row, draw(values)] for row in table]
    delimiter = draw(st.sampled_from(",,,;\t|"))
    done = joined(table, delimiter).encode(draw(st.sampled_from(["utf-8", "utf-8", "utf-16", "utf-8-sig"])), "replace")
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        at = draw(st.integers(0, len(done)))
        done = done[:at] + draw(st.binary(max_size=4)) + done[at + draw(st.integers(0, 2)):]
    return done


scalars = st.integers() | st.integers(-(10 ** 30), 10 ** 30) | st.floats() | st.booleans() | values | st.dates()


def as_toml(value: object) -> str:
    """A value as TOML writes it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return f"[{', '.join(map(as_toml, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{as_toml(k)} = {as_toml(v)}" for k, v in value.items()) + "}"
    if isinstance(value, str):
        kept = (c for c in value if not 0xD800 <= ord(c) < 0xE000)
        return '"' + "".join(f"\\u{ord(c):04x}" if ord(c) < 0x10000 else c for c in kept) + '"'
    return str(value)


tomls = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3)
                     | st.dictionaries(values, inner, max_size=3), max_leaves=6).map(as_toml)


@st.composite
def spoilt_tomls(draw: st.DrawFn, text: str, keys: list[str]) -> bytes:
    """A TOML file with lines more, in other words or with bytes changed."""
    lines = text.splitlines()
    for _ in range(draw(st.integers(0, 3))):
        key = draw(st.sampled_from(keys) | values.map(as_toml))
        lines.insert(draw(st.integers(0, len(lines))), draw(st.sampled_from(["{} = {}", "{} = {}", "[{}]"])).format(
            key, draw(tomls)))
    done = "\n".join(lines).encode("utf-8", "replace")
    at = draw(st.integers(0, len(done)))
    return done[:at] + draw(st.sampled_from([b"", b"", b"", b"\xff", b"\0", b"[" * 3000, b"9" * 5000])) + done[at:]


@st.composite
def spoilt_bytes(draw: st.DrawFn, whole: bytes) -> bytes:
    """A file with bytes overwritten, or cut short."""
    done = bytearray(whole)
    for _ in range(draw(st.integers(0, 4))):
        done[draw(st.integers(0, len(done) - 1))] = draw(st.integers(0, 255))
    return bytes(done[:draw(st.just(len(done)) | st.integers(0, len(done)))])


def as_parquet(table: str) -> bytes:
    out = io.BytesIO()
    frame(table).to_parquet(out, index=False)
    return out.getvalue()


def as_workbook(table: str) -> bytes:
    out = io.BytesIO()
    frame(table).to_excel(out, index=False)
    return out.getvalue()


@st.composite
def spoilt_sheets(draw: st.DrawFn, whole: bytes) -> bytes:
    """A workbook whose XML has been changed, packed well."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(whole)) as packed, zipfile.ZipFile(out, "w") as again:
        for name in packed.namelist():
            content = packed.read(name)
            if name.startswith("xl/") and name.endswith(".xml") and draw(st.booleans()):
                at = draw(st.integers(0, len(content)))
                content = content[:at] + draw(st.sampled_from(NASTY)).encode() + content[at + draw(st.integers(0, 9)):]
            again.writestr(name, content)
    return out.getvalue()


def in_half_year(path: Path) -> object:
    """Reads the folder of the file, with good tables beside it."""
    return read_half_year(path.parent)


def keys_of(text: str) -> list[str]:
    return [*tomllib.loads(text), *"name seed title extends window style departures budget period".split()]


PACKAGED = Path(__file__).resolve().parents[2] / "simulations"
GRID, RULE = ((PACKAGED / f"{name}.toml").read_text(encoding="utf-8") for name in ("grid", "verdict"))
KINDS: dict[str, tuple[str, Reader, st.SearchStrategy[bytes]]] = {
    **{table: (f"{table}.csv", in_half_year, spoilt_tables(text)) for table, text in GOOD.items()},
    "columns.toml": ("columns.toml", in_half_year, spoilt_tomls(
        '[dispensings]\nEDATUM = "date"\n', ["dispensings", "persons", "lopnr", "person_id"])),
    "parquet": ("dispensings.parquet", in_half_year, spoilt_bytes(as_parquet("dispensings"))),
    "packed workbook": ("persons.xlsx", in_half_year, spoilt_bytes(as_workbook("persons"))),
    "workbook": ("persons.xlsx", in_half_year, spoilt_sheets(as_workbook("persons"))),
    "cohort": ("cohort.csv", read_cohort, spoilt_tables(COHORT)),
    "totals": ("totals.csv", read_totals, spoilt_tables(TOTALS)),
    "conditions": ("mine.csv", read_condition_list, spoilt_tables(CONDITIONS)),
    "amounts": ("amounts.csv", read_amounts, spoilt_tables(AMOUNTS)),
    "settings": ("settings.toml", read_settings, spoilt_tomls(SETTINGS, keys_of(SETTINGS))),
    "world": ("world.toml", load_scenario, spoilt_tomls(WORLD, keys_of(WORLD))),
    "grid": ("grid.toml", read_grid, spoilt_tomls(GRID, ["world", "name"])),
    "rule": ("rule.toml", read_rule, spoilt_tomls(RULE, ["name"])),
}
FAST = {"columns.toml", "conditions", "amounts", "settings", "world", "grid", "rule"}
"""Kinds that are read in milliseconds; the others open a database."""


def fuzz(kind: str, folder: Path, examples: int) -> None:
    name, read, contents = KINDS[kind]
    good(folder)
    path = folder / name
    (folder / f"{path.stem}.csv").unlink(missing_ok=True)

    @settings(max_examples=examples, deadline=None, database=None, derandomize=True,
              suppress_health_check=list(HealthCheck))
    @given(contents)
    def run(content: bytes) -> None:
        path.write_bytes(content)
        told(read, path)

    run()


@pytest.mark.parametrize("kind", KINDS)
def test_a_spoilt_file_is_read_or_told(kind, tmp_path):
    fuzz(kind, tmp_path, 20 if kind in FAST - {"columns.toml"} else 3)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_many_spoilt_files_are_read_or_told(kind, tmp_path):
    fuzz(kind, tmp_path, 300 if kind in FAST - {"columns.toml"} else 40)


@pytest.mark.slow
def test_a_chain_of_conditions_of_any_length_is_followed(tmp_path):
    path = tmp_path / "mine.csv"
    path.write_text("condition,atc,requires\n" + "".join(f"c{i},A10,c{i + 1}\n" for i in range(990)) + "c990,A10,c0\n")
    with pytest.raises(UserError, match="in a circle"):
        read_condition_list(path)
