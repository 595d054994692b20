"""Feature maps with exact inverses (T8)."""

from analytic_dd.features.affine import AffineMap
from analytic_dd.features.base import FeatureMap, ForwardMap
from analytic_dd.features.compose import Compose
from analytic_dd.features.conv import Convolutional
from analytic_dd.features.deep_linear import DeepLinear, NeuralTangent
from analytic_dd.features.dense import FullyConnected
from analytic_dd.features.fourier import RandomFourier
from analytic_dd.features.function import Function
from analytic_dd.features.identity import Identity
from analytic_dd.features.invertible import InvertibleNetwork
from analytic_dd.features.network import Network
from analytic_dd.features.patches import Patches
from analytic_dd.features.ranges import RangeCheck
from analytic_dd.features.registry import MapOptions, check_text, from_spec, from_text, option, register
from analytic_dd.features.spectral import median_lengthscale
from analytic_dd.features.tikhonov import TikhonovScaling, penalised

__all__ = [
    "AffineMap",
    "Compose",
    "Convolutional",
    "DeepLinear",
    "FeatureMap",
    "ForwardMap",
    "FullyConnected",
    "Function",
    "Identity",
    "InvertibleNetwork",
    "MapOptions",
    "Network",
    "NeuralTangent",
    "Patches",
    "RandomFourier",
    "RangeCheck",
    "TikhonovScaling",
    "check_text",
    "from_spec",
    "from_text",
    "median_lengthscale",
    "option",
    "penalised",
    "register",
]
