"""The package's own functions in float64, judged against exact rational answers."""
