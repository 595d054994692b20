"""Ball arithmetic: rigorous enclosures of what is irrational."""
