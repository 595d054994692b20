"""The public names of the baselines, what importing them costs, and which part may import which."""

import ast
import subprocess
import sys
from pathlib import Path

import analytic_dd.baselines

ROOT = Path(analytic_dd.baselines.__file__).parent
BELOW = {"nets": {"ledger", "torch_state"}, "methods": {"ledger", "nets", "optimum", "torch_state"}}
BELOW["bench"] = {"ledger", "nets", "methods", "torch_state"}


def test_torch_is_imported_by_the_iterative_methods_only():
    code = (
        "import sys, analytic_dd.baselines as b; assert 'torch' not in sys.modules; "
        "from analytic_dd.baselines import BaselineResult, distill; "
        "assert distill('dm', __import__('analytic_dd.data').data.load('digits'), config={'steps': 0}).steps == 0"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def parts_imported(source):
    """Parts of the baselines that ``source`` imports, at the top or later."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("analytic_dd.baselines"):
            inside = node.module.split(".")[2:3]
            yield from inside or (alias.name for alias in node.names)


def part_of(path):
    """The folder of a file, or its name where it stands beside the folders."""
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def test_networks_know_no_method_and_methods_know_no_benchmark():
    paths = [path for path in ROOT.rglob("*.py") if path != ROOT / "__init__.py"]
    found = {path: set(parts_imported(path.read_text())) for path in paths}
    above = {path: parts - BELOW.get(part_of(path), set()) - {part_of(path)} for path, parts in found.items()}
    assert {path: parts for path, parts in above.items() if parts} == {}


def test_an_import_against_the_direction_is_noticed():
    source = "def f():\n    from analytic_dd.baselines.bench.evaluate import evaluate\n"
    assert set(parts_imported(source)) - BELOW["methods"] == {"bench"}
