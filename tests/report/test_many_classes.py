"""1,000 classes and 2,048 features, as backbones give them: one run of the command, with its seconds by stage.

See them:  python -m pytest -m slow -s tests/report/test_many_classes.py
"""

import json
import time

import numpy as np
import pytest

from analytic_dd import cli

N, D, K, TEST = 50_000, 2_048, 1_000, 5_000


@pytest.mark.slow
def test_a_thousand_classes_of_2048_features(tmp_path, capsys):
    rng = np.random.default_rng(0)
    y = np.arange(N) % K
    X = 0.1 * rng.standard_normal((K, D), dtype=np.float32)[y]
    X += rng.standard_normal((N, D), dtype=np.float32)
    np.savez(tmp_path / "data.npz", x_train=X[TEST:], y_train=y[TEST:], x_test=X[:TEST], y_test=y[:TEST])
    del X
    started, used = time.perf_counter(), time.process_time()
    flags = ["--ridge", "1000", "--no-picture", "--offline", "--out", str(tmp_path / "set")]
    assert cli.main(["distill", "--data", str(tmp_path / "data.npz"), *flags]) == 0
    wall, cpu = time.perf_counter() - started, time.process_time() - used
    report = json.loads((tmp_path / "set" / "report.json").read_text())
    assert (report["recovery"]["verdict"], report["points"]) == ("pass", K)
    assert report["accuracies"]["distilled"] == report["accuracies"]["original"] > report["accuracies"]["random"]
    seconds = {stage: round(spent, 1) for stage, spent in report["seconds"].items() if spent >= 0.1}
    with capsys.disabled():
        print(f"\n{N - TEST:,} samples, {D:,} features, {K:,} classes: {wall:.0f} s ({cpu:.0f} s of processors)")
        print(seconds)
