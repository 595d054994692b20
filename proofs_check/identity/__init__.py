"""Polynomial identity testing over random prime fields (Schwartz-Zippel), with degree and height bounds."""
