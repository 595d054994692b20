"""Experts: copies of weights, the same ones whatever the order, files, counts, divergence."""

import logging

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from analytic_dd import data
from analytic_dd.baselines.ledger import Ledger
from analytic_dd.baselines.methods.experts import Experts, Training, train_expert
from analytic_dd.baselines.methods.task import Task
from analytic_dd.baselines.nets.augment import Augmentation
from analytic_dd.baselines.nets.network import MultiLayerPerceptron
from analytic_dd.errors import DataError, DivergenceError
from analytic_dd.files import read_npz, write_npz

NETWORK = MultiLayerPerceptron((1, 4, 5), 3, widths=(6,))


def task(seed=0, dtype=torch.float32):
    """The task of a small data set: 23 images in classes of 12, 10 and 1."""
    rng = np.random.default_rng(seed)
    y = np.repeat([0, 1, 2], [12, 10, 1])
    x = np.clip(128 + 40 * y[:, None, None] + 30 * rng.standard_normal((23, 4, 5)), 0, 255).astype(np.uint8)
    return Task.of(data.Dataset.from_arrays(x, y, name="small", split=False), dtype=dtype)


def experts(training=None, *, seed=0, dataset=None, folder=None, **others):
    """Experts of the small data set with their ledger."""
    training = training or Training(3, lr=0.1, batch=8)
    return Experts(NETWORK, dataset or task(), training, seed=seed, ledger=Ledger(), folder=folder, **others)


def equal(one, other):
    """Whether two dictionaries of tensors are the same bits."""
    return one.keys() == other.keys() and all(torch.equal(value, other[name]) for name, value in one.items())


def test_snapshots_share_no_storage_with_each_other_or_with_what_is_trained():
    found = experts()[0]
    epochs = [found.at(epoch) for epoch in range(4)]
    assert len({epoch["0.weight"].data_ptr() for epoch in epochs}) == 4
    kept = found.snapshots["0.weight"].clone()
    for epoch in epochs:
        epoch["0.weight"].zero_()
    assert torch.equal(found.snapshots["0.weight"], kept)
    steps = (kept[1:] - kept[:-1]).flatten(1).norm(dim=1)
    assert bool((steps > 1e-3).all())  # they would be zero if snapshots were views of the weights in training


def test_an_expert_is_trained_by_plain_gradient_descent(ratio):
    small = task(dtype=torch.float64)
    found = train_expert(NETWORK, small, Training(2, lr=0.1, batch=100), generator=torch.Generator().manual_seed(0))
    weights = NETWORK.draw(torch.Generator().manual_seed(0), dtype=torch.float64)
    assert equal(found.at(0), weights)
    images, labels = small.images(torch.arange(23)), small.labels(torch.arange(23))
    for _ in range(2):
        slope = torch.func.grad(lambda w: F.cross_entropy(NETWORK.logits(w, images), labels))(weights)
        weights = {name: value - 0.1 * slope[name] for name, value in weights.items()}
    for name, value in found.at(2).items():
        assert ratio(value, weights[name], size=23) < 30


def test_an_expert_depends_on_the_seed_and_its_number_alone():
    one, two = experts(), experts()
    forwards, backwards = [one[0], one[3]], [two[3], two[0]][::-1]
    assert all(equal(a.snapshots, b.snapshots) for a, b in zip(forwards, backwards, strict=True))
    assert not equal(forwards[0].snapshots, forwards[1].snapshots)
    assert not equal(experts(seed=1)[0].snapshots, forwards[0].snapshots)


def test_fewer_epochs_are_the_beginning_of_more():
    short, long = experts(Training(2, lr=0.1, batch=8))[1], experts(Training(5, lr=0.1, batch=8))[1]
    assert equal(short.snapshots, long.beginning(2).snapshots)
    assert short.beginning(5) is None


def test_the_last_weights_alone_may_be_kept():
    whole, last = experts(Training(3, lr=0.1, batch=8)), experts(Training(3, lr=0.1, batch=8, every=False))
    assert equal(whole[2].at(3), last[2].at(3))
    assert whole[2].nbytes == 4 * last[2].nbytes == whole.ledger.expert_bytes == 4 * last.ledger.expert_bytes
    with pytest.raises(IndexError, match=r"epoch must be 3 \.\. 3, got 0"):
        last[2].at(0)
    assert last[2].beginning(2) is None


@pytest.mark.parametrize("epoch", [-1, 4])
def test_epochs_that_are_not_there_are_refused(epoch):
    with pytest.raises(IndexError, match=r"epoch must be 0 \.\. 3"):
        experts()[0].at(epoch)


def test_the_ledger_counts_an_expert_once():
    found = experts()
    for index in (0, 2, 0, 2, 2):
        found[index]
    ledger = found.ledger
    assert (ledger.real_forward, ledger.real_backward) == (2 * 3 * 23, 2 * 3 * 23)
    assert ledger.network_steps == 2 * 3 * 3  # batches of 8, 8 and 7
    assert ledger.expert_bytes == 2 * 4 * NETWORK.size() * 4
    assert found.counted == {0, 2}
    again = experts()
    again.counted = {0}
    again[0], again[2]
    assert again.ledger.real_forward == 3 * 23
    assert found.passes(2) == {name: getattr(ledger, name) for name in found.passes(2)}


def test_a_folder_gives_back_the_same_bits(tmp_path):
    made = experts(folder=tmp_path)
    first = made[1]
    assert [path.name for path in tmp_path.iterdir()] == [made.path(1).name]
    read = experts(folder=tmp_path)
    stamp = made.path(1).stat().st_mtime_ns
    assert equal(read[1].snapshots, first.snapshots)
    assert equal(read[1].snapshots, experts()[1].snapshots)
    assert made.path(1).stat().st_mtime_ns == stamp  # nothing was trained again
    assert read.ledger.real_forward == 3 * 23  # what it took is counted all the same,
    assert read.ledger.wall_seconds == pytest.approx(first.seconds[:, 0].sum())  # with the seconds of then


def test_a_longer_expert_on_file_serves_and_a_shorter_one_is_replaced(tmp_path):
    long = experts(Training(5, lr=0.1, batch=8), folder=tmp_path)
    long[0]
    stamp = long.path(0).stat().st_mtime_ns
    short = experts(Training(2, lr=0.1, batch=8), folder=tmp_path)
    assert short.path(0) == long.path(0)
    assert short[0].epochs == 2
    assert short.ledger.expert_bytes == 3 * NETWORK.size() * 4
    assert long.path(0).stat().st_mtime_ns == stamp
    longer = experts(Training(6, lr=0.1, batch=8), folder=tmp_path)
    assert longer[0].epochs == 6
    assert experts(Training(6, lr=0.1, batch=8), folder=tmp_path)[0].epochs == 6


@pytest.mark.parametrize(
    "other",
    [
        {"seed": 1},
        {"training": Training(3, lr=0.2, batch=8)},
        {"training": Training(3, lr=0.1, batch=7)},
        {"training": Training(3, lr=0.1, batch=8, scheme="he")},
        {"training": Training(3, lr=0.1, batch=8, every=False)},
        {"training": Training(3, lr=0.1, batch=8, augmentation=Augmentation())},
        {"dataset": task(seed=1)},
        {"dataset": task(dtype=torch.float64)},
    ],
    ids=str,
)
def test_other_experts_have_other_files(other, tmp_path):
    assert experts(folder=tmp_path).path(0) != experts(folder=tmp_path, **other).path(0)
    assert experts(folder=tmp_path).path(0) != experts(folder=tmp_path).path(1)


def test_a_file_that_is_another_expert_is_refused(tmp_path):
    made = experts(folder=tmp_path)
    made[0]
    made.path(0).rename(made.path(1))
    with pytest.raises(DataError, match=r"expert-.*-0001.npz is not the expert it should be .*; remove it"):
        experts(folder=tmp_path)[1]
    made.path(2).write_bytes(b"no archive")
    with pytest.raises(DataError, match="not a readable npz file"):
        experts(folder=tmp_path)[2]


def test_memory_is_bounded_where_experts_are_on_file(tmp_path):
    found = experts(folder=tmp_path, memory=1.0)
    first = found[0].snapshots
    found[1]
    assert list(found._kept) == [1]
    assert equal(found[0].snapshots, first)
    assert found.ledger.real_forward == 2 * 3 * 23
    kept = experts(memory=1.0)
    kept[0], kept[1]
    assert list(kept._kept) == [0, 1]


def test_an_expert_that_diverges_names_the_epoch_and_the_knob():
    with pytest.raises(DivergenceError, match=r"not finite after epoch 1; lower expert_lr, 1e\+30 now"):
        experts(Training(3, lr=1e30, batch=8))[0]


def test_progress_is_logged_with_the_time_left(caplog):
    with caplog.at_level(logging.INFO, logger="analytic_dd.baselines.methods.experts"):
        experts()[4]
    lines = [record.getMessage() for record in caplog.records]
    assert lines[0] == "expert 4 is trained for 3 epochs"
    assert [line.partition(":")[0] for line in lines[1:]] == ["epoch 1 of 3", "epoch 2 of 3", "epoch 3 of 3"]
    assert lines[-1].endswith("0 s left")


@pytest.mark.parametrize("dtype", [np.float64, np.float16, np.int64, np.complex128])
def test_a_file_with_weights_of_another_dtype_is_refused(dtype, tmp_path):
    made = experts(folder=tmp_path)
    made[0]
    arrays = read_npz(made.path(0))
    name = next(name for name in arrays if name.startswith("weights/"))
    write_npz(made.path(0), arrays | {name: arrays[name].astype(dtype)})
    with pytest.raises(DataError, match=r"its weights must be finite torch\.float32.*; remove it"):
        experts(folder=tmp_path)[0]
