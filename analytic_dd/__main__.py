"""``python -m analytic_dd`` is the command line."""

import sys

from analytic_dd.cli import main

sys.exit(main())
