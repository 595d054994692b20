"""The iterative methods, and what they share."""
