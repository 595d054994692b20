"""Data sets by name: where a copy may lie on this machine, and where to download it from."""

from __future__ import annotations

from dataclasses import dataclass, field

from analytic_dd.data.download import RemoteFile

__all__ = ["REGISTRY", "Entry", "Form"]


@dataclass(frozen=True)
class Form:
    """One form in which a data set may lie in a data folder.

    Parameters
    ----------
    title : str
        :attr:`Dataset.name` when it is read from this form.
    paths : tuple of str
        Relative paths; the first that exists is read.
    idx : bool
        The paths are folders that must hold all four IDX files. An interrupted download leaves fewer.
    """

    title: str
    paths: tuple[str, ...]
    idx: bool = False


@dataclass(frozen=True)
class Entry:
    """A data set that has a name.

    Parameters
    ----------
    key : str
        The name, also that of its folder in the cache.
    about : str
        Sizes, in words.
    forms : tuple of Form
        What to look for in a data folder, the best first. Empty: the data come with a dependency.
    files : tuple of RemoteFile
        What to download; the first form must find it in the cache.
    classes : tuple of str
        Names of the classes, where the files do not carry them.
    content : str
        :attr:`Dataset.sha256` of the published set, where it is known: another content under this name is refused.
    """

    key: str
    about: str
    forms: tuple[Form, ...] = ()
    files: tuple[RemoteFile, ...] = ()
    classes: tuple[str, ...] = field(default=())
    content: str = ""


_IDX_FILES = (
    "train-images-idx3-ubyte.gz",
    "train-labels-idx1-ubyte.gz",
    "t10k-images-idx3-ubyte.gz",
    "t10k-labels-idx1-ubyte.gz",
)
_MNIST_SUMS = (
    ("440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609", 9_912_422),
    ("3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c", 28_881),
    ("8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6", 1_648_877),
    ("f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6", 4_542),
)
_FASHION_SUMS = (
    ("3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84", 26_421_880),
    ("a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845", 29_515),
    ("346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073", 4_422_102),
    ("67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5", 5_148),
)
_FASHION_CLASSES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip


def _idx_files(sums: tuple[tuple[str, int], ...], places: tuple[str, ...]) -> tuple[RemoteFile, ...]:
    return tuple(
        RemoteFile(name, sha256, size, tuple(place + name for place in places))
        for name, (sha256, size) in zip(_IDX_FILES, sums, strict=True)
    )


def _cifar_paths(archive: str, unpacked: str, folder: str) -> tuple[str, ...]:
    return (archive, unpacked, f"{folder}/{archive}", f"{folder}/{unpacked}")


_ENTRIES = (
    Entry(key="digits", about="1,797 grey 8x8, 10 classes"),
    Entry(
        key="mnist",
        about="70,000 grey 28x28, 10 classes",
        forms=(Form("MNIST", ("mnist", "MNIST/raw", "."), idx=True),),
        files=_idx_files(
            _MNIST_SUMS,
            (
                "https://storage.googleapis.com/cvdf-datasets/mnist/",
                "https://ossci-datasets.s3.amazonaws.com/mnist/",
            ),
        ),
        content="f25be01d212614f8e7af431ced212d8ab1aa89e0965d7b92f7ee45d6392bf320",
    ),
    Entry(
        key="fashion-mnist",
        about="70,000 grey 28x28, 10 classes",
        # No flat form: the file names are MNIST's.
        forms=(Form("Fashion-MNIST", ("fashion-mnist", "FashionMNIST/raw"), idx=True),),
        files=_idx_files(
            _FASHION_SUMS,
            (
                "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion/",
                "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
            ),
        ),
        classes=_FASHION_CLASSES,
    ),
    Entry(
        key="cifar10",
        about="60,000 colour 32x32, 10 classes",
        forms=(
            Form("CIFAR-10", _cifar_paths("cifar-10-binary.tar.gz", "cifar-10-batches-bin", "cifar10")),
            Form("CIFAR-10 (JPEG)", ("cifar10-jpeg.tar.xz", "cifar10/cifar10-jpeg.tar.xz")),
        ),
        files=(
            RemoteFile(
                "cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
                ("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",),
            ),
        ),
    ),
    Entry(
        key="cifar100",
        about="60,000 colour 32x32, 100 classes",
        forms=(Form("CIFAR-100", _cifar_paths("cifar-100-binary.tar.gz", "cifar-100-binary", "cifar100")),),
        files=(
            RemoteFile(
                "cifar-100-binary.tar.gz",
                "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec",
                168_513_733,
                ("https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",),
            ),
        ),
    ),
)

REGISTRY = {entry.key: entry for entry in _ENTRIES}
