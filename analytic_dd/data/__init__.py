"""Data sets: read from files or by name, checked, given out in blocks of float64."""

from analytic_dd.data.array_files import (
    moments_for,
    read_arrays,
    read_floats,
    read_npy,
    read_references,
    weighting,
    weights_of_samples,
)
from analytic_dd.data.blocks import device_blocks, normalised_blocks, require_device
from analytic_dd.data.cifar_binary import read_cifar_binary
from analytic_dd.data.dataset import Dataset
from analytic_dd.data.download import RemoteFile
from analytic_dd.data.idx import read_idx, read_idx_folder
from analytic_dd.data.image_folder import read_image_folder
from analytic_dd.data.lookup import (
    Listing,
    describe,
    fetch,
    load,
    load_several,
    locations,
    names,
    read_digits,
    read_path,
)
from analytic_dd.data.normalisation import normalised, pixels, value_range
from analytic_dd.data.reading import Reading
from analytic_dd.data.registry import Entry, Form
from analytic_dd.data.tables import Table, from_frame, read_table

__all__ = [
    "Dataset",
    "Entry",
    "Form",
    "Listing",
    "Reading",
    "RemoteFile",
    "Table",
    "describe",
    "device_blocks",
    "fetch",
    "from_frame",
    "load",
    "load_several",
    "locations",
    "moments_for",
    "names",
    "normalised",
    "normalised_blocks",
    "pixels",
    "read_arrays",
    "read_cifar_binary",
    "read_digits",
    "read_floats",
    "read_idx",
    "read_idx_folder",
    "read_image_folder",
    "read_npy",
    "read_path",
    "read_references",
    "read_table",
    "require_device",
    "value_range",
    "weighting",
    "weights_of_samples",
]
