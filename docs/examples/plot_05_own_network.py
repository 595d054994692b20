"""
A network of one's own
======================

Any torch module whose outputs are features can be the map. It need not be invertible: near copies of a few real inputs
carry every model on it (T22b). The images below are real digits and copies that differ from them by at most 2 % of the
range.
"""

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

from analytic_dd import near_copies, ridge_weights
from analytic_dd.features import Network
from analytic_dd.labels import one_hot

torch.manual_seed(0)
module = torch.nn.Sequential(
    torch.nn.Conv2d(1, 8, 3, stride=2), torch.nn.Tanh(), torch.nn.Flatten(), torch.nn.Linear(72, 90), torch.nn.Tanh()
)
phi = Network(module.double().eval(), (8, 8, 1), name="mine")
X, y = load_digits(return_X_y=True)
X = X / 16.0
W = ridge_weights(phi(X), one_hot(y), ridge=0.1)
built = near_copies(W, phi, X[:6], ridge=0.1, largest_change=0.02)
refitted = ridge_weights(phi(built.inputs), built.labels, ridge=0.1)
print(f"{len(built)} images for {len(X)}; error of W {np.linalg.norm(refitted - W) / np.linalg.norm(W):.1e}")

# %%
figure, axes = plt.subplots(2, 8, figsize=(9, 2.6), layout="constrained")
for column in range(8):
    image = built.inputs[column * len(built) // 8]
    base = X[:6][np.abs(X[:6] - image).max(axis=1).argmin()]
    axes[0, column].imshow(image.reshape(8, 8), cmap="gray", vmin=0, vmax=1)
    axes[1, column].imshow((image - base).reshape(8, 8), cmap="RdBu", vmin=-0.02, vmax=0.02)
axes[0, 0].set_ylabel("in the set")
axes[1, 0].set_ylabel("change")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
