"""Distilled sets in the formats of other programs. A format is a function in a registry; libraries load when used."""

from analytic_dd.export import benchmarks, folder, numbers, sklearn
from analytic_dd.export.format import FORMATS, Exported, Format, export, register

__all__ = ["FORMATS", "Exported", "Format", "benchmarks", "export", "folder", "numbers", "register", "sklearn"]
