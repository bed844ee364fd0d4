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
# # Worlds: where does the proposal lose, and where does the sign flip?
#
# **The question.** In a simulated region the spread of the centres' nets shrinks when chronic conditions are paid for.
# Would it in any region? A simulation whose generator and payment model share one idea proves nothing, so there are
# worlds in which the proposal *must* lose, and a rule, written down as a file, that says what losing is. In which does
# it lose, by which clause, and which assumption turns the sign?
#
# The simulator knows diseases and never payment groups. It also knows what no region can: what every person was expected
# to cost at average practice, and what each centre's own prescribing style costs. The **ideal net** of a centre is minus
# its own style: need paid for, style borne.

# %%
import matplotlib.pyplot as plt
import pandas as pd

from lakemedelsmodell.simulation import load_scenario
from lakemedelsmodell.study import (
    packaged_grid,
    packaged_measures,
    packaged_newcomers,
    packaged_worlds,
    read_rule,
    study,
)

pd.set_option("display.width", 160, "display.max_colwidth", 90)

# %% [markdown]
# ## 1. Three worlds, drawn here
#
# Few persons and few draws, so that it takes a minute at most: every list is some 160 persons, and chance is most of any
# spread. Enough to see what a study is. Worlds share their random numbers and differ only where they are made to.

# %%
worlds = ["random_lists", "no_chronic_effect", "style_creates_flags"]
drawn = study([load_scenario(name) for name in worlds], replicates=3, scale=0.02)
print(drawn)

# %%
drawn.plot();

# %% [markdown]
# Each clause is printed with its number. `undecided` is what the rule says while manipulation has not been played, or
# while draws are too few to tell; `against` needs one clause that fails.

# %% [markdown]
# ## 2. All worlds, at a size that tells something
#
# These were drawn beforehand and ship with the package; the table says how large and how often.

# %%
verdicts = packaged_worlds()
verdicts.drop_duplicates("world").set_index("world")[["title_en", "scale", "seed", "replicates", "decision"]]

# %%
said = {True: "holds", False: "FAILS", None: "–"}
clauses = verdicts.assign(holds=[said[holds] for holds in verdicts["holds"]]).pivot(
    index="world", columns="clause", values="holds")
clauses[list(verdicts["clause"].unique())]

# %% [markdown]
# The clauses that fail, with their numbers:

# %%
failed = verdicts[[holds is False for holds in verdicts["holds"]]]
failed[["world", "clause", "number", "threshold", "detail"]].reset_index(drop=True)

# %% [markdown]
# ### A smaller spread is not by itself a gain
#
# To the left the spread shrinks. Above the line the centres end up *further* from their ideal net although it does.

# %%
measures = packaged_measures().set_index(["model", "measure", "world"])["value"].sort_index()
change_of_sd = measures["chronic", "sd"] - measures["age_sex", "sd"]
change_of_rmse = measures["chronic", "rmse_change.age_sex"]
ax = plt.subplots(figsize=(7, 5))[1]
ax.axhline(0, color="0.4", lw=0.8)
ax.axvline(0, color="0.4", lw=0.8)
ax.plot(change_of_sd, change_of_rmse[change_of_sd.index], "o", ms=5)
for world, x in change_of_sd.items():
    ax.annotate(world, (x, change_of_rmse[world]), xytext=(5, 4), textcoords="offset points", fontsize=8)
ax.set(xlabel="Change of the SD of centres' nets, SEK per listed month",
       ylabel="Change of the distance (RMSE) to the ideal net")
ax.margins(x=0.2);

# %% [markdown]
# ### Against whom it wins
#
# The default world: every model beside today's table, re-derived on the same data. `log_sd_ratio` below 0: the centres end
# up closer together. `rmse_to_ideal` is what should be small. `oracle` knows every person's expected cost, `boosting` is
# what the same flags could do at best; neither can be paid.

# %%
default = packaged_measures().query("world == 'skane_2026h1'")
table = default.pivot(index="model", columns="measure", values="value")[["sd", "r2", "pass_through", "rmse_to_ideal",
                                                                         "log_sd_ratio.age_sex"]]
table.sort_values("sd").round(3)

# %% [markdown]
# ### Would an amount for newcomers help?
#
# Where the clause on groups fails, it mostly does for those who were listed nowhere in the look-back and so can have no
# conditions. `chronic_newcomers` is the proposal with one amount for them. The same clause with it in the proposal's
# place:

# %%
packaged_newcomers().round(2)

# %% [markdown]
# ## 3. Where the sign flips
#
# One assumption at a time, from one end of its range to the other, the others as in the default world. Purple is below
# 0, orange above; hatched where the draws of a point do not agree on the sign; a bar where it turns.

# %%
grid = packaged_grid()
print(f"{len(grid.table)} points; draws of each: {grid.table['replicates'].iloc[0]}; scale {grid.table['scale'].iloc[0]}")
grid.plot_map();

# %% [markdown]
# The headline is Δ, the first strip. All assumptions at once, at the points of a Latin hypercube, give the change of each
# measure from the low to the high end (`effect` ± `effect_se`). `negative_low` and `negative_high` are the shares of draws
# below 0 at the two ends; `flips_from` and `flips_to` where the ends of the 95 % interval over draws turn:

# %%
flips = grid.flips()
flips[flips["measure"].isin(["log_sd_ratio", "rmse_change", "pass_through_change"])].drop(columns=["unit"]).round(3)

# %% [markdown]
# ### Does the answer hang on how much centres differ in illness, or on the list of conditions?
#
# The headline at a coefficient of variation over centres of 0, 5, 10, 15 and 30 % in every disease; and with the
# therapeutic subgroups of ATC level 2 as conditions, a list that nobody chose for what it weighs.

# %%
grid.along("prevalence_cv")[["prevalence_cv", "log_sd_ratio", "beyond_random", "log_sd_ratio_pool",
                             "log_sd_ratio_atc2", "rmse_change"]].round(3)

# %% [markdown]
# ## The answer

# %%
decided = verdicts.drop_duplicates("world").set_index("world")["decision"]
lost = decided[decided == "against"]
print(f"By the rule {read_rule().name} the proposal is rejected in {len(lost)} of {len(decided)} worlds: "
      f"{', '.join(lost.index)}.")
first = flips.set_index(["measure", "dimension"])["flips_at"]
for measure, name in (("log_sd_ratio", "The spread"), ("rmse_change", "The distance to the ideal net")):
    turns = [f"{dimension} at {at:.3g}" for dimension, at in first[measure].dropna().items()]
    print(f"{name} turns against the proposal, or for it, along {len(turns)} of {first[measure].size} assumptions"
          f"{': ' + ', '.join(turns) if turns else ''}.")

# %% [markdown]
# The proposal brings centres closer together in five of the nine worlds. It does not where disease is milder where it is common, where
# codes go missing at some centres more than at others, where conditions tell nothing of cost or where the dear drugs lie
# outside the list. And where it does, a smaller spread is not yet a gain: part of a centre's own prescribing is paid
# back to it, above all where centres differ in how readily they treat, and newcomers, who can have no flags, are paid
# too little. By the rule it is not to be recommended as it stands, in the default world either. What would have to change
# is named by the clauses: an amount for newcomers, as above, and conditions that style does not create so easily.
#
# Two reservations. The grid has few draws per point. And what manipulation would do the rule sees only where it has been
# played (`study --manipulation`); here it has not.
