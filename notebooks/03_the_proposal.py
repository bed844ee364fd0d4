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
# # The proposal, step by step
#
# **The question.** The region would add an amount for each chronic condition, inferred from dispensed drugs. How does a dispensing become a
# condition, a condition an amount, and an amount a centre's money? And what is odd about the result?
#
# The region's own list of conditions is not public: the one used here is **assumed**. The data are **simulated**, at a twentieth of Skåne's size.

# %%
from datetime import date

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lakemedelsmodell as lm
from lakemedelsmodell.measures.amount_intervals import amount_intervals

half_year = lm.simulate(scale=0.05).half_year()
conditions = lm.condition_set("skane_wide")
conditions

# %% [markdown]
# ## 1. From dispensing to condition
#
# Conditions are read once per half-year, from the twelve months before it. Under the proposal one dispensing is enough (`dispensed`); the
# stricter reading (`listed`) asks for two dates at least 45 days apart and enough defined daily doses.

# %%
year_before = (date(2025, 1, 1), date(2026, 1, 1))
one_is_enough = lm.read_flags(half_year, year_before, conditions, "dispensed")
stricter = lm.read_flags(half_year, year_before, conditions, "listed")
who = pd.DataFrame({"dispensed": one_is_enough[list(conditions.names)].sum(),
                    "listed": stricter[list(conditions.names)].sum()})
who.assign(lost=1 - who["listed"] / who["dispensed"]).sort_values("lost", ascending=False).style.format({"lost": "{:.0%}"})

# %% [markdown]
# What the stricter rule loses are two kinds of people: those who really only tried the drug, and those who take it irregularly.

# %% [markdown]
# ## 2. From condition to amount
#
# The amounts are what best explains the cost of July–December 2025, given who carried which condition *before* it. Add-ons may not be below 0.

# %%
fitted_on = lm.build_cohort(half_year, lm.Period.parse("2025H2"), conditions)
share = 0.70
chronic = lm.ChronicConditions(condition_set="skane_wide").fit(fitted_on, share)
age_sex = lm.AgeSex().fit(fitted_on, share)

ax = age_sex.plot()
chronic.plot(ax=ax)
ax.set(title="What is left for age and sex when conditions are paid apart", ylim=(-40, None))
ax.legend(["Women, today", "Men, today", "Women, beside conditions", "Men, beside conditions"], frameon=False);

# %%
sure = amount_intervals(chronic, chronic, fitted_on, fitted_on, share, 1.0).query("kind == 'condition'").sort_values("sek_per_month")
labels = [conditions[c].label("en") for c in sure["name"]]
fig, ax = plt.subplots(figsize=(7, 6))
ax.errorbar(sure["sek_per_month"], labels, xerr=sure["ci_high"] - sure["sek_per_month"], fmt="o", color="0.3")
ax.set(xlabel="Add-on, SEK per listed month, with its 95 % interval", title="What a condition brings the centre");

# %% [markdown]
# The intervals take centres as independent and their persons as not: other centres would have set other amounts. At the whole region's size they
# are a few kronor wide.

# %% [markdown]
# ## 3. Why are some base amounts below 0?
#
# Because costs do not add up. The patient pays the first part of a year's cost, so one cheap drug costs the region next to nothing, while a
# second and third cost it their full price. Add-ons that simply add up must then be too high for those with one condition, and
# the base takes it back from everyone of that age. Look at what people cost by the number of conditions they hold:

# %%
number = fitted_on.flags["dispensed"].sum(axis=1)
by_number = pd.DataFrame({"conditions": np.minimum(number, 6), "cost": fitted_on.cost, "months": fitted_on.months})
sums = by_number.groupby("conditions").sum()
paid = pd.Series(chronic.per_month(fitted_on.cell, fitted_on.flags["dispensed"]) * fitted_on.months).groupby(by_number["conditions"]).sum()
per_month = pd.DataFrame({"the centre's cost": share * sums["cost"] / sums["months"], "the amounts": paid / sums["months"]})
ax = per_month.plot.bar(figsize=(7, 4), rot=0)
ax.set(xlabel="Conditions held (6: six or more)", ylabel="SEK per listed month", title="Straight sums miss a curved cost");

# %% [markdown]
# ## 4. One person
#
# The region's two examples. Both are men of 60; today their centre gets the same for both.

# %%
table = chronic.rounded()
table.explain(60, "M")

# %%
table.explain(60, "M", ["diabetes_oral", "ihd_antiplatelet", "doak", "inflammatorisk", "cancer_hormon"])

# %% [markdown]
# ## 5. From amount to a centre's money
#
# The table is rounded to whole kronor and frozen. It is then paid on January–June 2026 with conditions read anew. One factor φ closes the sum
# to the budget; what is over or short of a whole öre goes by largest remainders.

# %%
paid_on = lm.build_cohort(half_year, lm.Period.parse("2026H1"), conditions)
comparison = lm.compare([age_sex.rounded(), table], paid_on, share)
settled = comparison.settlements["chronic"]
print(f"φ = {settled.phi:.4f}; {settled.reimbursement_ore.sum() / 100:,.2f} SEK paid, budget {settled.budget_ore / 100:,.2f} SEK")
comparison.centres_frame().query("model == 'chronic'").head()

# %%
comparison.plot();

# %% [markdown]
# **The answer.** A dispensing becomes a condition by a list and a window, a condition becomes an amount by regression on the half-year before, and
# the amount is paid as it stands. Two things deserve a decision before anyone pays from it: one dispensing is enough to set a flag that pays for
# half a year at least (notebook 05), and a table that simply adds up ends with amounts below 0 for healthy men in their prime.
