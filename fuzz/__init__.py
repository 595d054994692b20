"""Mutated files of every format that is read:  python -m fuzz --minutes 10  (see ``fuzz/__main__.py``)."""
