"""From a distillation to a stored set and what is reported of it."""

from analytic_dd.report.assembly import distilled_set
from analytic_dd.report.from_sums import run_from_sums
from analytic_dd.report.page import page, write_page
from analytic_dd.report.run import Report, refit, run, store_and_report
from analytic_dd.report.text import describe

__all__ = [
    "Report",
    "describe",
    "distilled_set",
    "page",
    "refit",
    "run",
    "run_from_sums",
    "store_and_report",
    "write_page",
]
