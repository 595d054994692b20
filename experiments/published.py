"""What is published for a cell of ours, how it was measured, and in what that differs from how ours was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ANCHORS = Path(__file__).parent / "published_anchors.json"
RECALLED = " (recalled)"  # no stored copy was found for it
FACTS = ("predictor", "kernel", "augmentation", "step size", "selection")

# Columns that are nearer to how a number of another was published, the second one for KIP alone
_LIKE = {"convnet+dsa+lr": "convnet+dsa", "wide": "convnet"}
_WIDE = "kip network"  # the protocol that ``wide`` is like


def protocols() -> dict[str, dict[str, str]]:
    """Return how numbers were measured, by the names that rows have for it."""
    return dict(json.loads(ANCHORS.read_text())["protocols"])


def anchor(name: str, ipc: int | None, label: str, predictor: str) -> dict[str, Any] | None:
    """Return the published row for a cell of ours; its columns are the nearest of ours, not the same protocol."""
    method = label.partition(":")[0]
    for row in json.loads(ANCHORS.read_text())["rows"]:
        same = (row["ipc"], row["method"], row["predictor"]) == (ipc, method, _LIKE.get(predictor, predictor))
        same = same and (predictor != "wide" or row["protocol"] == _WIDE)
        if same and name.partition(" ")[0] == row["data"]:
            return dict(row)
    return None


def ours(predictor: str) -> dict[str, str]:
    """Return how a column of ours is measured in the published settings: the facts that a published number has."""
    network, *marks = predictor.split("+")
    if network.startswith(("krr", "ridge")):
        facts = ("kernel ridge regression on the set", "fully connected", "none", "-")
    elif network == "wide":
        facts = (protocols()[_WIDE]["predictor"], "-", "none", "by the first weights")
    else:
        named = "ConvNet, width 128, depth 3" if network == "convnet" else "by name"
        step_size = "learned with the set" if "lr" in marks else "0.01"
        facts = (named, "-", "DSA" if "dsa" in marks else "none", step_size)
    return dict(zip(FACTS, (*facts, "last iterate"), strict=True))


def differing(published: Mapping[str, Any], name: str, settings: str, predictor: str) -> list[str]:
    """Return in what a published number and a cell of ours are unlike: the settings, the pixels, the protocol.

    What is not stated of a published number counts as a difference, so that a deviation stands between equals alone.
    """
    theirs, mine = protocols()[published["protocol"]], ours(predictor)
    found = [] if settings == "published" else ["settings"]
    found += ["pixels"] if name != published["data"] else []
    return found + [fact for fact in FACTS if theirs[fact].removesuffix(RECALLED) != mine[fact]]


def beside(published: Mapping[str, Any] | None, accuracy: float, **cell: str) -> dict[str, Any]:
    """Return the columns of an anchor: percent, the deviation in points between equals, what differs, the source."""
    if published is None:
        return {"anchor": None, "deviation": None, "differing": None, "source": None}
    unlike = differing(published, **cell)
    source = published["source"] + (RECALLED if published.get("check") else "")
    return {
        "anchor": published["accuracy"],
        "deviation": None if unlike else round(100.0 * accuracy - published["accuracy"], 2),
        "differing": unlike,
        "source": source,
    }
