"""A torch module that the user names or passes: distilled, stored, verified, and refused with other weights."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from analytic_dd import FitOptions, RidgeDistiller, cli, data, distill, load_distilled
from analytic_dd.distill import NearCopies
from analytic_dd.errors import DataError
from analytic_dd.features import Network
from analytic_dd.features.modules import load_weights, module_named

torch = pytest.importorskip("torch")

FACTORY = """
import torch

def make(seed=0):
    torch.manual_seed(seed)
    layers = torch.nn.Flatten(), torch.nn.Linear(64, 90), torch.nn.Tanh(), torch.nn.Linear(90, 100), torch.nn.Tanh()
    return torch.nn.Sequential(*layers).double()

def other():
    return make(1)

def text():
    return "no module"
"""


@pytest.fixture
def named(tmp_path, monkeypatch):
    """A module of the user's in the working directory."""
    (tmp_path / "their_networks.py").write_text(FACTORY)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "their_networks", raising=False)
    return "network:their_networks:make"


def refused(capsys, *arguments):
    assert cli.main(list(arguments)) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1
    assert "='" not in line
    return line


def test_a_module_on_the_command_line(named, tmp_path, capsys):
    flags = ["--mode", "near-copies", "--ridge", "1", "--out", "set"]
    assert cli.main(["distill", "--features", named, *flags, "--save-module"]) == 0
    shown = capsys.readouterr().out
    assert "features network (p = 100)" in shown
    assert "what it is for: it carries this model on this map" in shown
    assert sorted(file.name for file in (tmp_path / "set").glob("*.*")) == [
        *("distilled.npz", "distilled.png", "module.safetensors", "report.json")
    ]
    assert cli.main(["verify", "set", "--features", named]) == 0
    # weights beside the set are read into whatever module has these layers
    assert cli.main(["verify", "set", "--features", "network:their_networks:other"]) == 0
    assert cli.main(["show", "set", "--features", named]) == 0
    assert "is code" in refused(capsys, "verify", "set")
    (tmp_path / "set" / "module.safetensors").write_bytes(b"no weights")
    assert "must hold the weights" in refused(capsys, "verify", "set", "--features", named)
    (tmp_path / "set" / "module.safetensors").unlink()
    assert cli.main(["verify", "set", "--features", named]) == 0
    capsys.readouterr()
    assert "name it with --features network:PACKAGE.MODULE:FACTORY" in refused(capsys, "verify", "set")
    assert "sha256 differ" in refused(capsys, "verify", "set", "--features", "network:their_networks:other")
    assert "stored in the set" in refused(capsys, "verify", "set", "--features", "identity")


@pytest.mark.parametrize(
    ("features", "words"),
    [
        ("network", "need a function that makes the module, got ''; write network:PACKAGE.MODULE:FACTORY"),
        ("network:json", "write network:PACKAGE.MODULE:FACTORY"),
        ("network:no_such_package.nets:make", "cannot import the function no_such_package.nets:make"),
        ("network:their_networks:missing", "no attribute 'missing'"),
        ("network:their_networks:text", "must return a torch module, got str"),
        ("network:os:path", "must be a function without arguments that returns a torch module, got an object of type"),
        ("network:json:loads", "must be a function without arguments that returns a torch module, got one with"),
    ],
)
def test_what_names_no_module_is_refused_in_one_line(named, capsys, features, words):
    assert words in refused(capsys, "distill", "--features", features)


def test_weights_of_other_maps_are_not_stored(named, capsys):
    line = refused(capsys, "distill", "--features", "rff", "--save-module")
    assert "--save-module is for a torch module (network:...), got --features rff; leave it out" in line


def test_a_function_that_makes_a_module_in_training_mode_is_said(tmp_path, monkeypatch):
    lines = "import torch", "def make():", "    return torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.Dropout())"
    (tmp_path / "dropped.py").write_text("\n".join(lines) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.warns(UserWarning, match="dropped:make makes a module in training mode; its dropout .* off"):
        assert not module_named("dropped:make").training


def test_a_module_in_the_estimator():
    digits = data.load("digits")
    X, y = digits.x_train[:400].reshape(400, 64) / 16.0, digits.y_train[:400]
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(64, 90), torch.nn.GELU()).double().eval()
    model = clone(RidgeDistiller(net, mode="near-copies", bases=3, ridge=1.0, largest_change=0.005, random_state=0))
    model.fit(X, y)
    assert model.certificate_.verdict == "pass"
    assert model.distilled_X_.shape == (3 * 11, 64)
    near = np.abs(model.distilled_X_[:, None] - X).max(axis=2).min(axis=1)  # of the nearest sample
    assert 0.0 < near.max() <= 0.005 * np.ptp(X)
    assert np.sum(near == 0.0) == 3


def test_a_module_in_one_call(tmp_path):
    digits = data.load("digits")
    X, y = digits.x_train / 16.0, digits.y_train
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 8, 3), torch.nn.SiLU(), torch.nn.AvgPool2d(2), torch.nn.Flatten())
    net = net.double().eval()
    made = distill(X, y, features=net, construction=NearCopies(), fit=FitOptions(ridge=1.0))
    assert made.feature_map == Network(net, (8, 8))
    made.save(tmp_path / "set.npz")
    loaded = load_distilled(tmp_path / "set.npz", feature_map=net)
    assert loaded.verify() == made.verify()
    assert loaded.verify().verdict == "pass"
    assert "network" in loaded.meta["serves"] or "map" in loaded.meta["serves"]
    named = {key: value for key, value in made.meta["features"].items() if key != "architecture"}
    replace(made, meta=made.meta | {"features": named}).save(tmp_path / "earlier.npz")  # as earlier versions wrote it
    assert load_distilled(tmp_path / "earlier.npz", feature_map=net).verify() == made.verify()
    other = torch.nn.Sequential(net[0], torch.nn.Tanh(), *net[2:]).eval()
    with pytest.raises(DataError, match="another feature map: architecture differ"):
        load_distilled(tmp_path / "set.npz", feature_map=other)
    Network(net, (8, 8)).save_weights(tmp_path / "weights.safetensors")
    with torch.no_grad():
        net[0].bias += 1e-9
    with pytest.raises(DataError, match="another feature map: sha256 differ"):
        load_distilled(tmp_path / "set.npz", feature_map=net)
    again = load_weights(net, tmp_path / "weights.safetensors")
    assert np.array_equal(load_distilled(tmp_path / "set.npz", feature_map=again).w, made.w)
    with pytest.raises(DataError, match="must hold the weights of Linear"):
        load_weights(torch.nn.Linear(3, 2), tmp_path / "weights.safetensors")
