"""``python -m analytic_dd``, and the script ``analytic-dd``: the command line, also while its parts are loaded."""

import sys

__all__ = ["main"]


def main() -> int:
    """Load the command line and run it; an interrupt meanwhile is one line and exit status 130."""
    try:
        from analytic_dd.cli import main as run

        return run()
    except KeyboardInterrupt:
        print("analytic-dd: interrupted; what was there before is intact", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
