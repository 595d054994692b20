"""
Images of eight bits that carry the model
=========================================

Rounding an exact set to bytes loses the model. The nearest integers *of a lattice* keep it, to a wanted error, at the
price of a little more change of the pixels (T24). The result is an ordinary image file.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

from analytic_dd import byte_set, nearest_features, ridge_weights
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
X = X / 16.0
W = ridge_weights(X, one_hot(y), ridge=1.0)
chosen = np.concatenate([np.flatnonzero(y == digit)[:5] for digit in range(10)])
exact = nearest_features(W, X[chosen], ridge=1.0)
wanted = [3e-1, 3e-2, 3e-3, 3e-4]
made = [byte_set(exact, error=error) for error in wanted]
for error, each in zip(wanted, made, strict=True):
    print(f"wanted {error:.0e}: error of W {each.relative_error:.1e}, changes up to {each.largest_change:.1f} levels")
print(f"plain rounding: error of W {made[0].rounding_error:.1e}")

# %%
# Read the bytes as anyone would and fit again: the error is that of the integers, not an estimate.
last = made[-1]
read = last.low + last.step * last.levels.astype(float)
refitted = ridge_weights(read, last.labels, ridge=last.ridge)
print(last.levels.dtype, f"{np.linalg.norm(refitted - W) / np.linalg.norm(W):.1e}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3.2), layout="constrained", width_ratios=(1, 1.3))
axes[0].loglog([each.largest_change for each in made], [each.relative_error for each in made], "o-", label="lattice")
axes[0].loglog([0.5], [made[0].rounding_error], "s", label="plain rounding")
axes[0].set(xlabel="largest change, levels", ylabel="error of W")
axes[0].legend()
grid = last.levels[::5].reshape(2, 5, 8, 8).transpose(0, 2, 1, 3).reshape(16, 40)
axes[1].imshow(grid, cmap="gray")
axes[1].set(xticks=[], yticks=[], title="ten of the fifty images, uint8")
