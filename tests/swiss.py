"""The official Swiss list of pharmacy-based cost groups in the form of a condition list of one's own.

Federal Office of Public Health, PCG list 2022, and the hierarchy of VORA-EDI art. 3, as they lie in ../shared.
"""

import csv
from pathlib import Path


def read(folder: Path) -> tuple[list[dict[str, str]], list[dict[str, str]]]:
    """Rows of the list and of its hierarchy, from reference/condition_sets."""
    tables = []
    for name in ("swiss_pcg_2022.csv", "swiss_pcg_hierarchy.csv"):
        with (folder / "reference" / "condition_sets" / name).open(encoding="utf-8", newline="") as file:
            tables.append(list(csv.DictReader(file)))
    return tables[0], tables[1]


def write(folder: Path, path: Path) -> None:
    """The list of ``folder`` as a condition list at ``path``.

    ``if_has, and_has → then_becomes``: where the outcome is one of the two, the other yields to it; where it is a group
    of its own, that group requires both and the first yields to it. A group that only combines is never reported.
    """
    groups, hierarchy = read(folder)
    yields_to: dict[str, list[str]] = {}
    requires: dict[str, list[str]] = {}
    marker_only = set()
    for rule in hierarchy:
        a, b, outcome = rule["if_has"], rule["and_has"], rule["then_becomes"]
        if outcome in (a, b):
            yields_to.setdefault(b if outcome == a else a, []).append(outcome)
        else:
            requires[outcome] = [a, b]
            yields_to.setdefault(a, []).append(outcome)
        if rule["exclusive_combination"] == "1":
            marker_only.add(b)

    codes = [(row["pcg"], row["atc"], row["min_ddd"], row["min_packages"]) for row in groups]
    composed = [(name, "", "", "") for name in requires]
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["condition", "atc", "min_ddd", "min_packages", "requires", "yields_to", "marker_only"])
        for name, atc, min_ddd, min_packages in codes + composed:
            out.writerow([name, atc, min_ddd, min_packages, ";".join(requires.get(name, [])),
                          ";".join(yields_to.get(name, [])), "true" if name in marker_only else ""])


def groups_of(groups: list[dict[str, str]], hierarchy: list[dict[str, str]],
              dispensed: dict[str, tuple[float, float]]) -> set[str]:
    """Groups of one person by the Swiss rules as they are written; ``dispensed``: ATC → (DDD, packages) in the year."""
    ddd: dict[str, float] = {}
    packages: dict[str, float] = {}
    has = set()
    for row in groups:
        pcg = row["pcg"]
        of_code = dispensed.get(row["atc"], (0.0, 0.0))
        ddd[pcg] = ddd.get(pcg, 0.0) + of_code[0]
        packages[pcg] = packages.get(pcg, 0.0) + of_code[1]
        if ddd[pcg] >= float(row["min_ddd"]) if row["min_ddd"] else packages[pcg] >= float(row["min_packages"]):
            has.add(pcg)
    exclusive = [rule for rule in hierarchy if rule["exclusive_combination"] == "1"]
    for rule in exclusive:
        if {rule["if_has"], rule["and_has"]} <= has:
            has = has - {rule["if_has"]} | {rule["then_becomes"]}
    has -= {rule["and_has"] for rule in exclusive}
    for rule in hierarchy:
        if {rule["if_has"], rule["and_has"]} <= has:
            has = has - {rule["if_has"], rule["and_has"]} | {rule["then_becomes"]}
    return has
