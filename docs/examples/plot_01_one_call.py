"""
Ten images for 1,797
====================

One call fits ridge regression on all the digits of scikit-learn and returns ten points. Ridge regression on these has
the same weights, to rounding (T2), and the certificate (T16) says so.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from analytic_dd import distill, ridge_weights

X, y = load_digits(return_X_y=True)
X = X / 16.0
small = distill(X, y)
print(small)
print(small.verify())

# %%
# Anyone can check: fit ridge regression on the ten points and compare. Their labels are one-hot.
Xs, Ys = small.to_numpy()
refitted = ridge_weights(Xs, Ys, ridge=small.ridge)
print("largest difference of a weight:", np.abs(refitted - small.w).max())

# %%
# The points are not pictures of digits. Their job is to have the right weights.
figure, axes = plt.subplots(2, 10, figsize=(10, 2.4), layout="constrained")
for digit in range(10):
    axes[0, digit].imshow(X[y == digit].mean(axis=0).reshape(8, 8), cmap="gray")
    axes[1, digit].imshow(Xs[digit].reshape(8, 8), cmap="gray")
    axes[0, digit].set_title(digit)
for axis, name in ((axes[0, 0], "class mean"), (axes[1, 0], "distilled")):
    axis.set_ylabel(name)
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
