"""
Forgetting samples that must go
===============================

A set can carry, beside the model, the means to forget any of some named samples (T23c): the model without them comes
out exactly as if it had been fitted without them, and the data are not needed.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_iris
from sklearn.preprocessing import StandardScaler

from analytic_dd import future_set, ridge_weights, update
from analytic_dd.labels import one_hot

X, y = load_iris(return_X_y=True)
rng = np.random.default_rng(0)
Phi = np.tanh(StandardScaler().fit_transform(X) @ rng.standard_normal((4, 60)))
Y = one_hot(y)
revocable = rng.permutation(len(X))[:20]
memory = future_set((Phi, Y), Phi[revocable].T, ridge=1.0)
print(f"{len(memory)} points for {len(X)} flowers, {len(revocable)} of which may be withdrawn")

# %%
# Withdraw them one after the other and compare with fitting again on what is left.
errors, changes = [], []
for count in range(1, len(revocable) + 1):
    gone = revocable[:count]
    forgotten = update(memory, Phi[gone], Y[gone], sign=-1).weights
    again = ridge_weights(np.delete(Phi, gone, axis=0), np.delete(Y, gone, axis=0), ridge=1.0)
    errors.append(np.linalg.norm(forgotten - again) / np.linalg.norm(again))
    changes.append(np.linalg.norm(forgotten - memory.weights) / np.linalg.norm(again))

figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
axis.semilogy(range(1, len(revocable) + 1), changes, "o-", label="change of the model by forgetting")
axis.semilogy(range(1, len(revocable) + 1), errors, "x-", label="difference from fitting again")
axis.set(xlabel="samples withdrawn", ylabel="relative to the model")
axis.legend()
