"""The analysis plan replicated over worlds: what holds in which, where the sign flips, and the verdict."""

from lakemedelsmodell.study.folder import StudyRun, study_run
from lakemedelsmodell.study.grid import Grid, GridResult, read_grid, run_grid
from lakemedelsmodell.study.packaged import packaged_grid, packaged_measures, packaged_newcomers, packaged_worlds
from lakemedelsmodell.study.replicate import Replicate, replicate
from lakemedelsmodell.study.studies import Study, study
from lakemedelsmodell.verdict import Clause, ManipulationFinding, Rule, Verdict, judge, judge_results, read_rule

__all__ = ["Clause", "Grid", "GridResult", "ManipulationFinding", "Replicate", "Rule", "Study", "StudyRun", "Verdict",
           "judge", "judge_results", "packaged_grid", "packaged_measures", "packaged_newcomers", "packaged_worlds",
           "read_grid", "read_rule", "replicate", "run_grid", "study", "study_run"]
