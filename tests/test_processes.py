"""Shards in processes give the bits that threads give, and leave nothing behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest

import minigan as mg
from minigan import nn, optim, processes
from minigan.core.errors import ArgumentError, WorkerError
from minigan.core.forked import Helper, can_fork
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu.threads import has_help
from minigan.ops.random import Generator, default_generator
from minigan.processes import in_processes

pytestmark = pytest.mark.skipif(
    not can_fork(), reason="processes are forked on Linux, under an interpreter lock"
)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


class Problem:
    """A small network with everything that has a state, a batch, and the mean loss over it."""

    def __init__(self, samples: int = 6, dtype=np.float32):
        self.own = Generator(5)
        layers = [
            nn.Conv2d(2, 4, 3, padding=1), nn.BatchNorm2d(4), nn.Tanh(), nn.Dropout(0.25),
            nn.Dropout(0.25, generator=self.own), nn.Flatten(), nn.Linear(64, 2),
        ]  # fmt: skip
        self.net = nn.Sequential(*layers).to(dtype)
        state = {n: noise(*a.shape, seed=3) / 4 for n, a in self.net.state_dict().items()}
        state = {n: np.abs(a).astype(self.net.state_dict()[n].dtype) for n, a in state.items()}
        self.net.load_state_dict(state)
        self.parameters = self.net.parameters()
        self.batch = [
            noise(samples, 2, 4, 4, seed=1).astype(dtype),
            noise(samples, 2, seed=2).astype(dtype),
        ]
        mg.manual_seed(0)

    def loss(self, x, target):
        y = self.net(Tensor(x))
        return nn.mse_loss(y, Tensor(target)), {"mean": float(y.mean())}

    def bits(self):
        gradients = [p.grad.numpy().tobytes() for p in self.parameters]
        return gradients, {n: a.tobytes() for n, a in self.net.state_dict().items()}


def forked(problem, threads=2, losses=None, shards=None):
    """The workers of a block in which the problem's shards are computed in processes."""

    @contextmanager
    def block():
        with (
            workers(threads) as pool,
            in_processes(pool, losses or [problem.loss], [problem.net], shards) as team,
        ):
            assert team is not pool
            yield team

    return block()


def helpers():
    return multiprocessing.active_children()


def who(x):
    """Which process computed the shards, besides this one: 0 for none."""
    return (W.sum() * float(np.mean(x)), {"other": float(os.getpid() != HERE)})


HERE = os.getpid()
W = nn.parameter(np.ones(2))


class Holder(nn.Module):
    def __init__(self, *tensors):
        super().__init__()
        for i, tensor in enumerate(tensors):
            setattr(self, f"t{i}", tensor)


# ---------------------------------------------------------------------- who computes


@pytest.mark.parametrize(
    ("shards", "share"), [(1, 0), (2, 1 / 2), (3, 2 / 3), (4, 0), (None, 2 / 3)]
)
def test_each_shard_but_the_first_is_computed_by_a_process_if_there_are_enough(shards, share):
    with workers(3) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        assert len(helpers()) == 2
        report = team.gradients(who, [W], [np.ones(6)], shards)
    assert report["other"] == pytest.approx(share)


def test_what_the_processes_do_not_know_is_computed_on_threads():
    def another(x):
        return who(x)

    outside = nn.parameter(np.ones(2))
    with workers(2) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        assert team.gradients(who, [W], [np.ones(4)], 2)["other"] == 0.5
        assert team.gradients(another, [W], [np.ones(4)], 2)["other"] == 0
        assert team.gradients(who, [W, outside], [np.ones(4)], 2)["other"] == 0
        assert team.gradients(who, [W], [np.ones(4)], 2)["other"] == 0.5


def test_no_more_processes_than_shards_and_none_for_a_single_one():
    with workers(3) as pool:
        with in_processes(pool, [who], [Holder(W)], shards=2):
            assert len(helpers()) == 1
        with in_processes(pool, [who], [Holder(W)], shards=1) as team:
            assert team is pool
    with workers(1) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        assert team is pool


def test_where_processes_cannot_be_forked_threads_compute(monkeypatch):
    monkeypatch.setattr(processes, "can_fork", lambda: False)
    with workers(2) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        assert team is pool


def test_networks_on_a_device_stay_with_the_threads():
    elsewhere = nn.parameter(np.ones(2))
    elsewhere.device = "cuda"
    with workers(2) as pool, in_processes(pool, [who], [Holder(W, elsewhere)]) as team:
        assert team is pool


def test_a_process_that_may_have_no_children_uses_threads():
    def inside():
        with workers(2) as pool, in_processes(pool, [who], [Holder(W)]) as team:
            os._exit(7 if team is pool else 8)

    process = multiprocessing.get_context("fork").Process(target=inside, daemon=True)
    process.start()
    process.join()
    assert process.exitcode == 7


def test_a_shard_has_no_help_in_its_operations():
    def helped(x):
        return W.sum() * 1.0, {"helped": float(has_help())}

    with workers(3) as pool, in_processes(pool, [helped], [Holder(W)]) as team:
        assert team.gradients(helped, [W], [np.ones(4)], 2)["helped"] == 0
        assert team.gradients(helped, [W], [np.ones(4)], 1)["helped"] == 1


def test_a_batch_within_a_batch_is_computed_on_threads():
    teams = []

    def outer(x):
        team = teams[0] if teams else pool  # the fork came before the team was known
        inner = team.gradients(who, [W], [x], 2)
        mapped = pool.map(lambda i: 2 * i, range(3))
        return W.sum() * 1.0, {"inner": inner["other"], "mapped": float(sum(mapped))}

    with workers(2) as pool, in_processes(pool, [outer, who], [Holder(W)]) as team:
        teams.append(team)
        assert team.gradients(outer, [W], [np.ones(8)], 2)["mapped"] == 6
        assert team.gradients(who, [W], [np.ones(8)], 2)["other"] == 0.5


# ---------------------------------------------------------------------- the same bits


def trained(problem, team, steps=4, shards=2):
    optimizer = optim.Adam(problem.parameters, 0.01)
    reports = []
    for _ in range(steps):
        reports.append(team.gradients(problem.loss, problem.parameters, problem.batch, shards))
        optimizer.step()
    return reports, problem.bits()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shards", [1, 2, 3])
def test_training_gives_the_bits_that_threads_give(dtype, shards):
    problem = Problem(7, dtype)  # 7 samples divide into neither 2 nor 3
    with workers(3) as pool:
        expected = trained(problem, pool, shards=shards)
    problem = Problem(7, dtype)
    with forked(problem, threads=3) as team:
        assert trained(problem, team, shards=shards) == expected


def test_two_losses_and_two_networks():
    def run(team_of):
        a, b = Problem(), Problem()
        b.net.load_state_dict({n: 2 * v for n, v in a.net.state_dict().items()})

        def against(x, target):  # reads a as well, which has moved since the fork
            with mg.no_grad():
                made = a.net(Tensor(x))
            return nn.mse_loss(b.net(Tensor(x)), made) + 0 * Tensor(target).mean(), {}

        with workers(2) as pool, team_of(pool, [a.loss, against], [a.net, b.net]) as team:
            for _ in range(3):
                team.gradients(a.loss, a.parameters, a.batch, 2)
                optim.SGD(a.parameters, 0.1).step()
                team.gradients(against, b.parameters, b.batch, 2)
                optim.SGD(b.parameters, 0.1).step()
        return a.bits(), b.bits()

    @contextmanager
    def on_threads(pool, losses, networks):
        yield pool

    assert run(in_processes) == run(on_threads)


def test_what_changes_between_batches_reaches_the_processes():
    def run(problem, team):
        found = []
        for change in (
            lambda: problem.net.load_state_dict(
                {n: a / 2 for n, a in problem.net.state_dict().items() if a.ndim}
                | {n: a for n, a in problem.net.state_dict().items() if not a.ndim}
            ),
            lambda: setattr(problem.parameters[0], "_array", problem.parameters[0]._array * 3),
            problem.net.eval,
            problem.net.train,
            lambda: mg.manual_seed(9),
            lambda: problem.own.manual_seed(9),
            lambda: default_generator.uniform((3,)),
        ):
            change()
            team.gradients(problem.loss, problem.parameters, problem.batch, 2)
            found.append(problem.bits())
        return found

    problem = Problem()
    with workers(2) as pool:
        expected = run(problem, pool)
    assert len(set(map(str, expected))) == len(expected)
    problem = Problem()
    with forked(problem) as team:
        assert run(problem, team) == expected


def test_random_numbers_go_on_from_one_block_to_the_next():
    def run(block):
        problem = Problem()
        for _ in range(2):
            with block(problem) as team:
                team.gradients(problem.loss, problem.parameters, problem.batch, 2)
        return problem.bits(), default_generator.get_state(), problem.own.get_state()

    assert run(forked) == run(lambda problem: workers(2))


def test_exact_and_the_choice_of_kernels_reach_the_processes():
    x = noise(4, 32, 16, 16, seed=1).astype(np.float32)
    net = nn.Conv2d(32, 32, 3, padding=1)

    def loss(x):
        return (net(Tensor(x)) ** 2).mean(), {}

    def gradient(team):
        team.gradients(loss, net.parameters(), [x], 2)
        return net.weight.grad.numpy().tobytes()

    with workers(2) as pool, in_processes(pool, [loss], [net]) as team:
        fast = gradient(team), gradient(pool)
        with mg.exact():
            exact = gradient(team), gradient(pool)
        with mg.use_kernels(conv2d="direct"):
            direct = gradient(team), gradient(pool)
    assert [len({*pair}) for pair in (fast, exact, direct)] == [1, 1, 1]
    assert len({fast[0], exact[0], direct[0]}) >= 2


def test_overflow_raises_no_warning():
    huge = np.full((2, 2), 1e3)

    def loss(x):
        return (W * Tensor(x).exp()).sum(), {}

    with workers(2) as pool, in_processes(pool, [loss], [Holder(W)]) as team:
        assert team.gradients(loss, [W], [huge], 2) == {"loss": np.inf}


# ---------------------------------------------------------------------- memory


def test_arrays_keep_their_values_shapes_and_order_in_memory():
    tensors = [
        nn.parameter(noise(3, 4)),
        nn.parameter(np.array(2.5)),
        nn.parameter(np.zeros((0, 3))),
        Tensor(noise(2, 3, 4, 5).transpose(3, 1, 0, 2)),
        nn.Conv2d(3, 5, 3).weight,
    ]
    before = [(t.numpy().copy(), t._array.strides, t._array) for t in tensors]
    with workers(2) as pool, in_processes(pool, [who], [Holder(*tensors)]):
        for tensor, (values, strides, array) in zip(tensors, before, strict=True):
            np.testing.assert_array_equal(tensor.numpy(), values)
            assert tensor._array.strides == strides or values.size == 0
            assert tensor._array is not array
    for tensor, (values, _, _) in zip(tensors, before, strict=True):
        tensor.copy_(values + 1)  # the memory outlives the block
        np.testing.assert_array_equal(tensor.numpy(), values + 1)


def test_a_tensor_that_the_networks_share_stays_one():
    with (
        workers(2) as pool,
        in_processes(pool, [who], [Holder(W), Holder(W, nn.parameter(np.ones(1)))]) as team,
    ):
        assert len(team._memory.tensors) == 2  # type: ignore[attr-defined]  # of _Forked
        assert team.gradients(who, [W], [np.ones(4)], 2)["other"] == 0.5


def test_another_shape_or_dtype_inside_the_block_is_refused_in_one_sentence():
    problem = Problem()
    with forked(problem) as team:
        problem.net.to("float64")
        with pytest.raises(
            ArgumentError, match=r"^gradients: a tensor of shape \(4, 2, 3, 3\), float64"
        ):
            team.gradients(problem.loss, problem.parameters, problem.batch, 2)
        problem.net.to("float32")
        team.gradients(problem.loss, problem.parameters, problem.batch, 2)


# ---------------------------------------------------------------------- failing


class BrokenError(Exception):
    pass


class StubbornError(Exception):
    def __init__(self, what, where):  # cannot be made again from its message alone
        super().__init__(f"{what} in {where}")


@pytest.mark.parametrize(
    ("first", "second", "raised", "message"),
    [
        (None, BrokenError("second"), BrokenError, r"^second$"),
        (BrokenError("first"), None, BrokenError, r"^first$"),
        (BrokenError("first"), BrokenError("second"), BrokenError, r"^first$"),
        (None, StubbornError("x", "y"), WorkerError, r"^gradients: StubbornError: x in y$"),
        (None, SystemExit(3), SystemExit, "3"),
    ],
)
def test_an_error_of_a_shard_is_raised_here_and_the_processes_go_on(first, second, raised, message):
    problem = Problem()
    plain = problem.loss

    def fails(x, target):
        wanted = first if os.getpid() == HERE else second
        if wanted is not None and x[0, 0, 0, 0] != 0:
            raise wanted
        return plain(x, target)

    with forked(problem, losses=[fails]) as team:
        with pytest.raises(raised, match=message):
            team.gradients(fails, problem.parameters, problem.batch, 2)
        problem.batch[0][...] = 0
        team.gradients(fails, problem.parameters, problem.batch, 2)


def test_a_loss_that_returns_no_pair_is_told_in_one_sentence():
    def bare(x):
        return W.sum()

    with (
        workers(2) as pool,
        in_processes(pool, [bare], [Holder(W)]) as team,
        pytest.raises(ArgumentError, match=r"^gradients: the loss returned a Tensor"),
    ):
        team.gradients(bare, [W], [np.ones(4)], 2)


def test_a_process_that_was_killed_is_told_of():
    with workers(2) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        (helper,) = helpers()
        os.kill(helper.pid, signal.SIGKILL)
        for _ in range(2):
            with pytest.raises(
                WorkerError, match=r"^gradients: a process .* ended, with exit code -9"
            ):
                team.gradients(who, [W], [np.ones(4)], 2)


def test_after_ctrl_c_no_stale_answer_is_taken(monkeypatch):
    def scaled(x):
        return W.sum() * float(np.mean(x)), {}

    with workers(2) as pool, in_processes(pool, [scaled], [Holder(W)]) as team:
        answer = Helper.answer

        def interrupted(helper, number):
            raise KeyboardInterrupt

        monkeypatch.setattr(Helper, "answer", interrupted)
        with pytest.raises(KeyboardInterrupt):
            team.gradients(scaled, [W], [np.full(4, 100.0)], 2)
        monkeypatch.setattr(Helper, "answer", answer)
        assert team.gradients(scaled, [W], [np.ones(4)], 2)["loss"] == W.numpy().sum()
        assert W.grad is not None
        assert W.grad.tolist() == [1, 1]


def test_ctrl_c_is_for_the_parent_alone():
    with workers(2) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        team.gradients(who, [W], [np.ones(4)], 2)
        os.kill(helpers()[0].pid or 0, signal.SIGINT)
        time.sleep(0.05)
        assert team.gradients(who, [W], [np.ones(4)], 2)["other"] == 0.5


# ---------------------------------------------------------------------- leaving no trace


def test_the_processes_end_with_the_block_also_after_an_error_and_in_the_middle_of_work():
    def endless(x):
        while os.getpid() != HERE:
            time.sleep(0.01)
        raise KeyboardInterrupt

    def body():
        with workers(3) as pool, in_processes(pool, [endless], [Holder(W)]) as team:
            # Ctrl-C twice: the second one while the first waits for the helpers.
            for helper in team._helpers:  # type: ignore[attr-defined]  # of _Forked
                helper.answer = lambda number: (_ for _ in ()).throw(KeyboardInterrupt())
            team.gradients(endless, [W], [np.ones(4)], 3)

    with pytest.raises(KeyboardInterrupt):
        body()
    assert helpers() == []


def test_threads_and_warnings_are_as_before():
    before = threading.active_count()
    with workers(2) as pool, in_processes(pool, [who], [Holder(W)]) as team:
        team.gradients(who, [W], [np.ones(4)], 2)
    assert threading.active_count() == before


ORPHANS = """
import multiprocessing, os, signal, numpy as np
from minigan import nn
from minigan.core.parallel import workers
from minigan.processes import in_processes
w = nn.parameter(np.ones(2))
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = w
def loss(x):
    return w.sum() * 1.0, {}
with workers(3) as pool, in_processes(pool, [loss], [Net()]) as team:
    team.gradients(loss, [w], [np.ones(4)], 3)
    print(*[child.pid for child in multiprocessing.active_children()], flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_the_processes_end_when_the_parent_is_killed():
    done = subprocess.run(
        [sys.executable, "-c", ORPHANS], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL
    pids = [int(word) for word in done.stdout.split()]
    assert len(pids) == 2
    until = time.monotonic() + 20
    while any(map(_is_alive, pids)):
        assert time.monotonic() < until
        time.sleep(0.02)


def _is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
