"""What is wrong with someone's files is said in one line with what to do about it; nothing is written."""

from pathlib import Path

import pytest


def edit(folder: Path, table: str, old: str, new: str) -> None:
    path = folder / f"{table}.csv"
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == 1, (old, text[:300])
    path.write_text(text.replace(old, new), encoding="utf-8")


BAD = {
    "missing file": (lambda f: (f / "listings.csv").unlink(), ["listings"]),
    "missing column": (
        lambda f: edit(f, "dispensings", "packages,ddd,cost\n", "packages,ddd,price\n"),
        ["dispensings.csv", "column cost"],
    ),
    "wrong type": (
        lambda f: edit(f, "dispensings", "1,2024-07-15,C07AB02,1,100,40", "1,2024-07-15,C07AB02,one,100,40"),
        ["dispensings.csv", "row 1", "column packages", "'one'"],
    ),
    "impossible date": (
        lambda f: edit(f, "listings", "2,A,2020-01-01", "2,A,2020-02-30"),
        ["listings.csv", "row 3", "column start_date", "'2020-02-30'"],
    ),
    "unknown centre": (
        lambda f: edit(f, "listings", "3,B,", "3,C,"),
        ["listings.csv", "row 4", "column centre_id", "'C'", "centres.csv"],
    ),
    "overlapping listings": (
        lambda f: edit(f, "listings", "1,B,2026-02-01", "1,B,2026-01-01"),
        ["listings.csv", "row 2", "column start_date", "'2026-01-01'"],
    ),
    "negative cost": (
        lambda f: edit(f, "dispensings", "2,2024-07-15,A10BA02,1,100,55.5", "2,2024-07-15,A10BA02,1,100,-55.5"),
        ["dispensings.csv", "row 2", "column cost", "'-55.5'"],
    ),
    "duplicate person": (
        lambda f: edit(f, "persons", "3,K,2010-11,", "2,M,1966-01,\n3,K,2010-11,"),
        ["persons.csv", "row 3", "column person_id", "'2'"],
    ),
    "unreadable encoding": (
        lambda f: (f / "centres.csv").write_bytes(b"centre_id,name\nA,\xc5hus\nB,B\x81stad\n"),
        ["centres.csv", "row 2", "value", "UTF-8"],
    ),
    "empty table": (
        lambda f: (f / "dispensings.csv").write_text("person_id,date,atc,packages,ddd,cost\n"),
        ["dispensings.csv", "empty"],
    ),
    "unknown sex": (
        lambda f: edit(f, "persons", "2,M,", "2,X,"),
        ["persons.csv", "row 2", "column sex", "'X'"],
    ),
    "a listing that ends before it starts": (
        lambda f: edit(f, "listings", "1,A,2020-01-01,2026-02-01", "1,A,2020-01-01,2019-02-01"),
        ["listings.csv", "row 1", "column end_date", "'2019-02-01'"],
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_bad_files_are_named_in_one_line_and_nothing_is_written(command, region, tmp_path, what):
    spoil, named = BAD[what]
    spoil(region)
    done = command("evaluate", region, "--out", tmp_path / "out", cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "Traceback" not in done.stderr
    (line,) = done.stderr.splitlines()
    for part in named:
        assert part in line
    place, said = line.split(": ", 1)[1].rsplit(": ", 1) if line.startswith("error: ") else line.rsplit(": ", 1)
    assert ". " in said, f"no remedy after the problem: {said}"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["region"]


def test_several_things_wrong_are_said_together(command, region):
    edit(region, "persons", "2,M,", "2,X,")
    edit(region, "listings", "3,B,2020-01-01", "3,B,soon")
    done = command("check", region)
    assert done.returncode == 1
    assert "column sex" in done.stderr
    assert "column start_date" in done.stderr


def test_a_missing_folder_is_named(command, tmp_path):
    done = command("check", tmp_path / "nowhere")
    assert done.returncode in (1, 2)
    assert "nowhere" in done.stderr
    assert len(done.stderr.splitlines()) == 1
