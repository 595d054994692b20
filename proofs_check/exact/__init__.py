"""Rational arithmetic: equality without tolerance."""
