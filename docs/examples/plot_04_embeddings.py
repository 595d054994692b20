"""
A linear head on embeddings
===========================

Whoever keeps a frozen encoder and fits a linear head on its embeddings needs of all the embeddings only ten rows: the
head is ridge regression, so a set of as many points as classes is exact for it (T4, with learned labels and any ridge).
Here the encoder is a small random network; that of a real project takes its place as it is.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from analytic_dd import minimal_features, ridge_weights
from analytic_dd.labels import one_hot

rng = np.random.default_rng(0)
first, second = rng.standard_normal((64, 300)) / 8, rng.standard_normal((300, 200)) / 17


def encoder(images):
    """Embeddings (n, 200) of images (n, 64)."""
    return np.tanh(np.maximum(images @ first, 0.0) @ second)


X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X / 4.0, y, random_state=0)
W = ridge_weights(encoder(train), one_hot(y_train), ridge=0.1)
small = minimal_features(W, ridge=0.1)
head = ridge_weights(small.features, small.labels, ridge=0.1)
for name, weights in (("all embeddings", W), ("ten rows", head)):
    print(f"{name}: {np.mean((encoder(test) @ weights.T).argmax(axis=1) == y_test):.4f} of the test part right")
print("error of the head:", np.linalg.norm(head - W) / np.linalg.norm(W))

# %%
# The rows are orthonormal, so that rounding is not amplified at all (T15): also float32 keeps the head to 7 digits.
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].imshow(small.features @ small.features.T, cmap="cividis")
axes[0].set_title("inner products of the ten rows")
scores = np.abs(encoder(test) @ (head - W).T).max(axis=1)
axes[1].hist(np.log10(np.maximum(scores, 1e-17)), bins=30)
axes[1].set(title="largest change of a score", xlabel="log10", ylabel="test images")
