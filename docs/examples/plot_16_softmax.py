"""
Softmax regression from nine points
===================================

The same works for softmax regression (T18): nine points with soft labels have the classifier of all the digits as their
minimiser. Up to a ridge that the theorem names, the labels are probabilities, so that any program for cross-entropy
with soft labels takes them.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from analytic_dd import glm_labels
from analytic_dd.labels import one_hot
from analytic_dd.losses import glm_weights

X, y = load_digits(return_X_y=True)
X = X / 16.0
W = glm_weights(X, one_hot(y), loss="softmax", ridge=10.0).weights
points = np.linalg.svd(W)[2][:9]  # orthonormal rows that span those of W; one class less than ten
largest = glm_labels(points, W, loss="softmax", ridge=0.0).largest_ridge
made = glm_labels(points, W, loss="softmax", ridge=0.5 * largest)
fit = glm_weights(points, made.labels, loss="softmax", ridge=0.5 * largest)
print(f"{len(points)} points for {len(X)}; error of W {np.linalg.norm(fit.weights - W) / np.linalg.norm(W):.1e}")
print("labels are probabilities:", made.admissible, "up to ridge", round(float(largest), 4))

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained")
shown = axes[0].imshow(made.labels, cmap="cividis", vmin=0, aspect="auto")
axes[0].set(xlabel="class", ylabel="point", xticks=range(10), title="labels: each row sums to 1")
figure.colorbar(shown, ax=axes[0])
decisions = [(X @ V.T).argmax(axis=1) for V in (W, fit.weights)]
counts = np.zeros((10, 10), dtype=int)
np.add.at(counts, tuple(decisions), 1)
axes[1].imshow(np.log1p(counts), cmap="cividis", aspect="auto")
axes[1].set(xlabel="decision of the nine points", ylabel="of all the data", xticks=range(10), yticks=range(10))
