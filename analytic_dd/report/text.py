"""A report in the lines that the command line prints."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from analytic_dd.distill.construction import Construction
from analytic_dd.features.registry import describe_spec
from analytic_dd.judge.loss_certificate import why_inconclusive
from analytic_dd.report.facts import describe_realistic
from analytic_dd.report.run import Report

__all__ = ["describe"]

_PRIVACY = "  privacy (T17): this set starts from real samples and may show them almost verbatim"
_NO_EFFECT = "  init real had no effect: with so many points of this kind the theorem leaves nothing free"
_GAIN = 0.02  # of the decisions, that an intercept must bring to be worth a line
_LOST = 1e-3  # an error of W that is not rounding any more, whatever the condition allows


def _criterion(choice: Mapping[str, Any]) -> str:
    if choice["criterion"] == "gcv":
        return f"generalised cross-validation on {choice['samples']:,} samples"
    if choice["criterion"] == "validation":
        return f"{choice['scoring']} on {choice['samples']:,} samples held out"
    what = "accuracy" if choice["scoring"] == "accuracy" else "squared error"
    return f"leave-one-out {what} on {choice['samples']:,} samples"


def _recovery(content: Mapping[str, Any], construction: Construction) -> list[str]:
    """Return what the certificate is about, and what it does not cover."""
    recovery = content["recovery"]
    error = f"{recovery['relative_error']:.1e}"
    lines = [
        f"  {construction.recovered} {error}; rounding alone allows {recovery['bound']:.1e}: {recovery['verdict']}",
        *construction.lines(content),
    ]
    if recovery["verdict"] == "inconclusive" and recovery["relative_error"] > _LOST:
        lines.append(f"  warning: the set misses W by {error}; take a better conditioned map (fewer layers)")
    if recovery["verdict"] == "inconclusive" and content["loss"] != "squared":
        lines.append(f"  inconclusive: {why_inconclusive(content['distilled_ridge'])}")
    return lines


def _labels_of_loss(content: Mapping[str, Any]) -> list[str]:
    """Whether the learned labels of a loss are labels that other code takes (T18b)."""
    largest, ridge = content["diagnostics"]["ridge_limit"], content["distilled_ridge"]
    data = {"softmax": "probabilities", "logistic": "probabilities", "poisson": "rates >= 0"}.get(content["loss"])
    if data is None or content["labels"] != "learned":
        return []
    if largest == math.inf:
        return [f"  labels of the {content['loss']} loss are {data} at every ridge"]
    if ridge <= largest:
        return [f"  labels of the {content['loss']} loss are {data}; they are up to ridge {largest:.3g} (T18b)"]
    copies = f"take {math.ceil(ridge / largest)} copies of every point, or " if largest > 0.0 else ""
    return [
        f"  labels of the {content['loss']} loss are no {data}: {copies}take a distilled ridge of at most "
        f"{largest:.3g} (T18b)"
    ]


def _real(content: Mapping[str, Any]) -> list[str]:
    if content["init"] != "real" or "realistic" in content:
        return []
    return [_PRIVACY if content["init_used"] else _NO_EFFECT]


def _told_of_data(content: Mapping[str, Any]) -> list[str]:
    """Return how the data were normalised, and what readers chose: a test part set aside, one-hot columns, sizes."""
    columns, shape = content.get("columns"), content["image_shape"]
    if columns or len(shape) == 3:
        which = f"{len(columns)} columns" if columns else f"{shape[2]} channels"
        how = f"each of the {which} is normalised by its own mean and deviation"
    else:
        how = "all pixels are normalised by one mean and deviation"
    return [f"  data: {'; '.join([how, *content['data'].get('source', '').split('; ')[1:]])}"]


def _intercept(content: Mapping[str, Any]) -> list[str]:
    """Say so where a model with an intercept decides clearly more test samples rightly."""
    plain, better = content["accuracies"]["original"], content.get("accuracy_with_intercept")
    if better is None or better - plain <= max(_GAIN, 3 / content["test_samples"]):
        return []
    what = "with an intercept, which was not asked for"
    return [f"  {what:<44} {100 * better:6.2f} % test accuracy: classes of unequal sizes want --intercept"]


def describe(report: Report) -> list[str]:
    """Return the lines that the command line prints for a report."""
    content, construction = report.content, report.construction
    accuracies, seconds = content["accuracies"], content["seconds"]
    choice = content["ridge_choice"]
    how = "given" if choice is None else _criterion(choice)
    if choice is not None and choice["sampled"]:
        how += f" drawn from {content['samples']:,}"
    lines = [
        f"{content['data']['name']}: {content['samples']:,} training samples, each of shape "
        f"{tuple(content['image_shape'])}, features "
        f"{describe_spec(content['features'], content['diagnostics']['p'])}",
        f"ridge {content['ridge']:.4g} ({how}); {content['points']} distilled points, {content['labels']} labels, "
        f"ridge {content['distilled_ridge']:.4g} ({content['theorem']})",
    ]
    lines += _told_of_data(content)
    lines.append(f"  solver {content['solver_reason']}")
    lines += _labels_of_loss(content)
    if content["label_scale"] != 1.0:
        scale = content["label_scale"]
        lines.append(f"  features and labels were scaled by {scale:.4g} into the range of the map (T4')")
    if content.get("sample_weights") or content.get("tikhonov"):
        kinds = {"sample_weights": "sample weights", "tikhonov": "Tikhonov penalty"}
        lines.append(
            "  with " + ", ".join(f"{text} ({content[name]})" for name, text in kinds.items() if content[name])
        )
    rows = (
        ("model fitted on all the data", "original"),
        ("refitted on the distilled set", "distilled"),
        (f"on as many random real samples ({accuracies.get('random_draws', 0)} draws)", "random"),
        ("on the class means", "class_mean"),
    )
    measured = [(label, accuracies[name]) for label, name in rows if accuracies.get(name) is not None]
    lines += [f"  {label:<44} {100 * value:6.2f} % test accuracy" for label, value in measured]
    lines += _intercept(content)
    r2 = content.get("r2") or {}
    lines += [f"  {label:<44} R2 {r2[name]:.4f} on the test part" for label, name in rows if name in r2]
    lines += [] if measured or r2 else ["  no test part: accuracies are not measured"]
    lines += [
        *_recovery(content, construction),
        *[
            f"  ridge {row['ridge']:.4g} (T11): refitted weights differ by {row['relative_error']:.1e}: "
            f"{row['verdict']}"
            + ("" if row["original"] is None else f"; {100 * row['original']:.2f} % and {100 * row['distilled']:.2f} %")
            for row in content.get("recovery_by_ridge", ())
        ],
        *(describe_realistic(content, construction) if "realistic" in content else []),
        *_real(content),
        "  seconds: " + ", ".join(f"{stage} {value:.2f}" for stage, value in seconds.items()),
    ]
    return lines
