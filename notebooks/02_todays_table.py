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
# # Today's table: what do two years of it tell?
#
# **The question.** The region publishes 42 amounts, in kronor per listed month by age and sex. From 2025 to 2026 every one of them fell.
# How much of that is that the region now bears more of the cost itself, how much is that drugs became cheaper, and what can the
# table not tell?
#
# Everything in this notebook but its last part is **published** by Region Skåne; nothing is simulated until it says so.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lakemedelsmodell as lm
from lakemedelsmodell import facts

before, after = lm.published_table(2025), lm.published_table(2026)
after

# %% [markdown]
# ## 1. From amount to cost
#
# An amount is meant to be the share that the centre carries (80 % in 2025, 70 % from 2026) of what a listed person of that age and sex
# is expected to cost. So amount ÷ share is the cost the region had in mind.

# %%
share = {2025: 0.80, 2026: 0.70}
cost = {2025: before.cells / share[2025], 2026: after.cells / share[2026]}
ages = facts.BAND_FROM

figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharex=True)
for ax, sex, column in ((left, "Women", 0), (right, "Men", 1)):
    for year, style in ((2025, "--"), (2026, "-")):
        ax.step(ages, cost[year][:, column], style, where="post", label=str(year))
    ax.set(title=sex, xlabel="Age", ylabel="Cost behind the table, SEK per listed month")
left.legend(frameon=False);

# %% [markdown]
# ## 2. The ratio, cell by cell
#
# The amounts are whole kronor. A published 8 may stand for anything from 7.5 to 8.5, so that the ratio of two small amounts is known
# only roughly. The bars show how far rounding alone can move it.

# %%
ratio = cost[2026] / cost[2025]
low = (after.cells - 0.5) / share[2026] / ((before.cells + 0.5) / share[2025])
high = (after.cells + 0.5) / share[2026] / ((before.cells - 0.5) / share[2025])

ax = plt.subplots(figsize=(9, 4))[1]
for column, (sex, shift) in enumerate((("Women", -0.6), ("Men", 0.6))):
    ax.errorbar(np.array(ages) + shift, ratio[:, column], [ratio[:, column] - low[:, column], high[:, column] - ratio[:, column]],
                fmt="o", ms=4, label=sex)
ax.axhline(1, color="0.5", lw=0.8)
ax.set(xlabel="Age", ylabel="Cost behind 2026 over 2025", title="Cost fell in every cell, whatever the rounding did")
ax.legend(frameon=False);

# %%
print(f"cells in which cost may be unchanged, given the rounding: {int((high >= 1).sum())} of {ratio.size}")

# %% [markdown]
# ## 3. In kronor, on the region's population
#
# The population by age and sex is public too. Together they give the level of the whole thing.

# %%
people = facts.listed_population()
listed = np.stack([people.loc[people["sex"] == s, "listed"].to_numpy(float) for s in facts.SEXES], axis=1)
yearly = pd.DataFrame({
    year: {"cost behind the table, MSEK a year": (listed * cost[year]).sum() * 12 / 1e6,
           "paid to the centres, MSEK a year": (listed * table.cells).sum() * 12 / 1e6}
    for year, table in ((2025, before), (2026, after))})
yearly.assign(change=yearly[2026] / yearly[2025] - 1).round(3)

# %%
total = yearly.loc["paid to the centres, MSEK a year"]
kept = share[2026] / share[2025]
print(f"Paid: {total[2026] / total[2025] - 1:+.1%}. Of that the lower share alone gives {kept - 1:+.1%}; "
      f"cost itself fell by {1 - total[2026] / total[2025] / kept:.1%}.")

# %% [markdown]
# ## 4. What a ratio cannot tell
#
# A cheaper cell may be a lower price, fewer patients, a patent that ended, or a new ladder of patients' fees: in July 2025 the patient's own
# part of the first kronor rose, and what the patient pays the region does not. The table holds only the sum. One part can be
# looked up: the fee a patient pays on a year's purchases before and after.

# %%
bought = np.linspace(0, 12_000, 200)
ax = plt.subplots(figsize=(7, 4))[1]
for staircase in facts.fee_staircases():
    ax.plot(bought, staircase.patient_fee(bought), label=f"periods begun from {staircase.valid_from}")
ax.set(xlabel="Bought in twelve months, SEK", ylabel="The patient pays, SEK", title="The ladder of patients' fees")
ax.legend(frameon=False);

# %% [markdown]
# ## 5. Can the table be made again from data?
#
# **From here on simulated.** The table for 2026 should be the calendar year 2025's cost per listed month times 70 %. On a region's own data
# `lm.derive_table` does that. Here it does so on the simulated region at a twentieth of its size, so that chance moves the cells
# (at full size all 42 come out equal, since that is what the simulator is calibrated to).

# %%
half_year = lm.simulate(scale=0.05).half_year()
derived = lm.derive_table(half_year, 2026)
off = (derived["derived"] - derived["published"]).abs() / derived["published"]
print(f"equal cells: {int(derived['equal'].sum())} of {len(derived)}; median distance {off.median():.1%}")
derived.head(8)

# %% [markdown]
# **The answer.** The centres' money fell by a fifth from 2025 to 2026. Most of that, 12.5 points, is that the region now bears 30 % of the cost
# instead of 20 %; the rest is that cost per listed month fell, in every age and for both sexes, by more than rounding can explain. Why it
# fell the table cannot say, and it says nothing at all about how the centres differ: for that one needs their patients.
