"""``torch.distributed`` with gloo: two processes of torchrun on loopback, each with the sums of its share."""

import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest

from analytic_dd import cli
from analytic_dd.cluster import all_reduce_statistics, torchrun_shard
from analytic_dd.linalg import GramStatistics

SCRIPT = textwrap.dedent(
    r"""
    import os
    import sys
    import warnings

    import numpy as np
    import torch
    import torch.distributed as dist

    from analytic_dd import cli
    from analytic_dd.cluster import all_reduce_statistics
    from analytic_dd.linalg import GramStatistics, Provenance

    warnings.filterwarnings("error", category=UserWarning, module=r"analytic_dd(\.|$)")
    rank, folder = int(os.environ["RANK"]), sys.argv[1]
    command = ["stats", "--data", "digits", "--state", f"{folder}/command/state"]
    assert cli.main([*command, "--out", f"{folder}/command/sums.npz"]) == 0
    dist.init_process_group("gloo", init_method=f"file://{folder}/meet", rank=rank, world_size=2)
    rng = np.random.default_rng(5)
    Phi, Y = rng.standard_normal((41, 7)), rng.standard_normal((41, 3))
    share = slice(0, 13) if rank == 0 else slice(13, 41)

    def told(start, stop, **more):
        return Provenance.of({"map": "identity"} | more, data="d", sha256="s", start=start, stop=stop)

    for kind in (np.asarray, torch.as_tensor):
        mine = GramStatistics(7, 3).update(kind(Phi[share]), kind(Y[share]))
        mine.provenance = told(share.start, share.stop)
        before = mine.n
        total = all_reduce_statistics(mine)
        assert type(total.G) is type(mine.G) and mine.n == before
        assert total.provenance == told(0, 41)
        total.save(f"{folder}/{kind.__name__}-{rank}.npz")

    empty = GramStatistics(7, 3)  # one process may have no samples
    if rank == 1:
        empty.update(Phi, Y)
    assert all_reduce_statistics(empty).n == 41

    def refused(statistics, message):
        try:
            all_reduce_statistics(statistics)
        except ValueError as error:
            assert message in str(error), error
        else:
            raise AssertionError("not refused")

    refused(GramStatistics(7 + rank, 3), "same p and k, got (7, 3) and (8, 3)")
    refused(GramStatistics(7, 3), "no process has samples")
    mine.provenance = told(share.start, share.stop, mean=[float(rank)])
    refused(mine, "different mean do not add: [0.0] and [1.0]")
    mine.provenance = None if rank else told(share.start, share.stop)
    refused(mine, "some processes have a provenance and others none")
    dist.destroy_process_group()
    """
)


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """Run the script by torchrun, and return what it printed and the folder with what it wrote."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "process.py").write_text(SCRIPT)
    (folder / "command").mkdir()
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    environment = {"GLOO_SOCKET_IFNAME": "lo", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, str(folder / "process.py"), str(folder)],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout, folder


def test_two_processes_get_the_sums_of_all(two_processes, ratio):
    _, folder = two_processes
    rng = np.random.default_rng(5)
    wanted = GramStatistics(7, 3).update(rng.standard_normal((41, 7)), rng.standard_normal((41, 3)))
    for kind in ("asarray", "as_tensor"):
        first, second = (GramStatistics.load(folder / f"{kind}-{rank}.npz") for rank in (0, 1))
        for name in ("G", "C", "yy", "sum_phi", "sum_y"):
            assert ratio(getattr(first, name), getattr(wanted, name), size=41) < 30
            assert np.array_equal(getattr(first, name), getattr(second, name))
        assert first.n == second.n == 41
        assert first.weight == 41.0


def test_without_a_group_it_is_refused():
    with pytest.raises(RuntimeError, match=r"call torch[.]distributed[.]init_process_group first"):
        all_reduce_statistics(GramStatistics(2, 1).update(np.ones((1, 2)), np.ones((1, 1))))


def test_the_command_in_processes_of_torchrun_writes_the_sums_of_all(two_processes, tmp_path, ratio):
    printed, folder = two_processes
    assert len(printed.splitlines()) == 1  # of the first process
    assert sorted(file.name for file in (folder / "command").iterdir()) == ["state.1", "state.2", "sums.npz"]
    found = GramStatistics.load(folder / "command" / "sums.npz")
    cli.main(["stats", "--data", "digits", "--out", str(tmp_path / "whole.npz")])
    wanted = GramStatistics.load(tmp_path / "whole.npz")
    assert found.n == found.provenance.count == wanted.n
    for name in ("G", "C"):
        assert ratio(getattr(found, name), getattr(wanted, name), size=found.n) < 30


def test_under_torchrun_no_shard_is_asked_for(tmp_path, monkeypatch, capsys):
    for name, value in (("TORCHELASTIC_RUN_ID", "none"), ("RANK", "1"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    assert torchrun_shard() == (2, 2)
    assert cli.main(["stats", "--shard", "1/3", "--out", str(tmp_path / "sums.npz")]) == 2
    assert "leave out --shard 1/3" in capsys.readouterr().err
