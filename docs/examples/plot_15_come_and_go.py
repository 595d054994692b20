"""
Samples that come and go, in scikit-learn
=========================================

``RidgeDistiller`` learns in parts and forgets: what it keeps are sums, of the size of the features and not of the data.
After every call it holds a distilled set of ten points for the model of exactly the samples that are left.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from analytic_dd import RidgeDistiller, ridge_weights
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X / 16.0, y, random_state=0)
parts = np.array_split(np.arange(len(train)), 8)
model, left = RidgeDistiller(ridge=1.0, fit_intercept=False, random_state=0), np.zeros(len(train), dtype=bool)
errors, accuracies, counts = [], [], []
for call, rows in [*(("partial_fit", part) for part in parts), *(("forget", part) for part in parts[:6])]:
    if call == "partial_fit":
        model.partial_fit(train[rows], y_train[rows], classes=range(10))
    else:
        model.forget(train[rows], y_train[rows])
    left[rows] = call == "partial_fit"
    W = ridge_weights(train[left], one_hot(y_train[left], 10), ridge=1.0)
    refitted = ridge_weights(model.distilled_X_, model.distilled_labels_, ridge=0.0)
    errors.append(np.linalg.norm(refitted - W) / np.linalg.norm(W))
    accuracies.append(model.score(test, y_test))
    counts.append(int(left.sum()))
print(f"{len(model.distilled_X_)} points after every call; largest error of W {max(errors):.1e}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
calls = np.arange(1, len(errors) + 1)
axes[0].bar(calls, counts, color=["#3f90da"] * 8 + ["#ffa90e"] * 6)
axes[0].set(xlabel="call: eight partial_fit, six forget", ylabel="samples in the model")
axes[1].semilogy(calls, errors, "o-")
axes[1].set(xlabel="call", ylabel="error of W against fitting again", ylim=(1e-16, 1e-10))
