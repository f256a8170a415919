"""Where nodes are drawn: layers, gaps, and how many edges cross."""

from hypothesis import given
from hypothesis import strategies as st

from minigan.explain.layout import _apart, _crossings, layout


@st.composite
def graphs(draw):
    size = draw(st.integers(1, 14))
    return [draw(st.lists(st.integers(0, i - 1), max_size=3)) if i else [] for i in range(size)]


@given(graphs())
def test_children_lie_below_their_parents_and_nothing_overlaps(parents):
    drawn = layout(parents)
    for child, its in enumerate(parents):
        for parent in its:
            assert drawn.places[child][1] > drawn.places[parent][1]
    taken = {}
    for x, layer in drawn.places:
        assert all(abs(x - other) > 1 - 1e-9 for other in taken.setdefault(layer, []))
        taken[layer].append(x)
    assert min(x for x, _ in drawn.places) >= -1e-9
    assert max(x for x, _ in drawn.places) <= drawn.width + 1e-9


@given(graphs())
def test_long_edges_have_a_joint_in_each_layer_between(parents):
    drawn = layout(parents)
    for child, its in enumerate(parents):
        for parent in set(its):
            between = range(drawn.places[parent][1] + 1, drawn.places[child][1])
            assert [layer for _, layer in drawn.routes[parent, child]] == list(between)


def test_a_chain_is_straight_and_leaves_lie_beside_what_uses_them():
    # 0 -> 1 -> 3 -> 5 with leaves 2 and 4 on the way
    drawn = layout([[], [0], [], [1, 2], [], [3, 4]])
    xs = [drawn.places[i][0] for i in (1, 3, 5)]
    assert max(xs) - min(xs) < 0.3
    assert drawn.places[2][1] == drawn.places[3][1] - 1
    assert drawn.places[4][1] == drawn.places[5][1] - 1


def test_crossings_that_need_not_be_are_undone():
    # two chains whose numbers are interleaved the wrong way round
    parents = [[], [], [1], [0], [3], [2]]
    drawn = layout(parents)
    rows = [
        sorted(
            (i for i in range(6) if drawn.places[i][1] == layer), key=lambda i: drawn.places[i][0]
        )
        for layer in range(3)
    ]
    assert _crossings(rows, [list(its) for its in parents]) == 0


def test_places_are_the_nearest_that_keep_the_gaps():
    assert _apart([0.0, 0.0], [1.0, 1.0], [0.0, 1.0]) == [-0.5, 0.5]
    assert _apart([0.0, 0.0], [1.0, 0.0], [0.0, 1.0]) == [0.0, 1.0]
    assert _apart([0.0, 5.0], [1.0, 1.0], [0.0, 1.0]) == [0.0, 5.0]
