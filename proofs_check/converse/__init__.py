"""Necessity: what cannot be done is tried, exactly and by direct optimisation."""
