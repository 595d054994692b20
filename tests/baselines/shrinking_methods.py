"""A method of a user's own, which tests register by a decorator, a module's name and an entry point."""

import torch

from analytic_dd.baselines import Method


class Shrinking(Method):
    """A method of a user's own: real samples that shrink towards zero."""

    name = "shrinking"

    def start(self):
        """Take real samples."""
        self.images = self.task.real_images(self.points_per_class, self.rng(-1))

    def step(self, index):
        """Halve them."""
        self.images = self.images / 2.0
        return float(self.images.square().mean())

    def state(self):
        """Return the samples."""
        return {"images": self.images.clone()}

    def restore(self, state):
        """Continue."""
        self.images = state["images"].clone()

    def result(self):
        """Return the samples with one-hot labels."""
        return self.images, torch.nn.functional.one_hot(self.classes_of_points, self.task.k).double()
