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
# # Real data: do chronic conditions bring centres closer together where nobody made the data up?
#
# **The question.** Everything else in this project is tried on a simulated region. A simulation can be built, without
# anybody meaning to, so that its conclusion is in it from the start. What happens with real people and real practices?
#
# Three public data sets, none of them Swedish, each with its own gap:
#
# | data | unit | cost | conditions | gap |
# |---|---|---|---|---|
# | England 2018 | 5 778 general practices | prescription **items** | six QOF registers (diagnosed by the practice) | items are not money |
# | England 2018/19 | 191 areas | the same items | twenty QOF registers of the same year | few and large |
# | MEPS 2012–2015 | 138 000 US person-years | dollars on medicines | fourteen, **self-reported** | no centres |
#
# **None of them shows conditions inferred from dispensed drugs**, which is what Region Skåne proposes. They can say
# whether conditions carry something that age and sex do not, how much, and which measures notice. They cannot say what
# happens when the drug that is paid for is itself the evidence.

# %%
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import display

import lakemedelsmodell as lm
from lakemedelsmodell import models
from lakemedelsmodell.data.totals_file import Totals, read_totals
from lakemedelsmodell.measures import compare
from lakemedelsmodell.measures.totals import compare_totals

project = next(p for p in (Path.cwd(), *Path.cwd().parents) if (p / "tests" / "england.py").exists())
sys.path.insert(0, str(project / "tests"))  # the recipes that the tests use too
shared = project.parent / "shared"
here = (shared / "real").is_dir()
scratch = Path(tempfile.mkdtemp())
if not here:
    print("The public data lie in a folder ../shared beside the project. It is not here: the cells below do nothing.")

# %% [markdown]
# ## 1. England, practice by practice
#
# Nobody hands out English patients. A practice's list by age and sex, its registers and its prescription items are
# public, and that is enough: cost and the **sums** of the design columns per centre. The same file is what a region can
# make inside its own walls and carry out (`evaluate --totals FILE`): one row per centre, and not a single person.

# %%
if here:
    import england

    england.practices(shared).to_csv(scratch / "england.csv", index=False)
    practices = read_totals(scratch / "england.csv")
    display(practices)
    display(pd.read_csv(scratch / "england.csv").iloc[:3, [0, 1, 2, 3, 4, 43, 44, 45, -1]].round(0))

# %% [markdown]
# Every practice is paid by amounts set **without it** (leave one out). What is left is how far what it would have been
# paid lies from what it issued, in per cent of the mean.

# %%
NAMES = {"flat": "the same for all", "index_astro_pu": "ASTRO-PU: a national index from 2013",
         "age_sex": "age and sex, re-estimated", "age_sex_covariates": "… + deprivation",
         "chronic": "age and sex + six registers", "chronic_covariates": "… + six registers + deprivation"}
if here:
    compared = compare_totals(practices, 0.7, resamples=500)
    sd = compared.per_cent()["sd"]
    fig, ax = plt.subplots(figsize=(8, 3))
    shown = sd[list(NAMES)][::-1]
    ax.barh([NAMES[m] for m in shown.index], shown, color=["C0" if "chronic" in m else "0.75" for m in shown.index])
    ax.bar_label(ax.containers[0], fmt="%.1f", padding=3)
    ax.set(xlabel="SD of (paid − issued), % of mean", xlim=(0, 37),
           title=f"{len(practices.months):,} English practices, 2018")
    ax.spines[["top", "right"]].set_visible(False)

# %%
if here:
    contrasts = compared.comparison.contrasts_frame()[["model", "against", "sd_ratio", "ci_low", "ci_high"]]
    contrasts[["ci_low", "ci_high"]] = np.exp(contrasts[["ci_low", "ci_high"]])
    display(contrasts.round(3))

# %% [markdown]
# Three things to take home.
#
# - **Compare with a re-estimated age and sex table, or the gain is flattered.** Against the national index of 2013 the
#   registers look more than twice as good as they do against the same table with fresh amounts. Most of that lead is not
#   the conditions'; it is that somebody estimated anew.
# - **Deprivation alone does as much as six registers.** One number per practice is a competitor the proposal has to beat.
# - Together they do more than either, but **most of the spread stays**. Some of it is chance, some is how a practice
#   prescribes (which should stay), and here some is how many weeks a repeat prescription covers: items are not money.

# %%
if here:
    issued = 12 * practices.cost / practices.months
    fig, axes = plt.subplots(1, 3, figsize=(11, 3.8), sharex=True, sharey=True)
    for ax, model in zip(axes, ("index_astro_pu", "age_sex", "chronic_covariates"), strict=True):
        ax.hexbin(12 * compared.fits[model].left_out, issued, gridsize=50, extent=(0, 40, 0, 40), bins="log", cmap="Blues")
        ax.plot([0, 40], [0, 40], color="0.3", lw=0.8)
        ax.set(xlabel="paid for, from the other practices", title=NAMES[model])
        ax.title.set_fontsize(9)
    axes[0].set_ylabel("issued, items per patient and year")

# %% [markdown]
# ### What totals cannot do
#
# Forty age and sex amounts, estimated from practices instead of persons: neighbouring ages live on the same lists, so
# practices cannot tell them apart. The payments are good (above), the amounts are not: they swing by hundreds of items
# and nobody could publish them. Whoever wants a table to pay from needs persons, or wider bands.

# %%
if here:
    astro = pd.read_csv(shared / "real" / "astro_pu" / "astro_pu_2013.csv")
    amounts = compared.amounts_frame().query("model == 'age_sex'").astype({"age_from": int})
    index_amount = compared.fits["index_astro_pu"].amounts[0]
    fig, ax = plt.subplots(figsize=(8, 3.5))
    for sex, color, name, column in (("K", "C1", "women", "items_female"), ("M", "C0", "men", "items_male")):
        one = amounts[amounts["sex"] == sex]
        ax.step(one["age_from"], 12 * one["sek_per_month"] / 0.7, where="post", color=color, label=f"{name}, from totals")
        ax.step([int(b.split("-")[0].rstrip("+")) for b in astro["age_band"]], 12 * index_amount * astro[column],
                where="post", color=color, ls=":", label=f"{name}, ASTRO-PU scaled")
    ax.axhline(0, color="0.3", lw=0.8)
    below = sum(amount < 0 for amount in compared.fits["age_sex"].amounts)
    ax.set(xlabel="Age", ylabel="Items per person and year", title=f"{below} of 40 amounts lie below 0")
    ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# ## 2. England, area by area: when two measures disagree
#
# The same items in 191 areas, now with twenty registers of the same year.

# %%
if here:
    areas = Totals.from_frame(england.areas(shared))
    by_area = compare_totals(areas, 0.7)
    display(pd.DataFrame({"R² of areas": {m: f.r2 for m, f in by_area.comparison.fits.items()},
                          "SD, %": by_area.per_cent()["sd"], "P90−P10, %": by_area.per_cent()["p90_p10"]}).round(2))
    by_area.comparison.plot().set(ylabel="Net, 0.7 × items per listed month", xlabel="Areas, by net under age_sex");

# %% [markdown]
# R² rises and the SD falls by 15 %. P90−P10 falls by half as much. Which of them is right? Resample the areas, and ask
# each measure how sure it is.

# %%
if here:
    nets = {m: by_area.comparison.settlements[m].net_per_month for m in ("chronic", "age_sex")}
    pick = np.random.default_rng(1).integers(0, len(areas.months), (4000, len(areas.months)))
    measures = {"SD": lambda n: n.std(axis=-1), "P90−P10": lambda n: np.subtract(*np.percentile(n, [90, 10], axis=-1))}
    fig, ax = plt.subplots(figsize=(8, 2))
    for i, (name, measure) in enumerate(measures.items()):
        low, high = np.quantile(measure(nets["chronic"][pick]) / measure(nets["age_sex"][pick]), [0.025, 0.975])
        ax.plot([low, high], [i, i], color="C0", lw=3, solid_capstyle="round")
        ax.plot(measure(nets["chronic"]) / measure(nets["age_sex"]), i, "o", color="C0")
        print(f"{name}: the ratio of chronic to age and sex is {low:.2f} to {high:.2f} (95 %)")
    ax.axvline(1, color="0.3", lw=0.8)
    ax.set(yticks=range(len(measures)), yticklabels=list(measures), ylim=(-0.6, 1.6),
           xlabel="spread with conditions ÷ without")

# %% [markdown]
# They do not disagree; one of them knows less. A percentile rests on the few areas around it, the SD on all of them. This
# is why the SD ratio with its interval is the primary contrast here, and why no percentile is reported without one. (How
# much P90−P10 moves depends on the recipe: 3 to 12 % down with bands of 5 to 15 years, and an earlier look at the same
# data had it not shrink at all. With bands of five years 191 areas have too many amounts to set, and the gain is gone.)

# %% [markdown]
# ## 3. MEPS: persons, dollars, self-reported conditions
#
# A US household survey: what each person spent on prescribed medicines in a year and fourteen conditions "ever told by a
# doctor". No centres, so the question is fit for persons. *Capped* is fitted and measured on spending capped at its 99th
# percentile: a handful of very dear years otherwise decides R². *Next year* pays for the spending of the following
# year, as a payment known in advance must.

# %%
if here:
    import real_data

    def fit_of(frame: pd.DataFrame) -> pd.DataFrame:
        """Every model that these columns allow, out of fold; last year's spending where the year before is known."""
        frame.drop(columns="before", errors="ignore").to_parquet(scratch / "meps.parquet", index=False)
        cohort = lm.read_cohort(scratch / "meps.parquet")  # in the order of person_id
        tables = (models.AgeSex(), models.Count(), models.HighestOnly(), models.ChronicNonnegative(),
                  models.ChronicConditions())
        payers = {model.name: models.out_of_fold(model, cohort, 1.0) for model in tables}
        payers["boosting"] = models.Boosting().fit(cohort, 1.0, cohort)
        if "before" in frame:
            known = replace(cohort, prior_cost=frame.sort_values("person_id")["before"].to_numpy() / 12)
            payers["last_cost"] = models.LastCost().fit(known, 1.0, known)
        fits = compare(payers, cohort, 1.0, contrasts=[]).fits
        return pd.DataFrame({m: {"R²": f.r2, "CPM": f.cpm} for m, f in fits.items()}).T

    as_spent, capped = real_data.meps(shared), real_data.meps(shared, capped_at=0.99)
    cases = {"as spent": as_spent, "capped": capped,
             "next year": real_data.next_year(as_spent), "next year, capped": real_data.next_year(capped)}
    meps = pd.concat({name: fit_of(frame) for name, frame in cases.items()})
    for measure in ("R²", "CPM"):
        display(meps[measure].unstack(0)[list(cases)].rename_axis(measure).sort_values("next year").round(3))

# %%
if here:
    fig, axes = plt.subplots(1, 2, figsize=(10, 3))
    for ax, measure in zip(axes, ("R²", "CPM"), strict=True):
        wide = meps[measure].unstack().loc[list(cases)]
        for offset, model, color, label in ((-0.2, "age_sex", "0.75", "age and sex"),
                                            (0.2, "chronic", "C0", "+ fourteen conditions")):
            ax.bar(np.arange(len(cases)) + offset, wide[model], 0.4, color=color, label=label)
        ax.set_xticks(range(len(cases)), list(cases), fontsize=8)
        ax.set_title(measure)
        ax.spines[["top", "right"]].set_visible(False)
    axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    axes[0].set_ylim(0, 0.32)

# %% [markdown]
# R² is two to three times that of age and sex, this year or next, and still most of the differences between **persons**
# are unexplained. A plain count of conditions keeps most of the gain, and boosted trees add nothing to a sum of add-ons.
# What a person spent last year tells more than fourteen conditions do; it is never paid, since it would pay back cost.
# A centre's list averages persons out: what counts there is what its patients have in common. So a large gain in R² need
# not be a large gain in spread, and on randomly composed lists it would be √((1−R²₁)/(1−R²₀)):

# %%
if here:
    fits = meps["R²"].unstack()
    ratio = np.sqrt((1 - fits["chronic"]) / (1 - fits["age_sex"])).loc[list(cases)]
    display(ratio.round(3).to_frame("SD ratio on random lists"))

# %% [markdown]
# ## The answer
#
# **Yes, somewhat.** With real practices the spread falls by about a tenth when conditions join a re-estimated age and sex
# table, and by a seventh in large areas; with real persons R² is two to three times as high. Three warnings come with
# it: most of what a proposal seems to win over an *old* table is the re-estimation; a plain deprivation index wins as much
# as six registers; and measures differ in what they can tell, so a spread without its interval says little.
#
# **What this does not show.** The English registers are diagnoses that practices made and the American conditions are
# what people say they were told. Neither is inferred from dispensed drugs. Whether drug-inferred conditions do as well,
# and what happens to them once they are paid for, is seen in none of these data.
