"""Shards on threads give the gradient of the whole batch, and the same bits whoever comes first."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import numpy as np
import pytest
from threadpoolctl import threadpool_info, threadpool_limits

import minigan as mg
from minigan import nn, optim
from minigan.core.errors import ArgumentError, MiniganError, ShapeError
from minigan.core.graph import mode
from minigan.core.parallel import workers
from minigan.core.tensor import Tensor
from minigan.devices.cpu.threads import has_help
from minigan.ops.random import Generator


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.asarray(np.random.default_rng(seed).standard_normal(shape))


class Problem:
    """A small network, a batch, and the mean loss over it."""

    def __init__(self, samples: int = 7, dtype=np.float32):
        layers = [nn.Conv2d(2, 3, 3, padding=1), nn.Tanh(), nn.Flatten(), nn.Linear(48, 2)]
        self.net = nn.Sequential(*layers).to(dtype)
        self.net.load_state_dict(
            {name: noise(*a.shape, seed=3) / 4 for name, a in self.net.state_dict().items()}
        )
        self.parameters = self.net.parameters()
        self.batch = [
            noise(samples, 2, 4, 4, seed=1).astype(dtype),
            noise(samples, 2, seed=2).astype(dtype),
        ]

    def loss(self, x, target):
        y = self.net(Tensor(x))
        return nn.mse_loss(y, Tensor(target)), {"mean": float(y.mean())}

    def gradients(self) -> list[np.ndarray]:
        return [p.grad.numpy() for p in self.parameters]

    def unsharded(self) -> tuple[dict[str, float], list[np.ndarray]]:
        self.net.zero_grad()
        value, report = self.loss(*self.batch)
        value.backward()
        return {**report, "loss": value.item()}, self.gradients()

    def sharded(self, threads: int, shards: int | None = None):
        self.net.zero_grad()
        with workers(threads) as team:
            report = team.gradients(self.loss, self.parameters, self.batch, shards)
        return report, self.gradients()


W = nn.parameter(np.ones(2))


def blas_threads() -> list[int]:
    return [lib["num_threads"] for lib in threadpool_info() if lib["user_api"] == "blas"]


# ---------------------------------------------------------------------- the same gradients


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-14), (np.float32, 5e-6)])
@pytest.mark.parametrize("shards", [1, 2, 3, 7, 100])
def test_gradients_and_reports_are_those_of_the_whole_batch(dtype, tolerance, shards):
    problem = Problem(7, dtype)  # 7 samples divide into neither 2 nor 3: the shards are uneven
    expected_report, expected = problem.unsharded()
    report, found = problem.sharded(2, shards)
    assert report.keys() == {"mean", "loss"}
    for name, value in expected_report.items():
        assert type(report[name]) is float
        assert report[name] == pytest.approx(value, rel=10 * tolerance, abs=tolerance)
    for p, q in zip(found, expected, strict=True):
        assert p.dtype == dtype
        np.testing.assert_allclose(p, q, rtol=0, atol=tolerance * np.abs(q).max())


def test_uneven_shards_weigh_as_many_as_they_hold():
    w = nn.parameter(np.zeros((), np.float64))
    x = np.array([1.0, 2.0, 6.0])  # shards (1, 2) and (6): a mean of means would be 3.75

    def loss(part):
        return (w * Tensor(part)).mean(), {"x": float(part.mean()), "size": len(part)}

    with workers(2) as team:
        report = team.gradients(loss, [w], [x], shards=2)
    assert w.grad is not None
    assert w.grad.shape == ()
    assert isinstance(w.grad._array, np.ndarray)
    assert w.grad.item() == pytest.approx(3.0, rel=1e-15)
    assert report["x"] == pytest.approx(3.0, rel=1e-15)
    assert report["size"] == pytest.approx((2 * 2 + 1) / 3)


@pytest.mark.parametrize(("samples", "shards"), [(1, 1), (7, 1), (8, 2), (9, 2)])
def test_unless_told_otherwise_a_shard_has_four_samples_at_least(samples, shards):
    w, seen = nn.parameter(np.zeros(1)), []

    def loss(x):
        seen.append((len(x), has_help(1.0)))
        return (w * Tensor(x)).mean(), {}

    with workers(2) as team:
        team.gradients(loss, [w], [np.ones((samples, 1))])
    # A single shard's operations are shared out.
    assert sorted(seen) == sorted((-(-(samples - i) // shards), shards == 1) for i in range(shards))


def test_samples_keep_their_order_and_the_first_shards_are_larger():
    w = nn.parameter(np.zeros(1))
    seen = []

    def loss(x, y):
        seen.append((x.tolist(), y.tolist()))
        return (w * float(x.sum())).sum(), {}

    with workers(1) as team:
        team.gradients(loss, [w], [np.arange(7), np.arange(7) * 10], shards=3)
    assert [x for x, _ in seen] == [[0, 1, 2], [3, 4], [5, 6]]
    assert all(y == [10 * n for n in x] for x, y in seen)


def test_a_parameter_that_the_loss_does_not_use_gets_a_gradient_of_zero():
    used, unused = nn.parameter(np.ones(2)), nn.parameter(np.ones(3))
    unused.grad = Tensor(np.ones(3))
    with workers(2) as team:
        team.gradients(lambda x: ((used * Tensor(x)).mean(), {}), [used, unused], [np.ones((4, 2))])
    assert unused.grad.tolist() == [0, 0, 0]


def test_the_report_of_the_loss_is_the_loss_itself():
    w = nn.parameter(np.array([2.0]))
    with workers(2) as team:
        report = team.gradients(lambda x: ((w * w).sum(), {"loss": -1.0}), [w], [np.ones(4)])
    assert report == {"loss": 4.0}


# ---------------------------------------------------------------------- the same bits


def test_the_number_of_threads_does_not_change_a_bit():
    problem = Problem(9)
    report, expected = problem.sharded(1, shards=4)
    for threads in (2, 4, 9):
        again, found = problem.sharded(threads, shards=4)
        assert again == report
        for p, q in zip(found, expected, strict=True):
            np.testing.assert_array_equal(p, q)


def test_the_order_in_which_shards_end_does_not_change_a_bit():
    problem = Problem(8)
    _, expected = problem.sharded(4, shards=4)
    plain = problem.loss
    for order in ([3, 2, 1, 0], [0, 1, 2, 3], [2, 0, 3, 1]):
        ended, turn = [], threading.Condition()

        def late(x, target, order=order, ended=ended, turn=turn):
            shard = next(i for i in range(4) if np.shares_memory(x, problem.batch[0][2 * i]))
            result = plain(x, target)
            with turn:  # the shards leave one after the other, in the order chosen
                assert turn.wait_for(lambda: len(ended) == order.index(shard), timeout=20)
                ended.append(shard)
                turn.notify_all()
            return result

        problem.loss = late
        _, found = problem.sharded(4, shards=4)
        assert ended == order
        for p, q in zip(found, expected, strict=True):
            np.testing.assert_array_equal(p, q)


def test_training_on_threads_gives_the_same_bits_again():
    def train(threads):
        problem = Problem(8)
        optimizer = optim.Adam(problem.parameters, 0.01)
        with workers(threads) as team:
            for _ in range(5):
                team.gradients(problem.loss, problem.parameters, problem.batch, shards=3)
                optimizer.step()
        return [p.tolist() for p in problem.parameters]

    assert train(1) == train(2) == train(3)


# ---------------------------------------------------------------------- map


def test_map_gives_results_in_order_whoever_ends_first():
    with workers(4) as team:
        found = team.map(lambda i, s: (time.sleep(s), i)[1], range(4), [0.03, 0.0, 0.02, 0.0])
    assert found == [0, 1, 2, 3]


def test_map_runs_calls_at_the_same_time():
    meeting = threading.Barrier(3, timeout=20)
    with workers(3) as team:
        assert sorted(team.map(lambda i: meeting.wait(), range(3))) == [0, 1, 2]


def test_map_of_nothing_gives_nothing_and_of_unequal_lengths_is_refused():
    with workers(1) as team:
        assert team.map(abs, []) == []
        with pytest.raises(ValueError, match="shorter"):
            team.map(pow, [1, 2], [3])


def test_a_call_may_map_again_without_waiting_for_ever():
    answers = []

    def nested():
        with workers(1) as team:
            inner = lambda i: team.map(lambda j: 10 * i + j, range(3))  # noqa: E731
            answers.extend(team.map(inner, range(2)))

    thread = threading.Thread(target=nested, daemon=True)
    thread.start()
    thread.join(timeout=20)
    assert answers == [[0, 1, 2], [10, 11, 12]]


def test_the_gradient_mode_of_the_caller_holds_in_the_threads_and_ends_with_the_call():
    w = nn.parameter(np.ones(2))
    with workers(2) as team:
        with mg.no_grad():
            assert [t.requires_grad for t in team.map(lambda i: w * i, range(4))] == [False] * 4
        assert [t.requires_grad for t in team.map(lambda i: w * i, range(4))] == [True] * 4
        assert team.pool.submit(lambda: mode.recording).result()


def test_the_caller_decides_what_overflow_and_division_by_zero_do_in_the_threads():
    with workers(2) as team:
        with np.errstate(divide="ignore"):
            assert [a.tolist() for a in team.map(lambda i: np.ones(1) / i, range(2))] == [
                [np.inf],
                [1],
            ]
        with np.errstate(divide="raise"), pytest.raises(FloatingPointError):
            team.map(lambda i: np.ones(1) / i, range(2))


def test_an_overflow_shows_in_the_results_and_raises_no_warning():
    huge = np.full((2, 2), 1e3)
    with workers(2) as team:
        report = team.gradients(lambda x: ((W * Tensor(x).exp()).sum(), {}), [W], [huge])
    assert report == {"loss": np.inf}
    assert W.grad is not None
    assert W.grad.tolist() == [np.inf, np.inf]


def test_gradients_are_computed_inside_no_grad_too_and_record_nothing_outside():
    problem = Problem(4)
    _, expected = problem.sharded(2, shards=2)
    with mg.no_grad():
        _, found = problem.sharded(2, shards=2)
        assert not mode.recording
    for p, q in zip(found, expected, strict=True):
        np.testing.assert_array_equal(p, q)
    assert not any(p.grad.requires_grad for p in problem.parameters)


# ---------------------------------------------------------------------- failing


class BrokenError(Exception):
    pass


@pytest.mark.parametrize("faster", [0, 1])
def test_the_first_failure_in_order_is_raised_once_no_call_runs_any_more(faster):
    running = []
    failed = threading.Event()

    def call(i):
        running.append(i)
        try:
            if i == faster:
                failed.set()
            else:  # the other of the first two; it fails after the faster one has
                failed.wait(timeout=20)
                time.sleep(0.05)
            raise BrokenError(i)
        finally:
            running.remove(i)

    with workers(2) as team:
        for _ in range(3):
            with pytest.raises(BrokenError, match="0"):
                team.map(call, range(6))
            assert running == []


def test_after_a_failure_calls_that_had_not_begun_are_dropped():
    begun = []

    def call(i):
        begun.append(i)
        if i == 0:
            raise BrokenError
        time.sleep(0.01)

    with workers(1) as team:
        with pytest.raises(BrokenError):
            team.map(call, range(200))
        assert len(begun) < 100


def test_a_failing_shard_leaves_the_gradients_and_the_team_as_they_were():
    problem = Problem(4)
    _, expected = problem.sharded(2, shards=2)
    plain = problem.loss

    def fails(x, target):
        if x[0, 0, 0, 0] == problem.batch[0][2, 0, 0, 0]:
            raise BrokenError("second shard")
        return plain(x, target)

    with workers(2) as team:
        with pytest.raises(BrokenError, match="second shard"):
            team.gradients(fails, problem.parameters, problem.batch, shards=2)
        for p, q in zip(problem.gradients(), expected, strict=True):
            assert p is q or np.array_equal(p, q)
        team.gradients(plain, problem.parameters, problem.batch, shards=2)
    for p, q in zip(problem.gradients(), expected, strict=True):
        np.testing.assert_array_equal(p, q)


def mean_of(x):
    return (W * float(np.mean(x))).mean(), {}


BAD = [
    (lambda t: t.gradients(mean_of, [W], []), "gradients: the batch is empty"),
    (
        lambda t: t.gradients(mean_of, [W], [np.ones(3), np.ones((4, 2))]),
        "gradients: the arrays of the batch have the shapes (3,), (4, 2); they need equally many",
    ),
    (lambda t: t.gradients(mean_of, [W], [np.ones((0, 2))]), "gradients: the arrays of the batch"),
    (lambda t: t.gradients(mean_of, [W], [np.array(1)]), "gradients: the arrays of the batch"),
    (
        lambda t: t.gradients(mean_of, [W], [np.ones(3)], shards=0),
        "gradients: shards is 0; it needs a positive integer",
    ),
    (lambda t: t.gradients(mean_of, [W], [np.ones(3)], shards=-1), "gradients: shards is -1"),
    (
        lambda t: t.gradients(lambda x: mean_of(x)[0], [W], [np.ones(3)]),
        "gradients: the loss returned a Tensor; it needs to return a scalar tensor and a dict",
    ),
    (
        lambda t: t.gradients(lambda x: (W * 1.0, {}), [W], [np.ones(3)]),
        "backward: the output has shape (2,)",
    ),
]


@pytest.mark.parametrize(("call", "message"), BAD, ids=[message for _, message in BAD])
def test_a_wrong_call_is_told_in_one_sentence(call, message):
    with workers(2) as team, pytest.raises(MiniganError) as caught:
        call(team)
    assert str(caught.value).startswith(message)
    assert isinstance(caught.value, ArgumentError | ShapeError)


@pytest.mark.parametrize("count", [0, -1, 1.5, "2"])
def test_a_number_of_threads_that_is_none_is_refused(count):
    with pytest.raises(ArgumentError, match="workers: count is"), workers(count):
        pass


def test_by_default_there_is_a_thread_for_each_processor():
    with workers() as team:
        assert team.count >= 1
        assert len(team.map(abs, range(3))) == 3


# ---------------------------------------------------------------------- leaving no trace


def test_blas_has_one_thread_inside_and_as_many_as_before_outside():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with workers(2):
            assert set(blas_threads()) <= {1}
            with workers(2):
                assert set(blas_threads()) <= {1}
            assert set(blas_threads()) <= {1}
        assert blas_threads() == before

        def fail():
            with workers(2) as team:
                team.map(lambda i: 1 / i, range(2))

        with pytest.raises(ZeroDivisionError):
            fail()
        assert blas_threads() == before


def test_the_threads_end_with_the_scope():
    before = threading.active_count()
    with workers(3) as team:
        team.map(lambda i: time.sleep(0.01), range(3))
        assert threading.active_count() > before
    assert threading.active_count() == before


def test_the_graphs_of_the_shards_are_freed_by_reference_count():
    problem = Problem(4)
    plain, watched = problem.loss, []

    def watch(x, target):
        value, report = plain(x, target)
        watched.append(weakref.ref(value._node))
        return value, report

    gc.collect()
    gc.disable()
    try:
        with workers(2) as team:
            team.gradients(watch, problem.parameters, problem.batch, shards=2)
            assert [ref() for ref in watched] == [None, None]
    finally:
        gc.enable()


def test_dropout_and_running_statistics_do_not_depend_on_which_thread_is_first():
    def train(threads):
        generator = Generator(7)
        layers = nn.Sequential(
            nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Dropout(0.5, generator=generator)
        )
        layers.load_state_dict({n: np.ones(t.shape, t.dtype) for n, t in layers.named_tensors()})
        batch = [np.random.default_rng(0).random((8, 1, 4, 4), dtype=np.float32)]
        turns = iter(range(10**6))

        def loss(x):
            if threads > 1 and next(turns) % 2:  # let the shards come in another order
                time.sleep(0.002)
            return layers(Tensor(x)).sum(), {}

        with workers(threads) as pool:
            for _ in range(3):
                pool.gradients(loss, layers.parameters(), batch, shards=4)
        gradients = [p.grad.numpy().tobytes() for p in layers.parameters()]
        return gradients, {n: a.tobytes() for n, a in layers.state_dict().items()}

    assert train(1) == train(4)
