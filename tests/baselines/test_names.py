"""The public names of the baselines, and what importing them costs."""

import subprocess
import sys


def test_torch_is_imported_by_the_iterative_methods_only():
    code = (
        "import sys, analytic_dd.baselines as b; assert 'torch' not in sys.modules; "
        "from analytic_dd.baselines import BaselineResult, distill; "
        "assert distill('dm', __import__('analytic_dd.data').data.load('digits'), config={'steps': 0}).steps == 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
