"""
A torch loop on a distilled set
===============================

Gradient descent on the ten points has the limit that it has on all the data: the loss is another, its minimiser is
not. What a set is *not* for is shown beside it: a small network trained on the exact set does worse than one trained on
the ten class means, because only ridge regression is promised.
"""

import matplotlib.pyplot as plt
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from analytic_dd import distill
from analytic_dd.distill import Minimal

X, y = load_digits(return_X_y=True)
train, test, y_train, y_test = train_test_split(X / 16.0, y, random_state=0)
small = distill(train, y_train, construction=Minimal(distilled_ridge=0.1))
inputs, labels = small.to_torch()
W, seen, right = torch.tensor(small.w), torch.tensor(test), torch.tensor(y_test)

weights = torch.zeros_like(W, requires_grad=True)
optimiser = torch.optim.SGD([weights], lr=1.0 / (0.1 + float(torch.linalg.matrix_norm(inputs, 2)) ** 2))
errors = []
for _ in range(100):
    optimiser.zero_grad()
    loss = (inputs @ weights.T - labels).square().sum() / 2 + 0.1 * weights.square().sum() / 2
    loss.backward()
    optimiser.step()
    errors.append(float((weights.detach() - W).norm() / W.norm()))
print(f"error of W after {len(errors)} steps: {errors[-1]:.1e}")


# %%
# A network with a hidden layer, three seeds each, on sets that it was not made for.
def trained(images, targets, seed):
    """Accuracy on the test part of a network that was trained on ten points."""
    torch.manual_seed(seed)
    network = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.ReLU(), torch.nn.Linear(64, 10)).double()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.01)
    for _ in range(100):
        optimiser.zero_grad()
        (network(images) - targets).square().mean().backward()
        optimiser.step()
    return float((network(seen).argmax(dim=1) == right).double().mean())


means = torch.stack([torch.tensor(train[y_train == digit].mean(axis=0)) for digit in range(10)])
sets = {"class means": (means, torch.eye(10).double()), "exact set": (inputs, labels)}
accuracies = {name: [trained(*each, seed) for seed in range(3)] for name, each in sets.items()}
ridge = float(((seen @ W.T).argmax(dim=1) == right).double().mean())
print({name: f"{sum(values) / 3:.3f}" for name, values in accuracies.items()}, f"ridge regression: {ridge:.3f}")

# %%
figure, axes = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
axes[0].semilogy(errors)
axes[0].set(xlabel="step", ylabel="error of W", title="gradient descent on ten points")
for row, (name, values) in enumerate(accuracies.items()):
    axes[1].plot(values, [row] * 3, "os"[row], label=name)
axes[1].axvline(ridge, color="0.3", ls="--", label="ridge regression, either way")
axes[1].set(yticks=[], ylim=(-0.5, 2.2), xlabel="test accuracy of networks, three seeds")
axes[1].legend(loc="upper left")
