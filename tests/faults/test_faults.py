"""What happens to a machine happens to a run: afterwards the old result is there or the new one, whole."""

import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from lakemedelsmodell.errors import DataError
from lakemedelsmodell.folders import SCRATCH, file_hashes, scratch_folder, staged, written_folder
from lakemedelsmodell.run import evaluate_cohort_run

COMMAND = [sys.executable, "-m", "lakemedelsmodell"]
REPLACES = """
import sys
from pathlib import Path
from lakemedelsmodell.folders import written_folder
number = 0
while True:
    number += 1
    with written_folder(Path(sys.argv[1])) as stage:
        for i in range(20):
            (stage / f"{i}.txt").write_text(str(number) * 2000)
    print(number, flush=True)
"""


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> Path:
    lines = ["person_id,centre_id,age,sex,months,cost,flag_sick"]
    for i in range(192):
        sick, sex, age = i % 4 == 0, "KM"[i // 4 % 2], 20 + 10 * (i // 8 % 3)
        lines.append(f"{i},{'ABCD'[i // 48]},{age},{sex},6,{600 * sick + i % 7 * 10},{str(sick).lower()}")
    file = tmp_path_factory.mktemp("faults") / "cohort.csv"
    file.write_text("\n".join(lines) + "\n")
    return file


def run(*arguments, **how):
    return subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, check=False, **how)


def is_whole(folder: Path) -> bool:
    """Whether every file is the one its manifest tells of, and no other is there."""
    manifest = json.loads((folder / "manifest.json").read_text())
    found = file_hashes(folder)
    del found["manifest.json"]
    return found == manifest["outputs"]


def left_beside(folder: Path) -> list[str]:
    return sorted(p.name for p in folder.parent.iterdir() if p.name.startswith(f".{folder.name}."))


def finished(folder: Path) -> None:
    with written_folder(folder) as stage:
        (stage / "done.txt").write_text("done")


def test_killed_at_twenty_random_moments_one_whole_result_is_there(tmp_path):
    out, moments = tmp_path / "run", random.Random(7)
    finished(out)
    script = tmp_path / "replaces.py"
    script.write_text(REPLACES)
    for _ in range(20):
        with subprocess.Popen([sys.executable, script, out], stdout=subprocess.PIPE) as writer:
            assert writer.stdout.readline()
            time.sleep(moments.uniform(0, 0.05))
            writer.kill()
        assert is_whole(out)
    finished(out)
    assert is_whole(out)
    assert (out / "done.txt").is_file()
    assert left_beside(out) == []


@pytest.mark.slow
def test_an_evaluation_killed_at_twenty_random_moments(cohort, tmp_path):
    out, moments = tmp_path / "run", random.Random(11)
    call = [*COMMAND, "evaluate", "--cohort", cohort, "--out", out, "--no-report"]
    begun = time.perf_counter()
    assert run(*call[3:]).returncode == 0
    length = time.perf_counter() - begun
    for _ in range(20):
        with subprocess.Popen(call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
            time.sleep(moments.uniform(0, length))
            process.kill()
        assert is_whole(out)
    assert run(*call[3:]).returncode == 0
    assert left_beside(out) == []


def test_where_folders_cannot_be_exchanged_the_next_run_finds_the_old_result(tmp_path, monkeypatch):
    """Killed between taking the old folder away and putting the new one: the worst moment there is."""
    out = tmp_path / "run"
    finished(out)
    out.rename(tmp_path / ".run.old")
    (tmp_path / ".run.part").mkdir()
    with pytest.raises(RuntimeError), staged(out):
        assert is_whole(out)
        raise RuntimeError
    assert is_whole(out)
    monkeypatch.setattr("lakemedelsmodell.folders._exchange", lambda one, other: False)
    with staged(out) as stage:
        (stage / "new.txt").write_text("new")
    assert [p.name for p in out.iterdir()] == ["new.txt"]
    assert left_beside(out) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_it_clears_up_and_says_so_in_one_line(cohort, tmp_path, number):
    out = tmp_path / "run"
    finished(out)
    with subprocess.Popen([*COMMAND, "evaluate", "--cohort", cohort, "--out", out], stderr=subprocess.PIPE,
                          text=True) as process:
        while not (tmp_path / ".run.part").exists() and process.poll() is None:
            time.sleep(0.005)
        process.send_signal(number)
        said = process.stderr.read()
    assert process.returncode == 128 + number
    assert said == "stopped. What was there before is unchanged.\n"
    assert (out / "done.txt").is_file()
    assert left_beside(out) == []


@pytest.mark.slow
def test_interrupted_while_duckdb_works_nothing_else_is_said_and_no_scratch_left(tmp_path):
    """DuckDB's threads, struck while the interpreter ends, told of objects they held or aborted."""
    moments, scratch = random.Random(13), tmp_path / "scratch"
    scratch.mkdir()
    for _ in range(6):
        with subprocess.Popen([*COMMAND, "manipulate", "--scale", "0.05", "--out", tmp_path / "run"], text=True,
                              stderr=subprocess.PIPE, env=os.environ | {"TMPDIR": str(scratch)}) as process:
            while not any(scratch.iterdir()) and process.poll() is None:
                time.sleep(0.005)
            time.sleep(moments.uniform(0, 3))
            process.send_signal(signal.SIGINT)
            said = process.stderr.read()
        assert (process.returncode, said) == (130, "stopped. What was there before is unchanged.\n")
        assert [p for p in tmp_path.iterdir() if p != scratch] == list(scratch.iterdir()) == []


def test_a_link_to_a_folder_stays_one_and_the_result_lies_behind_it(cohort, tmp_path):
    disk = tmp_path / "disk"
    finished(disk / "run")
    (tmp_path / "run").symlink_to(disk / "run")
    assert run("evaluate", "--cohort", cohort, "--out", tmp_path / "run", "--no-report").returncode == 0
    assert (tmp_path / "run").is_symlink() and is_whole(disk / "run") and (disk / "run" / "results.json").is_file()
    assert left_beside(tmp_path / "run") == left_beside(disk / "run") == []


def test_a_second_run_into_the_folder_is_refused(cohort, tmp_path):
    with staged(tmp_path / "run"):
        second = run("evaluate", "--cohort", cohort, "--out", tmp_path / "run")
    assert second.returncode == 2
    assert f"is being written by another run (process {os.getpid()})" in second.stderr
    assert second.stderr.count("\n") == 1


def test_an_input_that_changes_meanwhile_is_named(cohort, tmp_path):
    file, out = tmp_path / "mine.csv", tmp_path / "run"
    file.write_bytes(cohort.read_bytes())
    finished(out)

    def meddle(_):
        file.write_bytes(cohort.read_bytes().replace(b",600,", b",601,"))

    with pytest.raises(DataError, match=r"mine\.csv: changed while it was read"):
        evaluate_cohort_run(file, out=out, progress=meddle)
    assert (out / "done.txt").is_file()
    assert left_beside(out) == []


def test_where_nothing_can_be_written_it_says_so(cohort, tmp_path):
    if os.geteuid():
        tmp_path.chmod(0o500)
    out = tmp_path / "run" if os.geteuid() else Path("/proc/run")  # root may write wherever anyone can
    done = run("evaluate", "--cohort", cohort, "--out", out)
    tmp_path.chmod(0o700)
    assert done.returncode == 2
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1


def test_a_file_too_large_leaves_the_old_result(cohort, tmp_path):
    out = tmp_path / "run"
    finished(out)
    limit = 20_000
    done = run("evaluate", "--cohort", cohort, "--out", out, "--no-report",
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)))
    assert done.returncode == 2
    assert "too large" in done.stderr
    assert done.stderr.count("\n") == 1
    assert (out / "done.txt").is_file()
    assert left_beside(out) == []


def test_a_full_disk_leaves_the_old_result(cohort, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True,
                      check=False).returncode:
        pytest.skip("only root may mount a small disk")
    try:
        finished(disk / "run")
        done = run("evaluate", "--cohort", cohort, "--out", disk / "run", "--no-report")
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        assert done.stderr.count("\n") == 1
        assert is_whole(disk / "run")
        assert left_beside(disk / "run") == []
        listings = "person_id,centre_id,start_date,end_date\n" + "".join(
            f"{i * 7919 % 1_000_003:09},{'AB'[i % 2]},20{i % 20:02}-01-{1 + i % 28:02},\n" for i in range(20_000))
        (tmp_path / "listings.csv").write_text(listings)
        done = run("check", tmp_path, env=os.environ | {"TMPDIR": str(disk)})
        assert done.returncode == 2
        assert "No space left on device" in done.stderr
        (disk / "filler").write_bytes(b"")
        with pytest.raises(OSError, match="No space"), (disk / "filler").open("wb", buffering=0) as filler:
            while True:
                filler.write(b"x" * 512)
        assert run("evaluate", "--cohort", cohort, "--out", disk / "other", "--no-report").returncode == 2
        assert sorted(p.name for p in disk.iterdir()) == ["filler", "run"]
    finally:
        subprocess.run(["umount", disk], check=True)


@pytest.mark.slow
@pytest.mark.parametrize("gib", [2, 0.3])
def test_little_memory_is_enough_or_is_named(tmp_path, gib):
    limit = int(gib * 2**30)
    out = tmp_path / "run"
    finished(out)
    done = run("simulate", "--scale", 0.01, "--centres", 12, "--out", out, "--no-report",
               env=os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
               preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_DATA, (limit, limit)))
    assert is_whole(out)
    assert left_beside(out) == []
    assert "Traceback" not in done.stderr
    if gib == 2:
        assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_study_outlives_a_worker_that_dies(tmp_path):
    out = tmp_path / "study"
    call = ["study", "skane_2026h1", "--replicates", "2", "--scale", "0.01", "--workers", "2", "--out", out]
    with subprocess.Popen([*COMMAND, *map(str, call)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                          text=True) as process:
        worker = None
        while worker is None and process.poll() is None:
            time.sleep(0.2)
            for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
                if "popen_loky" in Path(f"/proc/{child}/cmdline").read_text():
                    worker = int(child)
        time.sleep(1)
        os.kill(worker, signal.SIGKILL)
        said = process.stderr.read()
    assert process.returncode == 2
    assert said.startswith("error: a worker died")
    assert said.count("\n") == 1
    assert not (out / "study.json").exists()
    assert run(*call).returncode == 0
    assert json.loads((out / "study.json").read_text())["replicates"] == 2


def test_only_the_owner_may_read_a_run_whatever_the_umask(tmp_path):
    out = tmp_path / "run"
    before = os.umask(0)
    try:
        with written_folder(out) as stage:
            (stage / "data").mkdir()
            (stage / "data" / "persons.csv").write_text("person_id\n")
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in (out, out / "data")} == {0o700}
    assert {p.stat().st_mode & 0o777 for p in out.rglob("*.*")} == {0o600}


def test_the_scratch_of_the_dead_is_swept_and_that_of_the_living_kept(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dead = tmp_path / f"{SCRATCH}dead"
    dead.mkdir()
    (dead / "lock").touch()
    (dead / "persons.parquet").touch()
    living, remove = scratch_folder()
    assert not dead.exists()
    other, remove_other = scratch_folder()
    assert living.is_dir()
    assert living.stat().st_mode & 0o777 == 0o700
    remove()
    remove_other()
    assert list(tmp_path.iterdir()) == []
