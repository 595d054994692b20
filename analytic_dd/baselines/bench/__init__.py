"""The benchmark: which cells it has, how a set is made and scored, its rows and its table."""
