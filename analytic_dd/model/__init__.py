"""Sources of samples, the original model, and the way from them to a distilled set."""

from analytic_dd.model.distillation import Distillation, build_map, distil, distil_model, problem_of
from analytic_dd.model.fit import LOO_SAMPLES, FitOptions, OriginalModel, fit_source, fit_sums
from analytic_dd.model.memory import Memory
from analytic_dd.model.references import choose_references, given_references
from analytic_dd.model.source import ArraySource, DatasetSource, Origin, Source, TableSource, source_of

__all__ = [
    "LOO_SAMPLES",
    "ArraySource",
    "DatasetSource",
    "Distillation",
    "FitOptions",
    "Memory",
    "Origin",
    "OriginalModel",
    "Source",
    "TableSource",
    "build_map",
    "choose_references",
    "distil",
    "distil_model",
    "fit_source",
    "fit_sums",
    "given_references",
    "problem_of",
    "source_of",
]
