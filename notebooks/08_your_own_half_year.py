# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Your own half-year
#
# **The question.** I have an extract from our own register, with the register's own column names and Swedish number formats. What do I have to do to
# see how far apart our centres end up under each model, and what should I check before I believe it?
#
# There is no real extract to show, so this notebook first writes one: a small **simulated** region in the form that registers really hand
# out. From part 2 on everything is as it would be with yours.

# %%
import tempfile
from pathlib import Path

import pandas as pd

import lakemedelsmodell as lm

extract = Path(tempfile.mkdtemp()) / "extract"

# %% [markdown]
# ## 1. An extract as registers make them
#
# Semicolons, decimal commas, cp1252, dates without dashes, names such as `lopnr` and `EDATUM`.

# %%
tables = {name: table.to_pandas() for name, table in lm.simulate(scale=0.02, centres=40).tables().items()}
own_names = {
    "centres": {"centre_id": "enhet", "name": "namn"},
    "persons": {"person_id": "lopnr", "sex": "kon", "birth_month": "fodelsemanad"},
    "listings": {"person_id": "lopnr", "centre_id": "enhet", "start_date": "fran", "end_date": "till"},
    "dispensings": {"person_id": "lopnr", "date": "EDATUM", "atc": "ATC", "packages": "ANTAL", "cost": "TKOST"},
}
extract.mkdir()
for name, frame in tables.items():
    if name in own_names:
        dates = [c for c in frame.columns if "date" in c]
        frame = frame.assign(**{c: pd.to_datetime(frame[c]).dt.strftime("%Y%m%d") for c in dates})
        frame.rename(columns=own_names[name]).to_csv(extract / f"{name}.csv", sep=";", decimal=",", index=False, encoding="cp1252")
print((extract / "dispensings.csv").read_text("cp1252")[:300])

# %% [markdown]
# One file says what the columns mean:

# %%
lines = [f"[{table}]\n" + "\n".join(f'{own} = "{meant}"' for meant, own in names.items()) for table, names in own_names.items()]
(extract / "columns.toml").write_text("\n\n".join(lines), encoding="utf-8")
print((extract / "columns.toml").read_text()[:220])

# %% [markdown]
# ## 2. Can it be read?
#
# Everything that was detected is said back. What is wrong stops here, all of it at once, with file, row, column, value and remedy.

# %%
half_year = lm.read_half_year(extract)
for sentence in half_year.found:
    print(sentence)
half_year

# %% [markdown]
# ## 3. Evaluate

# %%
evaluation = lm.evaluate(half_year)
for warning in evaluation.results["warnings"]:
    print("Note:", warning)
evaluation

# %% [markdown]
# ## 4. Before you believe it
#
# What was left out, how far the amounts had to be scaled to meet the budget, and which dear drugs no condition counts.

# %%
left_out = pd.Series(evaluation.results["totals"]["left_out"], name="rows or SEK")
level = pd.Series({name: model["phi"] for name, model in evaluation.results["models"].items()}, name="φ")
display(left_out.to_frame(), level.round(3).to_frame())

# %%
evaluation.coverage.query("kind == 'unmatched'").head(8) if "kind" in evaluation.coverage else evaluation.coverage.head(8)

# %% [markdown]
# ## 5. A list of conditions of your own
#
# One row per condition and code. Here: diabetes as one condition, heart failure, and inflammatory disease without low-dose steroids.

# %%
own_list = extract.parent / "my_list.csv"
own_list.write_text("""condition,atc,exclude,min_dates,min_days_apart
diabetes,A10,,2,45
heart_failure,C09DX04,,,
heart_failure,C03DA,,,
inflammatory,L04A,,,
""", encoding="utf-8")
mine = lm.evaluate(half_year, lm.Settings(condition_set=str(own_list)))
pd.DataFrame({"packaged list": evaluation.comparison.contrasts_frame().set_index(["model", "against"])["sd_ratio"],
              "my list": mine.comparison.contrasts_frame().set_index(["model", "against"])["sd_ratio"]}).head(3)

# %% [markdown]
# **The answer.** Name your columns in one file, read, evaluate. Then look at what was left out, at φ, and at the dear drugs that no condition counts,
# before the headline. On forty small simulated centres the interval is wide, and the warnings above say so: yours should have more.
# The command `python -m lakemedelsmodell evaluate my_extract` does the same and writes the report.
