"""
Continual learning without the old data
=======================================

A memory of few points stands for all that was seen, in every future whose features lie in a chosen subspace (T23b):
ridge regression on the memory *together with* new samples is that on all samples, exactly. Here pairs of digits arrive
one after the other. A plain replay buffer of as many real images is shown beside it.
"""

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split

from analytic_dd import future_set, ridge_weights, update
from analytic_dd.labels import one_hot

X, y = load_digits(return_X_y=True)
X = PCA(40).fit_transform(X / 16.0)  # all features lie in 40 dimensions
train, test, y_train, y_test = train_test_split(X, y, random_state=0)
ridge, tasks = 1.0, [(0, 1), (2, 3), (4, 5), (6, 7), (8, 9)]
rng = np.random.default_rng(0)


def part(task):
    """Images and labels of a pair of classes."""
    rows = np.isin(y_train, task)
    return train[rows], one_hot(y_train[rows], 10)


def accuracy(W, classes):
    """Share of the test images of these classes that are right."""
    rows = np.isin(y_test, classes)
    scores = test[rows] @ W[list(classes)].T
    return np.mean(np.array(classes)[scores.argmax(axis=1)] == y_test[rows])


memory, buffer = future_set(part(tasks[0]), np.eye(40), ridge=ridge), part(tasks[0])
seen, rows = part(tasks[0]), {name: [] for name in ("all samples kept", "memory", "as many real images")}
for number, task in enumerate(tasks):
    new = part(task)
    if number:
        memory = update(memory, *new)
        seen = [np.vstack(pair) for pair in zip(seen, new, strict=True)]
        buffer = [np.vstack(pair) for pair in zip(buffer, new, strict=True)]
    classes = sum(tasks[: number + 1], ())
    models = (ridge_weights(*seen, ridge=ridge), memory.weights, ridge_weights(*buffer, ridge=ridge))
    for name, W in zip(rows, models, strict=True):
        rows[name].append(accuracy(W, classes))
    kept = rng.permutation(len(buffer[0]))[: len(memory)]
    buffer = [each[kept] for each in buffer]
print(f"{len(memory)} points for {len(seen[0])} images; difference of the weights "
      f"{np.linalg.norm(memory.weights - models[0]) / np.linalg.norm(models[0]):.1e}")  # fmt: skip

# %%
figure, axis = plt.subplots(figsize=(7, 3.2), layout="constrained")
for (name, values), mark in zip(rows.items(), ("o", "x", "s"), strict=True):
    axis.plot(range(1, 6), values, mark, ls="-" if mark != "x" else "none", ms=9, mfc="none", label=name)
axis.set(xlabel="tasks seen", ylabel="accuracy on all classes so far", xticks=range(1, 6))
axis.legend()
