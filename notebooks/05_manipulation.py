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
# # I run a vårdcentral and want more money
#
# **The question.** What can I do under today's table, under the proposal, and under a version that was built to withstand me? What does it bring
# when all that it costs me is taken off, who pays for it, what is wasted, and will anybody notice?
#
# The region is **simulated**, at a thirtieth of Skåne's size, and its list of conditions and drugs is **assumed**. I am any one of eighteen
# centres that play, one at a time, on real rows: a pack is dispensed, the patient's fee is worked out again, the flags are read again.

# %%
import matplotlib.pyplot as plt
import pandas as pd

import lakemedelsmodell as lm
from lakemedelsmodell.manipulation.designs import DEFENDED, read_designs
from lakemedelsmodell.manipulation.planting import StarterPacks, first_half, power_curve
from lakemedelsmodell.manipulation.results import manipulate
from lakemedelsmodell.manipulation.worlds import drawn_world

SCALE = 0.03
half_year, style = drawn_world(lm.load_scenario("skane_2026h1"), scale=SCALE)
wanted = ("today", "proposal", "two_dates", "list_rules", "full_year", "highest_only", "pool", "proposal_pooled", DEFENDED,
          "listed_no_profit_pooled", "today_pooled", "composed")
designs = [d for d in read_designs() if d.name in wanted]
found = manipulate(half_year, designs=designs, efforts=(0.1, 1.0), style=style)
pd.DataFrame({"what I am paid for": {d.name: d.says for d in designs}}).style.set_properties(**{"text-align": "left"})

# %% [markdown]
# ## 1. Before I do anything: which conditions pay more than they cost?
#
# For each condition, the cheapest dispensings that make a person carry it. What I bear is my share of what the *region* pays, and the patient pays
# the first 2 000 kronor of a year. So a cheap pack costs me next to nothing.

# %%
fig, axes = plt.subplots(1, 2, figsize=(13, 5.6), layout="constrained", sharex=True)
found.plot_incentives("chronic", ax=axes[0])
found.plot_incentives("chronic_defended", ax=axes[1])

per_model = found.incentives.triggers.groupby("model", sort=False)["gain_sek"]
per_model.agg(**{"conditions that pay": lambda g: int((g > 0).sum()), "of": "size", "most, SEK per person": "max",
                 "median, SEK per person": "median"}).round(0)

# %% [markdown]
# The defended version asks for half a year's base drugs on two dates, and no amount is above twice what those cost at the price list. That takes
# most of the profit, not all: twice is still twice, and the patient's fee makes it cheaper for me than the price list says. Drugs outside the base
# do not count: I would not pay for them, so that no amount would be safe.

# %% [markdown]
# ## 2. What does each trick bring me?
#
# One in ten of those I could treat so. The money is net of my own costs, over as long as the flags last, per listed month.

# %%
def gains(effort, played_by="one"):
    rows = found.gains.query("effort == @effort and played_by == @played_by and amounts == 'frozen'")
    table = rows.pivot_table(index=["number", "strategy"], columns="design", values="gain_per_listed_month")
    return table[["today", "proposal", "list_rules", DEFENDED]].droplevel(0)

gains(0.1).style.format("{:+.2f}", na_rep="")

# %%
found.plot_gains();

# %% [markdown]
# Under today's table there is nothing to gain by prescribing. I can only choose whom to list, and when. Under the proposal I stack cheap drugs on
# people who need none, and it pays several times what chance does to my result. `everyone` is what happens when all centres do it: the money is fixed,
# so all of us lose what the drugs cost.

# %% [markdown]
# ## 3. Who pays, and what is wasted?

# %%
parts = ["reimbursement_sek", "own_cost_sek", "gain_sek", "others_lose_sek", "dead_weight_sek", "patients_pay_sek"]
worst = found.headline().set_index("design")["strategy"]
rows = found.gains.query("effort == 0.1 and played_by == 'one' and amounts == 'frozen'").set_index(["design", "strategy"])
pd.DataFrame({name: rows.loc[(name, worst[name]), parts] for name in ("today", "proposal", "list_rules", DEFENDED)}).T.assign(
    strategy=worst).style.format("{:,.0f}", subset=parts, na_rep="not known")

# %% [markdown]
# SEK per playing centre. What I gain, other centres lose: the budget is fixed. On top comes the price of drugs nobody needed (`dead_weight`), and
# what the patients pay at the counter.

# %% [markdown]
# ## 4. Will I be found?
#
# An audit compares what a centre started this year with what it started the year before (`audit`). Here a tenth of the centres dispense one pack
# of a lipid-lowering drug to more and more of their patients over 40. A hit counts at a false discovery rate of 5 %.

# %%
conditions = lm.condition_set("skane_wide")
tables = lm.simulate(scale=SCALE).tables()
packs = StarterPacks(conditions, ("lipid",), first_half(half_year.months_seen))
power = power_curve(tables, packs, ["lipid"], (0.0, 0.02, 0.05, 0.1, 0.3), conditions)
power.plot().get_legend().remove()
power

# %% [markdown]
# If I am greedy, yes; if I am patient, no. Lists are small here; on a list of full size less effort is enough to be seen. An audit is a reason not to overdo it, no
# defence.

# %% [markdown]
# ## 5. What can the region do?
#
# Each point is a way of paying: how far it leaves centres from what their own practice deserves (across), and the most that I get out of it (up).
# Down and to the left is better; pale is beaten on both.

# %%
found.plot();

# %%
shown = ["rmse_to_ideal", "fit_kept", "worst_gain", "worst_strategy", "robustness", "dominated", "recommended"]
found.frontier.set_index("design")[shown].sort_values("worst_gain").style.format(
    {"rmse_to_ideal": "{:.2f}", "fit_kept": "{:.0%}", "worst_gain": "{:.2f}", "robustness": "{:.2f}"}, na_rep="–")

# %%
verdict = found.finding()
clause = "holds" if verdict.non_dominated else "fails"
proposal, defended = (found.frontier.set_index("design").loc[d] for d in ("proposal", DEFENDED))
print(f"The verdict's clause on manipulation {clause}: {verdict.detail}.")
print(f"Worst gain: {proposal.worst_gain:.1f} SEK per listed month under the proposal, {defended.worst_gain:.1f} under "
      f"{verdict.model}; chance alone moves a centre by {found.noise_floor:.1f} at this size.")

# %% [markdown]
# **The answer.** Under today's table I can do little. Under the proposal I can do a lot, cheaply, and an audit finds me only if I am greedy. Asking
# for dates and doses alone does not change that. What does is paying no more for a condition than about what it costs to qualify for it, and
# pooling the dearest patients: that is `chronic_defended`, which keeps most of the fit and still leaves me something. Whoever wants to leave me
# nothing pays by age and sex with a pool, and gives up what the conditions tell.
