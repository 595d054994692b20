"""
A lasso path from twelve rows
=============================

A set with the sums of squares and products of the data serves *every* penalty with the squared loss (T25): ridge,
lasso, elastic net, non-negative weights, any subset of columns. scikit-learn draws the same lasso path from it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import Lasso

from analytic_dd import sufficient_set

X, y = load_diabetes(return_X_y=True)
X = X * np.sqrt(len(X))
small = sufficient_set(X, y[:, None], intercept=True)
print(f"{len(small)} rows for {len(X)}")

strengths = np.logspace(1.6, -1.5, 40)


def path(A, b):
    """Lasso coefficients for all strengths."""
    return np.array([Lasso(alpha, tol=1e-10, max_iter=100_000).fit(A, b).coef_ for alpha in strengths])


of_all, of_few = path(X, y), path(small.features, small.labels[:, 0])
print("largest difference of a coefficient:", np.abs(of_all - of_few).max())

# %%
figure, axis = plt.subplots(figsize=(7, 3.6), layout="constrained")
axis.semilogx(strengths, of_all, color="0.6", lw=3)
axis.set_prop_cycle(None)
axis.semilogx(strengths, of_few, "--", lw=1.2)
axis.set(xlabel="strength of the penalty", ylabel="coefficients", title="grey: 442 rows; dashed: the small set")
axis.invert_xaxis()
