"""What the commands are given that is not a simulated world."""

from pathlib import Path

import pytest


@pytest.fixture
def region(tmp_path) -> Path:
    """Two centres and three persons as a region might send them: CSV, written by hand."""
    folder = tmp_path / "region"
    folder.mkdir()
    for name, text in {
        "centres": "centre_id,name\nA,Vårdcentralen Åhus\nB,Vårdcentralen Båstad\n",
        "persons": "person_id,sex,birth_month,death_date\n1,K,1950-03,\n2,M,1966-01,\n3,K,2010-11,\n",
        "listings": "person_id,centre_id,start_date,end_date\n"
        "1,A,2020-01-01,2026-02-01\n1,B,2026-02-01,\n2,A,2020-01-01,\n3,B,2020-01-01,\n",
        "dispensings": "person_id,date,atc,packages,ddd,cost\n"
        + "".join(
            f"{person},{year}-{month:02d}-15,{atc},1,100,{cost}\n"
            for year, months in ((2024, range(7, 13)), (2025, range(1, 13)), (2026, range(1, 7)))
            for month in months
            for person, atc, cost in ((1, "C07AB02", 40), (2, "A10BA02", 55.5), (3, "R03AC02", 80))
        ),
    }.items():
        (folder / f"{name}.csv").write_text(text, encoding="utf-8")
    return folder
