"""Kernels in pieces by Dask workers: the same bits with one worker, two, none, and where one is killed."""

import contextvars
import functools
import os
import signal

import numpy as np
import pytest
import torch

from analytic_dd.baselines.methods.conv_kernel import ConvolutionalKernel, convnet
from analytic_dd.cluster import current_client, in_order, over_dask

SHAPE = (4, 4, 3)
MEMORY = 1e5  # two pairs a piece: 15 pieces of the matrix, 9 of the Gram matrix


def images(n, seed):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, 48)))


def value_and_gradient():
    """The matrices and the gradient of a loss that needs all of both."""
    kernel = ConvolutionalKernel(SHAPE, convnet(2), memory=MEMORY)
    X, X2 = images(5, 0).requires_grad_(), images(6, 1)
    between, gram = kernel(X2, X), kernel(X)
    (gradient,) = torch.autograd.grad((between * images(6, 2)[:, :5]).sum() + gram.square().sum(), X)
    return torch.cat([between.detach(), gram.detach(), gradient.reshape(-1, 5)])


@functools.cache
def here():
    """The same in this process, which a context without a client computes."""
    return contextvars.Context().run(value_and_gradient)


def test_values_and_gradients_have_the_bits_of_one_process(client):
    assert current_client() is client
    found = value_and_gradient()
    with over_dask(None):
        assert current_client() is client
    names = sorted(client.scheduler_info()["workers"])
    with over_dask(_Only(client, names[:1])):
        assert torch.equal(found, value_and_gradient())
    assert torch.equal(found, here())


class _Only:
    """A client that gives its tasks to some of the workers."""

    def __init__(self, client, workers):
        self.client, self.workers = client, workers

    def nthreads(self):
        return dict.fromkeys(self.workers, 1)

    def submit(self, *call, **options):
        return self.client.submit(*call, workers=self.workers, **options)


def test_at_most_eight_calls_a_thread_are_under_way():
    class Counting:
        made = fetched = most = 0

        def nthreads(self):
            return {"one": 1}

        def submit(self, function, *call, pure, retries):
            self.made += 1
            self.most = max(self.most, self.made - self.fetched)
            return self

        def result(self):
            self.fetched += 1
            return self.fetched

    counting = Counting()
    assert list(in_order(max, [(i, 0) for i in range(30)], counting)) == list(range(1, 31))
    assert counting.most == 8


def test_no_workers_are_refused():
    words = "dask must be local, a number of workers >= 1 or a scheduler's address, got 0"
    with pytest.raises(ValueError, match=words), over_dask(0):
        pass


class _Killing(_Only):
    """Kills a worker before the twentieth task is given out."""

    given = 0

    def submit(self, *call, **options):
        self.given += 1
        future = self.client.submit(*call, **options)
        if self.given == 20:
            os.kill(next(iter(self.client.run(os.getpid).values())), signal.SIGKILL)
        return future


def test_a_worker_killed_in_the_middle_changes_no_bit(client):
    """Last in this file: one worker is left."""
    for nanny in client.cluster.workers.values():
        nanny.close_gracefully()  # no worker is started in the place of one that is gone
    killing = _Killing(client, list(client.scheduler_info()["workers"]))
    with over_dask(killing):
        found = value_and_gradient()
    assert torch.equal(found, here())
    assert killing.given > 40
