"""Feature maps with exact inverses (T8)."""

from analytic_dd.features.base import FeatureMap, RangeCheck
from analytic_dd.features.identity import Identity
from analytic_dd.features.registry import from_spec, from_text

__all__ = ["FeatureMap", "Identity", "RangeCheck", "from_spec", "from_text"]
