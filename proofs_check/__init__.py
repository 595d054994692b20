"""Every theorem runs: in rational arithmetic, over prime fields, in ball arithmetic, and with its converse.

``python -m proofs_check.run`` prints the table. Nothing imports this package.
"""
