"""Images in class folders, in a folder, a tar or a zip.

    <class>/x.png      train/<class>/x.png      train/<class>/images/x.png      seg_train/seg_train/<class>/x.png

any of them inside other folders.

Beside ``train`` lie ``test`` or ``val``; the latter may be one folder of images, whose ``val_annotations.txt`` names
their classes (Tiny ImageNet). Where a class folder holds no image that is read, or a folder has no clear place,
the whole is refused: a class that vanished would be a wrong answer.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Collection
from contextlib import closing
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

import numpy as np

from analytic_dd.data.archive import members, title
from analytic_dd.data.dataset import Dataset
from analytic_dd.data.image import decode, is_image, is_read, without_words_of_pil
from analytic_dd.errors import DataError
from analytic_dd.files import MAX_BYTES, may_unpack_to

__all__ = ["read_image_folder"]

_TRAIN = ("train", "training")
_TEST = ("test", "testing", "val", "valid", "validation")  # the first that has classes is the test part
_ANNOTATIONS = "val_annotations.txt"
_LISTED = 10  # images that a refusal names

Folders = tuple[str, ...]


def read_image_folder(
    path: str | Path,
    *,
    name: str | None = None,
    resize: int | None = None,
    crop: bool = False,
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Read images from class folders, decoded one after the other; an archive is streamed once and never extracted.

    Parameters
    ----------
    path : str or Path
        A folder, a tar (plain, gz, bz2, xz) or a zip; layouts as above. Without parts a test part is set aside.
    name : str, optional
        Name of the data set. Default: that of the file or folder.
    resize : int, optional
        Bring every image to this many pixels a side; without, all must have one size.
    crop : bool
        Cut the largest centred square out of each first; without, its sides are scaled separately.
    max_bytes : int
        Refuse an archive that declares more, or images that decode to more: all of them together, to no more than
        :func:`analytic_dd.files.may_unpack_to` allows for their files.

    Returns
    -------
    Dataset
        uint8 images (h, w) or (h, w, 3), ordered by class, then name; the classes are the sorted folder names. Grey
        images among coloured ones have three equal channels, and ``source`` says how many.

    Raises
    ------
    DataError
        There is no image, a folder without a clear place, a class folder without an image, or a hostile member. Images
        that are damaged, of different sizes, transparent, animated or of more than 8 bits are refused in one list.

    Notes
    -----
    *Cost.* 60,000 JPEGs of 32 x 32 in a tar.xz take about 5 s. Decoding in threads is slower for small images, where
    the interpreter and not the decoder is the limit. Memory holds the bytes of the result, twice where the archive is
    not in the order of the result.
    """
    path = Path(path)
    images, found = _Images(path, max_bytes, resize, crop), _Found()
    with without_words_of_pil(), closing(members(path, max_bytes=max_bytes, folders=True)) as all_members:
        for member, read in all_members:
            names = [part for part in member.split("/") if part not in ("", ".")]
            if member.endswith("/"):
                found.folders.add(tuple(names))
                continue
            *folders, file = names
            found.folders.add(tuple(folders))
            if is_image(member):
                images.add(tuple(folders), file, read)
            elif file == _ANNOTATIONS:
                found.annotations[tuple(folders)] = _annotations(read(), f"{path}: {member!r}")
    images.refuse_offenders()
    parts, left_out = _Layout(path, images.places, found).parts()
    mixed = images.mixed([index for part in parts for index in part])
    x_train, labels = images.part(parts[0])
    x_test, test_labels = images.part(parts[1]) if len(parts) > 1 else (None, None)
    source = str(path) + (f" ({', '.join(left_out)} not used)" if left_out else "") + mixed
    if resize is not None:
        source += f"; resized to {resize} x {resize}{' of the centred square' if crop else ''}"
    arrays = (x_train, labels, x_test, test_labels)
    return Dataset.from_arrays(*arrays, name=name or title(path), source=source, split=True, channels="last")


def _annotations(data: bytes, where: str) -> dict[str, str]:
    """Return the class of each image from lines of a name, a class and more, with tabs between them."""
    lines = [line.split("\t") for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
    if any(len(line) < 2 for line in lines):
        raise DataError(f"{where} must have lines of a file name, a tab and a class; mend or remove it")
    return {line[0]: line[1] for line in lines}


@dataclass
class _Found:
    """The folders, and the classes by file, that lie beside the images."""

    folders: set[Folders] = field(default_factory=set)
    annotations: dict[Folders, dict[str, str]] = field(default_factory=dict)


class _Images:
    """The images in an array that grows by doubling, with the places that they came from."""

    def __init__(self, path: Path, max_bytes: int, resize: int | None, crop: bool) -> None:
        self.places: list[tuple[Folders, str]] = []
        self._path, self._max_bytes, self._bytes = path, max_bytes, 0
        self._resize, self._crop = resize, crop
        self._pixels: np.ndarray = np.empty((0,), np.uint8)
        self._grey: set[int] = set()
        self._offenders: list[tuple[str, str]] = []
        self._unread: list[tuple[Folders, str]] = []

    def add(self, folders: Folders, file: str, read: Callable[[], bytes]) -> None:
        """Decode one image, or note why it cannot be used; size and colours must be those of the first."""
        member = "/".join((*folders, file))
        if not is_read(file):
            self._unread.append((folders, member))
            return
        data = read()
        try:
            pixels = decode(data, resize=self._resize, crop=self._crop)
        except DataError as error:
            self._offenders.append((member, str(error)))
            return
        count = len(self.places)
        grey = pixels.ndim == 2
        if count and pixels.ndim != self._pixels.ndim - 1:
            pixels = self._in_colours(pixels)
        if count and pixels.shape != self._pixels.shape[1:]:
            first, got = ("x".join(map(str, shape)) for shape in (self._pixels.shape[1:], pixels.shape))
            self._offenders.append((member, f"is {got}, but {'/'.join(self._member(0))!r} is {first}"))
            return
        self._bytes += len(data)
        most = may_unpack_to(self._bytes, self._max_bytes)
        if (count + 1) * math.prod(pixels.shape) > most:
            raise DataError(
                f"{self._path}: {member!r}: the images decode to more than the {most:,} bytes that are read of files "
                f"of {self._bytes:,}; if you trust them, store their pixels with numpy.savez"
            )
        if count == len(self._pixels):
            self._grow(max(1, 2 * count), pixels.shape)
        self._pixels[count] = pixels
        self._grey |= {count} if grey else set()
        self.places.append((folders, file))

    def _in_colours(self, pixels: np.ndarray) -> np.ndarray:
        """Return the image with as many channels as the others; those that are grey get three equal ones."""
        if pixels.ndim == 2:
            return np.repeat(pixels[:, :, None], 3, axis=2)
        self._pixels = np.repeat(self._pixels[: len(self.places), :, :, None], 3, axis=3)
        return pixels

    def mixed(self, used: Collection[int]) -> str:
        """Return what is said of the grey images among these; where all are grey, they lose their channels again."""
        grey = self._grey.intersection(used)
        if not grey or self._pixels.ndim == 3:
            return ""
        if len(grey) == len(used):
            self._pixels = self._pixels[..., 0]
            return ""
        return f"; {len(grey):,} grey images in three equal channels"

    def _member(self, index: int) -> tuple[str, ...]:
        folders, file = self.places[index]
        return (*folders, file)

    def _grow(self, capacity: int, shape: tuple[int, ...]) -> None:
        """Make room; memory that no image reaches is never touched, so doubling costs none."""
        grown = np.empty((capacity, *shape), np.uint8)
        grown[: len(self.places)] = self._pixels[: len(self.places)].reshape(-1, *shape)
        self._pixels = grown

    def refuse_offenders(self) -> None:
        """Refuse the whole where an image cannot be used, with one list of all that cannot.

        A picture of a kind that is not read may lie above the class folders, as the logo of a project does.
        """
        above = {folders[:length] for folders, _ in self.places for length in range(len(folders))}
        unread = [(member, "is of a kind that is not read") for folders, member in self._unread if folders not in above]
        offenders = self._offenders + unread
        if not offenders:
            return
        count, total = len(offenders), len(self.places) + len(offenders)
        listed = "; ".join(f"{member!r} {reason}" for member, reason in offenders[:_LISTED])
        more = f"; and {count - _LISTED} more" if count > _LISTED else ""
        raise DataError(
            f"{self._path}: {count} of {total} images cannot be used: {listed}{more}. Convert them to 8-bit grey or "
            "RGB of one size (resize=64 brings them to one) without transparency, or move them away"
        )

    def part(self, labels: dict[int, str]) -> tuple[np.ndarray, np.ndarray]:
        """Return the images of a part, sorted by class and name, and their classes; labels by index."""
        order = sorted(labels, key=lambda i: (labels[i], self._member(i)))
        for one, other in pairwise(order):
            if self._member(one) == self._member(other):
                raise DataError(f"{self._path}: member {'/'.join(self._member(one))!r} comes twice")
        run = order == list(range(order[0], order[0] + len(order)))
        chosen = slice(order[0], order[0] + len(order)) if run else order
        return self._pixels[chosen], np.array([labels[i] for i in order])


class _Layout:
    """Which part and which class each image belongs to, by the folders that it lies in."""

    def __init__(self, path: Path, places: list[tuple[Folders, str]], found: _Found) -> None:
        if not places:
            raise DataError(f"{path} has no images in class folders; wanted <class>/ or train/<class>/ with images")
        self._path, self._places = path, places
        used = {folders for folders, _ in places}
        self._strip = _common(used)
        deepest = max(map(len, used)) - len(self._strip)
        self._always = deepest > 1 and all(folders[-1:] == ("images",) for folders in used)
        trained = [folders for folders in used if folders[len(self._strip) :][1:] == ("images",)]
        self._is_class = any(folders[len(self._strip)].lower() in _TRAIN for folders in trained)
        inside = [folders for folders in found.folders if folders[: len(self._strip)] == self._strip]
        self._folders = {self._relative(folders) for folders in inside}
        self._annotations = {self._relative(folders): labels for folders, labels in found.annotations.items()}
        self._by_folder: dict[Folders, list[int]] = {}
        for index, (folders, _) in enumerate(places):
            self._by_folder.setdefault(self._relative(folders), []).append(index)

    def _relative(self, folders: Folders) -> Folders:
        """Return folders without those that all images lie in, and without a last ``images`` that is no class."""
        folders = _as_part(folders[len(self._strip) :])
        if folders[-1:] != ("images",):
            return folders
        of_a_part = len(folders) == 2 and folders[0].lower() in _TEST and not self._is_class
        return folders[:-1] if self._always or of_a_part or len(folders) > 2 else folders

    def parts(self) -> tuple[list[dict[int, str]], list[str]]:
        """Return the classes of the images by index, of the training part and of a test part, and parts left out."""
        shallow = [folders for folders in self._by_folder if len(folders) < 2]
        if len(shallow) == len(self._by_folder):
            return [self._flat()], []
        labelled: dict[str, dict[int, str]] = {}
        unlabelled = []
        for folders, indices in self._by_folder.items():
            part = folders[0].lower() if folders else ""
            if folders in self._annotations:
                labelled.setdefault(part, {}).update(self._annotated(folders, indices))
            elif len(folders) == 2:
                labelled.setdefault(part, {}).update(dict.fromkeys(indices, folders[1]))
            elif len(folders) < 2:
                unlabelled.append(folders)
            else:
                raise self._unclear()
        train, tests = [part for part in labelled if part in _TRAIN], [part for part in _TEST if part in labelled]
        if len(train) != 1 or {*labelled} - {*train, *tests}:
            raise self._unclear()
        loose = [folders for folders in unlabelled if not (tests and len(folders) == 1 and folders[0].lower() in _TEST)]
        if loose:
            raise self._in_no_class(loose[0])
        self._require_images({*train, *tests[:1]})
        left_out = [*tests[1:], *(folders[0] for folders in unlabelled)]
        return [labelled[part] for part in (*train, *tests[:1])], left_out

    def _flat(self) -> dict[int, str]:
        """Return the classes of a layout without parts."""
        if () in self._by_folder:
            raise self._in_no_class(())
        parts = {folders[0].lower() for folders in self._by_folder}.intersection((*_TRAIN, *_TEST))
        if len(parts) == len(self._by_folder) or (parts.intersection(_TRAIN) and parts.intersection(_TEST)):
            raise self._in_no_class(next(folders for folders in self._by_folder if folders[0].lower() in parts))
        above = self._strip[-1].lower() if self._strip else ""
        if above in _TEST:
            raise DataError(f"{self._path} has images under {above!r} only; add train/<class>/ beside it, or rename it")
        self._require_images(set())
        return {index: folders[0] for folders, indices in self._by_folder.items() for index in indices}

    def _annotated(self, folders: Folders, indices: list[int]) -> dict[int, str]:
        """Return the classes of images that a file of annotations names."""
        known = self._annotations[folders]
        missing = [self._places[i][1] for i in indices if self._places[i][1] not in known]
        if missing:
            where = "/".join((*folders, _ANNOTATIONS))
            raise DataError(f"{self._path}: {where!r} names no class for {missing[0]!r}; add it or remove the image")
        return {index: known[self._places[index][1]] for index in indices}

    def _require_images(self, parts: set[str]) -> None:
        """Refuse a folder at the place of a class that has no image, nor has any folder in it."""
        depth = 2 if parts else 1
        with_images = {folders[:depth] for folders in self._by_folder}
        for folders in sorted(self._folders):
            classlike = len(folders) == depth and (not parts or folders[0].lower() in parts)
            if classlike and folders not in with_images:
                where = "/".join((*self._strip, *folders))
                raise DataError(
                    f"{self._path}: class folder {where!r} has no image that is read; put some into it, or move it away"
                )

    def _in_no_class(self, folders: Folders) -> DataError:
        folders_of, file = self._places[self._by_folder[folders][0]]
        member = "/".join((*folders_of, file))
        return DataError(
            f"{self._path}: {member!r} lies in no class folder; put images into <class>/ or train/<class>/"
        )

    def _unclear(self) -> DataError:
        counts = Counter(folders[0] if folders else "" for folders in self._by_folder)
        found = ", ".join(repr(part) for part in sorted(counts)[:_LISTED])
        return DataError(
            f"{self._path} has images under {found}; keep class folders in train/ and test/, or all in one folder"
        )


def _as_part(folders: Folders) -> Folders:
    """Return seg_train/seg_train/<class>, as some archives of Kaggle have it, as train/<class>."""
    _, line, word = folders[0].lower().rpartition("_") if folders else ("", "", "")
    if not line or word not in (*_TRAIN, *_TEST) or len(folders) < 2:
        return folders
    return (word, *folders[2 if folders[0] == folders[1] else 1 :])


def _common(used: set[Folders]) -> Folders:
    """Return the folders that all images lie in, short of their class folders."""
    first, last = min(used), max(used)
    length = 0
    while length < min(len(first), len(last)) - 1 and first[length] == last[length]:
        length += 1
    return first[:length]
