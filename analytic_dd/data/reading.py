"""How a user wants data of their own to be read."""

from __future__ import annotations

from dataclasses import dataclass, fields

from analytic_dd.errors import DataError

__all__ = ["Reading"]


@dataclass(frozen=True)
class Reading:
    """How data of one's own are read.

    Attributes
    ----------
    target : str or None
        Of tables: the name of the column of the labels (of an npy file its index).
    task : {"classify", "regress"}
        Whether labels are classes or quantities.
    resize : int or None
        Of folders of images: side in pixels to which each is brought; else all must have one size.
    crop : bool
        Cut the largest centred square out of each image first; else its sides are scaled separately.
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
