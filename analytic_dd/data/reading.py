"""How a user's own data are read."""

from __future__ import annotations

from dataclasses import dataclass, fields

from analytic_dd.errors import DataError

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """How a user's own data are read.

    Attributes
    ----------
    target : str or None
        Name of the column of the labels of a table, or its index in an npy file.
    task : {"classify", "regress"}
        Whether labels are classes or quantities.
    resize : int or None
        Side in pixels to which each image of a folder is brought; without it all must have one size.
    crop : bool
        Whether to cut the largest centred square out of each image first; otherwise its sides are scaled separately.
    """

    target: str | None = None
    task: str = "classify"
    resize: int | None = None
    crop: bool = False

    def __post_init__(self) -> None:
        if self.resize is not None and not 1 <= self.resize <= 4096:
            raise ValueError(f"resize must be 1 to 4096 pixels, got resize={self.resize}")
        if self.crop and self.resize is None:
            raise ValueError("crop=True needs a size; add resize=64, say")

    def refuse_others(self, *used: str, what: str) -> None:
        """Refuse what was asked for and does not concern what is read."""
        for each in fields(self):
            value = getattr(self, each.name)
            if each.name not in used and value != each.default:
                raise DataError(f"{each.name}={value!r} does not concern {what}; leave it out")
