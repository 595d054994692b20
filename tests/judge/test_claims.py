"""What a stored set claims is held against what is found; ``verify`` ends with status 1 unless all of it is true."""

import json
from dataclasses import replace

import numpy as np
import pytest

from analytic_dd import cli, load_distilled, save_distilled
from analytic_dd.judge.claims import UNKNOWABLE


@pytest.fixture(scope="module")
def honest(tmp_path_factory):
    """A set for one ridge and a set for three, as the command line stores them."""
    folder = tmp_path_factory.mktemp("honest")
    for name, arguments in (("one", ["--ridge", "10"]), ("three", ["--ridge", "0.1", "1", "10", "--intercept"])):
        assert cli.main(["distill", "--data", "digits", "--no-picture", *arguments, "--out", str(folder / name)]) == 0
    return {name: load_distilled(folder / name) for name in ("one", "three")}


@pytest.fixture
def verify(tmp_path, capsys):
    """Store a set, verify it and return (status, standard output)."""

    def call(stored, *options):
        save_distilled(tmp_path / "set.npz", stored)
        status = cli.main(["verify", *options, str(tmp_path / "set.npz")])
        return status, capsys.readouterr().out

    return call


def with_meta(stored, **changes):
    return replace(stored, meta=stored.meta | changes)


def with_certificate(stored, **changes):
    return with_meta(stored, certificate=stored.meta["certificate"] | changes)


FALSE = {
    "another w beside an honest path": ("three", lambda s: replace(s, w=s.w[::-1].copy()), "w must be path[0]"),
    "a w of rounding size beside the path": ("three", lambda s: replace(s, w=s.w * (1 + 1e-15)), "w must be path[0]"),
    "another intercept": (
        "three",
        lambda s: replace(s, intercept=2 * s.intercept),
        "must be path_intercepts[0]",
    ),
    "no intercept": ("three", lambda s: replace(s, intercept=None), "path_intercepts is there, but intercept is not"),
    "another verdict": (
        "one",
        lambda s: with_certificate(s, verdict="inconclusive"),
        "has verdict 'inconclusive'",
    ),
    "another error": (
        "one",
        lambda s: with_certificate(s, relative_error=1e-3, bound=0.0),
        "error of 0.001",
    ),
    "no number for the error": ("one", lambda s: with_certificate(s, relative_error=None), "relative error of inf"),
    "no number for the bound": ("one", lambda s: with_certificate(s, bound=None, relative_error=0.5), "error of 0.5"),
    "other points": ("one", lambda s: with_certificate(s, points=3), "has points 3, the set has 10"),
    "another ridge": ("one", lambda s: with_certificate(s, ridge=3.0), "has ridge 3.0"),
    "a class twice": ("one", lambda s: replace(s, classes=np.append(s.classes[:-1], 0)), "0 stands for 2 of them"),
    "classes of fractions": ("one", lambda s: replace(s, classes=s.classes / 2), "integers or text, got float64"),
    "ridges of the data left out": ("three", lambda s: with_meta(s, ridges=[0.1, 1.0]), "2 ridges of the data and 3"),
    "other ridges of the data": ("three", lambda s: with_meta(s, ridges=[0.1, 1.0, 11.0]), "times one number"),
    "a ridge of zero": ("three", lambda s: with_meta(s, ridges=[0.0, 1.0, 10.0]), "times one number"),
}


@pytest.mark.parametrize("which", ["one", "three"])
def test_an_honest_set_passes(honest, verify, which):
    status, printed = verify(honest[which])
    assert (status, len(printed.splitlines())) == (0, 2)
    assert printed.splitlines()[1] == f"not known: {UNKNOWABLE}"


def test_names_of_classes_in_another_order_are_not_seen_and_verify_says_so(honest, verify):
    status, printed = verify(replace(honest["one"], classes=honest["one"].classes[::-1]))
    assert status == 0
    assert "whether its classes have the right names in the right order" in printed.splitlines()[-1]


@pytest.mark.parametrize("name", FALSE)
def test_a_false_claim_is_named(honest, verify, name):
    which, falsify, said = FALSE[name]
    status, printed = verify(falsify(honest[which]))
    assert status == 1
    assert said in printed


def test_scaled_ridges_and_no_claims_are_honest(honest):
    """T4': every ridge of the set is that of the data times c^2; a file without a certificate claims none."""
    stored = honest["three"]
    found = stored.certify()
    assert stored.false_claims(found) == []
    scaled = with_meta(stored, ridges=[4.0 * ridge for ridge in stored.meta["ridges"]])
    assert scaled.false_claims(found) == []
    assert with_meta(stored, certificate=None).false_claims(found) == []


def test_weights_that_are_used_are_judged_where_the_path_is_honest(honest):
    stored = honest["three"]
    changed = replace(stored, w=stored.w[::-1].copy())
    assert [found.verdict for found in changed.certificates()] == ["fail", "pass", "pass"]


def test_inconclusive_is_no_success_unless_it_is_allowed(honest, verify):
    """Weights of condition 1e10: rounding of the stored points alone could hide an error of 1e-5."""
    stored = honest["one"]
    W = np.linalg.qr(stored.w.T)[0].T * np.geomspace(1.0, 1e-10, 10)[:, None]
    inputs = np.linalg.pinv(W, rcond=1e-15).T
    hidden = replace(stored, w=W, inputs=inputs, x=(inputs * stored.std + stored.mean).reshape(stored.x.shape))
    hidden = with_meta(hidden, distilled_ridge=0.0, certificate=None)
    hidden = replace(hidden, y=np.eye(10))
    assert hidden.certify().verdict == "inconclusive"
    assert verify(hidden)[0] == 1
    assert verify(hidden, "--allow-inconclusive")[0] == 0
    assert verify(replace(hidden, w=W[::-1].copy()), "--allow-inconclusive")[0] == 1


def test_json_has_false_claims(honest, verify):
    status, printed = verify(with_certificate(honest["one"], points=3), "--json")
    (found,) = json.loads(printed).values()
    assert (status, found["verdict"], len(found["false_claims"])) == (1, "pass", 1)
    assert found["not_known"] == UNKNOWABLE
