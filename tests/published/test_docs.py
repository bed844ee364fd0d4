"""The documentation shows what the package holds: tables are generated, examples are run."""

from pathlib import Path

from lakemedelsmodell.conditions import condition_set, read_condition_list

PROJECT = Path(__file__).resolve().parents[2]


def conditions_table() -> str:
    narrow = set(condition_set("skane_narrow").names)
    rows = [
        (
            f"`{c.name}`{'' if c.name in narrow else ' (wide)'}",
            c.label_en,
            c.theme,
            " ".join(c.include),
            " ".join(c.exclude),
            f"{c.min_dates} dates, {c.min_days_apart} days, {c.min_ddd:g} DDD",
            ", ".join(c.yields_to),
        )
        for c in condition_set("skane_wide").conditions
    ]
    head = ("condition", "label", "theme", "ATC", "but not", "`listed` asks for", "yields to")
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ("---",) * len(head), *rows))


def test_the_conditions_page_shows_the_packaged_conditions():
    table, page = conditions_table(), (PROJECT / "docs" / "conditions.md").read_text(encoding="utf-8")
    assert table in page, f"put this into docs/conditions.md:\n{table}"


def test_the_list_of_ones_own_on_the_conditions_page_can_be_read(tmp_path):
    page = (PROJECT / "docs" / "conditions.md").read_text(encoding="utf-8")
    example = tmp_path / "my_list.csv"
    example.write_text(page.split("```\n")[1], encoding="utf-8")
    assert read_condition_list(example).names == ("diabetes", "both", "asthma", "copd")


def test_the_model_of_ones_own_runs_and_is_thirty_lines(capsys):
    page = (PROJECT / "docs" / "own_model.md").read_text(encoding="utf-8")
    example = page.split("```python\n")[1].split("```")[0]
    assert len([line for line in example.splitlines() if line.strip()]) <= 30
    exec(compile(example, "own_model.md", "exec"), {"__name__": "own_model"})
    assert "smooth_age_sex" in capsys.readouterr().out
