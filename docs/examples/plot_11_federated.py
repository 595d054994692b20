"""
Three holders, one model, no data exchanged
===========================================

Sums of products add (T13). Each holder sums its own samples into one file; whoever adds the files has the model of all
data, and can distil it. Sets of the parts do not merge, sums do.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from analytic_dd import GramStatistics, distill_features, ridge_weights
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X / 16.0, y, random_state=0)
holders = [np.isin(y_train, digits) for digits in ((0, 1, 2, 3), (4, 5, 6), (7, 8, 9))]
sums = [GramStatistics(64, 10).update(train[rows], one_hot(y_train[rows], 10)) for rows in holders]
total = GramStatistics(64, 10)
for each in sums:
    total.merge(each)
W = total.weights(1.0)
print("difference from fitting on all data:", np.abs(W - ridge_weights(train, one_hot(y_train), ridge=1.0)).max())
small = distill_features(W, np.eye(10))
print(f"{len(small.features)} points for {total.n} samples of three holders")

# %%
# Each holder alone knows its own digits only.
models = {f"holder {i + 1}": each.weights(1.0) for i, each in enumerate(sums)} | {"sum of all": W}
right = np.array([
    [np.mean((test[y_test == digit] @ V.T).argmax(axis=1) == digit) for digit in range(10)] for V in models.values()
])  # fmt: skip
figure, axis = plt.subplots(figsize=(7, 2.6), layout="constrained")
shown = axis.imshow(right, cmap="cividis", vmin=0, vmax=1, aspect="auto")
for row, column in np.ndindex(right.shape):
    value = right[row, column]
    axis.text(column, row, f"{100 * value:.0f}", ha="center", va="center", color="black" if value > 0.5 else "white")
axis.set(xticks=range(10), yticks=range(len(models)), yticklabels=models, xlabel="digit; share right, %")
figure.colorbar(shown)
