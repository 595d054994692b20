"""Data sets: read from files or by name, checked, given out in blocks of float64."""

from analytic_dd.data.cifar_binary import read_cifar_binary
from analytic_dd.data.container import read_path
from analytic_dd.data.dataset import Dataset
from analytic_dd.data.digits import read_digits
from analytic_dd.data.download import RemoteFile
from analytic_dd.data.idx import read_idx, read_idx_folder
from analytic_dd.data.image_folder import read_image_folder
from analytic_dd.data.lookup import Listing, describe, fetch, load, locations, names
from analytic_dd.data.normalisation import moments_for
from analytic_dd.data.npy import read_floats, read_npy
from analytic_dd.data.npz import read_arrays
from analytic_dd.data.reference_file import read_references
from analytic_dd.data.registry import Entry, Form
from analytic_dd.data.weighting import weighting, weights_of_samples

__all__ = [
    "Dataset",
    "Entry",
    "Form",
    "Listing",
    "RemoteFile",
    "describe",
    "fetch",
    "load",
    "locations",
    "moments_for",
    "names",
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
    "weighting",
    "weights_of_samples",
]
