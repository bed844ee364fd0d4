# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # The spread: what is chance?
#
# **The question.** Centres' nets lie far apart. Under the proposal they lie less far apart. But a small centre can end far from zero by bad luck
# alone, and a better prediction makes luck smaller too. How much of the spread is chance, how much of it lasts, and what part of the
# improvement would have come had people been spread over the centres at random?
#
# The data are **simulated**, at a fifth of Skåne's size. Small lists make chance larger than it would be in reality: the sums below
# are the method, not the answer for Skåne.

# %%
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import lakemedelsmodell as lm
from lakemedelsmodell.measures.noise import noise_floor
from lakemedelsmodell.measures.true_spread import (
    funnel,
    persistence,
    pitman_morgan,
    split_half,
    spread_parts,
    true_spread,
)

simulation = lm.simulate(scale=0.2, centres=100)
half_year = simulation.half_year()
conditions = lm.condition_set("skane_wide")
fitted_on = lm.build_cohort(half_year, lm.Period.parse("2025H2"), conditions)
paid_on = lm.build_cohort(half_year, lm.Period.parse("2026H1"), conditions)
share = 0.70
tables = [lm.AgeSex().fit(fitted_on, share).rounded(), lm.ChronicConditions().fit(fitted_on, share).rounded()]
comparison = lm.compare(tables, paid_on, share)
comparison

# %% [markdown]
# ## 1. Dealing the cards again
#
# Take every person's cost less what the best model predicts for such a person, and deal these remainders out over the centres at random,
# among people of like risk. The centres' nets then differ by chance alone. How far apart? Two formulas should say the same without any dealing.

# %%
chronic = comparison.settlements["chronic"]
predicted = comparison.paid_per_month["chronic"] / (chronic.phi * share)
floor = noise_floor(paid_on, predicted, share)
floor

# %% [markdown]
# No model can bring the spread below this floor, and one that seems to has paid for chance.

# %% [markdown]
# ## 2. A funnel
#
# The smaller the list, the further from zero chance may carry a centre (to the right). The limits allow for centres differing for reasons of their
# own; a centre outside them is further out than both explain.

# %%
figure, axes = plt.subplots(1, 2, figsize=(12, 4), sharey=True)
spreads = {}
for ax, name in zip(axes, ("age_sex", "chronic"), strict=True):
    spreads[name] = true_spread(comparison.settlements[name], paid_on, comparison.paid_per_month[name])
    funnel(comparison.settlements[name], spreads[name].variance).plot(ax)
    ax.set_title(name)

# %% [markdown]
# ## 3. What is left when chance is taken off
#
# The spread's square is chance's square plus what lasts (DerSimonian & Laird). The reliability of one centre's net is the share of its distance
# from the mean that is not chance; a net shrunk by it is the best guess of where the centre would lie with an endless list.

# %%
parts = {name: spread_parts(spreads[name], floor) for name in spreads}
pd.concat(parts, names=["model"])

# %%
pd.DataFrame({name: {"SD": comparison.spreads[name].sd, "true SD": s.true_sd, "chance": s.chance_sd,
                     "mean reliability": s.mean_reliability} for name, s in spreads.items()}).round(2)

# %% [markdown]
# ## 4. Two checks that share no formula with it
#
# Split each centre's persons into halves: what the halves have in common is no chance. And pay the half-year before by the same amounts: what a
# centre keeps from one half-year to the next is no chance either (it is more than the halves share: the same persons come again).

# %%
halves = {name: split_half(paid_on, comparison.paid_per_month[name], share) for name in spreads}
before = lm.compare(tables, fitted_on, share)
kept = {name: persistence(before.settlements[name], comparison.settlements[name]) for name in spreads}
pd.DataFrame({name: {"true SD, by formula": spreads[name].true_sd,
                     "true SD, by halves": float(np.sqrt(max(halves[name].covariance, 0))),
                     "correlation with the half-year before": kept[name].correlation} for name in spreads}).round(2)

# %% [markdown]
# ## 5. Is the smaller spread more than a finer model gives by itself?
#
# Had people been spread over the centres at random, a model that predicts persons better would still bring centres closer: by the square root of
# what it leaves unexplained over what the other leaves. What goes beyond that is that sick people are *not* spread at random.

# %%
contrast = comparison.contrasts[0]
exact = pitman_morgan(chronic.net_per_month, comparison.settlements["age_sex"].net_per_month)
print(f"SD under conditions over SD under age and sex: {contrast.sd_ratio:.2f} "
      f"(95 % {np.exp(contrast.ci_low):.2f} to {np.exp(contrast.ci_high):.2f}); Pitman–Morgan p = {exact.p_value:.1g}")
print(f"random lists alone would give {contrast.random_list_ratio:.2f}")
true_ratio = spreads["chronic"].true_sd / spreads["age_sex"].true_sd
print(f"true SD over true SD: {true_ratio:.2f}")

# %% [markdown]
# **The answer.** A good part of every centre's net is luck, more the shorter its list, and no model removes it. Taken off, what lasts is
# smaller under the proposal too, and by more than a finer model would give on lists composed at random. That is what "the spread became smaller"
# can show. It cannot show whether what was removed was patients' need or the centre's own prescribing, which ought to remain: for
# that see the worlds in notebook 06.
