"""The page as data and as a file: whole, self-contained, and safe whatever the names in it."""

import base64
import json
import re

import numpy as np
import pytest
from small_network import small_loss

import minigan as mg
from minigan import explain, nn
from minigan.core.errors import OutputPathError
from minigan.explain.data import LARGEST, page_data
from minigan.pages.arrays import WHOLE, Arrays, described
from minigan.pages.page import as_json, number


def small_page():
    network, image, target = small_loss()
    trace = explain.trace(lambda: ((network(image) - target) ** 2).mean())
    return trace, page_data(trace, "small")


def values(data, place):
    entry = data["arrays"][place]
    raw = np.frombuffer(base64.b64decode(entry["data"]), "<" + entry["type"])
    return raw.reshape(entry["shape"])


def test_boxes_steps_and_arrays_are_those_of_the_trace():
    trace, data = small_page()
    assert len(data["boxes"]) == len(trace.nodes) + len(trace.constants) >= 12
    assert len(data["backward"]) == len(data["checked"] and trace.visits)
    for visit, shown in zip(trace.visits, data["backward"], strict=True):
        assert data["boxes"][shown["box"]]["op"] == visit.traced.node.name
        np.testing.assert_array_equal(values(data, shown["gradient"]), visit.gradient)
        for passed, entry in zip(visit.passed, shown["passed"], strict=True):
            np.testing.assert_array_equal(values(data, entry["gradient"]), passed.gradient)


def test_every_argument_has_a_box_that_comes_before():
    _, data = small_page()
    for i, box in enumerate(data["boxes"]):
        for argument in box.get("arguments", []):
            assert argument.get("from", -1) < i
    assert {box["name"] for box in data["boxes"] if box["op"] == "constant"} >= {"image", "target"}


def test_code_of_vjps_is_the_engines():
    _, data = small_page()
    relu = next(box for box in data["boxes"] if box["op"] == "relu")
    assert "relu_grad(g, out)" in relu["vjps"][0]["code"]
    assert relu["source"]["file"] == "small_network.py"
    assert relu["source"]["lines"][relu["source"]["line"] - relu["source"]["first"]].strip() == (
        "h = self.first(x).relu()"
    )


def test_the_file_needs_nothing_else_and_names_no_folder(tmp_path):
    network, image, target = small_loss()
    explain.trace(lambda: ((network(image) - target) ** 2).mean()).write(tmp_path / "p.html")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert str(tmp_path.parent) not in page
    assert __file__.rpartition("/")[0] not in page
    page = re.sub(
        r'id="data">.*?</script>', "", page, flags=re.DOTALL
    )  # which has these very lines
    assert not re.search(r"""(src|href)\s*=|url\(|@import|https?://(?!www\.w3\.org/)""", page)
    assert "default-src 'none'" in page


def test_no_name_can_end_the_script(tmp_path):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    explain.trace(lambda: x.sum()).write(tmp_path / "p.html", title="</script><b>&")
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert "<title>&lt;/script&gt;&lt;b&gt;&amp;</title>" in page
    assert page.count("</script>") == 2  # of the data and of the script
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found
    assert json.loads(found[1])["title"] == "</script><b>&"


def test_a_path_that_cannot_be_written_is_refused(tmp_path):
    x = mg.tensor([1.0, 2.0], requires_grad=True)
    trace = explain.trace(lambda: x.sum())
    with pytest.raises(OutputPathError, match="no/such"):
        trace.write(tmp_path / "no/such/p.html")


def test_numbers_that_json_does_not_know():
    assert as_json([number(np.nan), number(np.inf), number(-np.inf), number(1.5)]) == (
        '["nan","inf","-inf",1.5]'
    )


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "float16", "int64", "uint32", "uint8", "bool"]
)
def test_arrays_keep_their_numbers(dtype):
    array = np.array([[0, 1, 1], [1, 0, 1]]).astype(dtype)
    entry = described(array)
    raw = np.frombuffer(base64.b64decode(entry["data"]), "<" + entry["type"])
    np.testing.assert_array_equal(raw.reshape(entry["shape"]), array)


def test_large_arrays_are_pictures_and_histograms_and_say_what_is_not_finite():
    array = np.linspace(-1, 3, 2 * 3 * 60 * 70).reshape(2, 3, 60, 70)
    array[0, 0, 0, 0] = np.nan
    entry = described(array)
    assert array.size > WHOLE
    assert "data" not in entry
    assert entry["bad"] == 1
    assert entry["most"] == 3
    assert sum(entry["bars"]["counts"]) == array.size - 1
    assert entry["thumbnail"]["shape"][0] == 4
    assert max(entry["thumbnail"]["shape"][1:]) <= 32


def test_an_array_is_written_once():
    arrays, one, other = Arrays(), np.zeros(3), np.zeros(3)
    assert [arrays.place(a) for a in (one, other, one, None)] == [0, 1, 0, None]
    assert len(arrays.entries) == 2


def test_empty_and_infinite_arrays_have_figures():
    for array in (np.zeros((0, 3)), np.full(3, np.inf)):
        as_json(described(array))


# ---------------------------------------------------------------------- graphs too large to draw


def deep_network(layers):
    mg.manual_seed(0)
    return nn.Sequential(*[nn.Sequential(nn.Linear(3, 3), nn.Tanh()) for _ in range(layers)])


def test_a_large_graph_is_summarised_by_module():
    network = deep_network(60)
    trace = explain.trace(lambda: network(mg.rand(2, 3)).mean())
    data = page_data(trace, "deep")
    assert not data["whole"]
    assert len(trace.nodes) > LARGEST
    titles = [box["op"] for box in data["boxes"]]
    assert titles[:2] == ["Sequential.0.0", "Sequential.0.1"]
    leaves = [leaf["name"] for box in data["boxes"] for leaf in box["leaves"]]
    assert leaves == [name for name, _ in network.named_parameters()]
    weight = data["boxes"][0]["leaves"][0]
    assert weight["gradient"] == pytest.approx(np.linalg.norm(network[0][0].weight.grad))


def test_a_larger_one_by_the_modules_around():
    network = deep_network(100)
    trace = explain.trace(lambda: network(mg.rand(2, 3)).mean())
    titles = [box["op"] for box in page_data(trace, "deep")["boxes"]]
    assert titles[:2] == ["Sequential.0", "Sequential.1"]
    assert len(titles) == 101


def test_a_loop_without_modules_in_parts_of_one_length():
    x = mg.tensor(0.5, requires_grad=True)

    def loss():
        y = x
        for _ in range(400):
            y = y.sin()
            y = y + 0.1
        return y

    data = page_data(explain.trace(loss), "loop")
    assert len(data["boxes"]) <= LARGEST
    assert data["boxes"][0]["op"] == "operations 1 to 6"
    assert sum(sum(box["counts"].values()) for box in data["boxes"]) == 800
    assert [visit["box"] for visit in data["backward"]] == list(range(len(data["boxes"])))[::-1]
    assert all(edge["from"] < edge["to"] for edge in data["edges"])


def test_a_graph_of_a_hundred_thousand_nodes_is_no_trouble():
    x = mg.tensor(0.5, requires_grad=True)
    y = x
    for _ in range(100_000):
        y = y + 0.001
    data = page_data(explain.trace(y), "long")
    assert data["nodes"] == 100_001
    assert len(data["boxes"]) <= LARGEST


def test_a_loop_on_one_line_is_cut_into_parts():
    x = mg.tensor(0.5, requires_grad=True)

    def loss():
        y = x
        for _ in range(300):
            y = y.sin() + 0.1
        return y

    titles = [box["op"] for box in page_data(explain.trace(loss), "loop")["boxes"]]
    assert 30 < len(titles) <= LARGEST
    assert titles[0].endswith(", part 1")
