"""The lab: what a page may ask, what is refused, and a browser that drives it through a training."""

import http.client
import json
import socket
import struct
import threading
import time

import numpy as np
import pytest
from browsing import browser_page, needs_browser, until
from calls import refused
from click.testing import CliRunner

from minigan.cli.main import main
from minigan.gan.lab.server import LabServer
from minigan.gan.toys.mixtures import coverage, ring


@pytest.fixture
def lab():
    server = LabServer(0)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def ask(lab, method, path, body=None, **headers):
    """(status, the answer) of one request."""
    connection = http.client.HTTPConnection("127.0.0.1", lab.server_port, timeout=20)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        text = answer.read().decode()
        is_json = answer.headers["Content-Type"] == "application/json"
        return answer.status, json.loads(text) if is_json else text
    finally:
        connection.close()


def act(lab, **request):
    return ask(lab, "POST", "/act", json.dumps(request))


def weights(player):
    return np.concatenate([w.numpy().reshape(-1) for w in player.weights()])


# ---------------------------------------------------------------------- what it does


def test_the_page_is_whole_and_may_ask_its_own_server_only(lab):
    status, page = ask(lab, "GET", "/")
    assert status == 200
    assert "default-src 'none'" in page
    assert "connect-src 'self'" in page
    assert "http://" not in page.replace("http://www.w3.org", "")


def test_steps_move_whom_they_name(lab):
    game = lab.game._game
    G, D = weights(game.generator), weights(game.discriminator)
    assert act(lab, do="d_step")[0] == 200
    assert (weights(game.generator) == G).all()
    assert (weights(game.discriminator) != D).any()
    D = weights(game.discriminator)
    assert act(lab, do="g_step")[1]["step"] == 1
    assert (weights(game.generator) != G).any()
    assert (weights(game.discriminator) == D).all()
    assert act(lab, do="step")[1]["step"] == 2


def test_it_runs_and_pauses(lab):
    assert act(lab, do="run")[1]["running"]
    deadline = time.monotonic() + 30
    while ask(lab, "GET", "/state")[1]["step"] < 20:
        assert time.monotonic() < deadline
    _, state = act(lab, do="pause")
    assert not state["running"]
    assert ask(lab, "GET", "/state")[1]["step"] == state["step"]
    assert len(state["figures"]["step"]) == state["step"]


def test_settings_data_and_drawings_change_the_game(lab):
    game = lab.game._game
    _, state = act(
        lab, do="settings", settings={"loss": "wgan-gp", "lr": "0.003", "way": "optimistic"}
    )
    assert (state["settings"]["loss"], state["settings"]["lr"]) == ("wgan-gp", 0.003)
    assert lab.game._game is game
    _, state = act(lab, do="target", target="grid")
    assert state["of"] == 25
    _, state = act(lab, do="draw", points=[[0.5, 0.5], [-0.5, 0.25]])
    assert state["target"] == "drawn"
    assert state["covered"] is None
    real = np.array(state["real"]).reshape(-1, 2)
    assert abs(real[:, 1]).max() < 0.75
    assert act(lab, do="step")[0] == 200
    act(lab, do="settings", settings={"pack": "2"})
    assert lab.game._game is not game


def test_a_game_that_blows_up_pauses_and_says_so(lab):
    act(lab, do="settings", settings={"lr": "1e30", "d_lr": "1e30"})
    act(lab, do="run")
    deadline = time.monotonic() + 30
    while (state := ask(lab, "GET", "/state")[1])["running"]:
        assert time.monotonic() < deadline
    assert state["notices"][-1]["kind"] == "ended"


# ---------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1:1"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/"), ("GET", "/state"), ("POST", "/act")])
def test_other_hosts_and_origins_are_refused(lab, method, path, headers):
    body = json.dumps({"do": "run"}) if method == "POST" else None
    status, answer = ask(lab, method, path, body, **headers)
    assert status == 403
    assert "the lab" in answer["error"]
    assert not ask(lab, "GET", "/state")[1]["running"]


def test_its_own_origin_is_let_in(lab):
    origin = f"http://127.0.0.1:{lab.server_port}"
    assert ask(lab, "POST", "/act", json.dumps({"do": "d_step"}), Origin=origin)[0] == 200
    assert ask(lab, "GET", "/state", Host=f"localhost:{lab.server_port}")[0] == 200


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("", "needs to be JSON"),
        ("[1]", "object"),
        ("{", "JSON"),
        ('{"do": "fly"}', "cannot do 'fly'"),
        ('{"do": "settings", "settings": {"width": 5}}', "changes"),
        ('{"do": "settings", "settings": 3}', "changes"),
        ('{"do": "settings", "settings": {"lr": "fast"}}', "no number"),
        ('{"do": "settings", "settings": {"lr": "-1"}}', "lr is -1.0"),
        ('{"do": "settings", "settings": {"loss": "none"}}', "non-saturating"),
        ('{"do": "target", "target": "spiral"}', "ring, grid"),
        ('{"do": "draw", "points": []}', "1 to 4000"),
        ('{"do": "draw", "points": [[1, 2, 3]]}', "pairs"),
        ('{"do": "draw", "points": [[99, 0]]}', "pairs"),
        ('{"do": "draw", "points": [["a", 0]]}', "pairs"),
    ],
)
def test_requests_that_make_no_sense_get_one_sentence(lab, body, said):
    status, answer = ask(lab, "POST", "/act", body)
    assert status == 400
    assert said in answer["error"]
    assert "\n" not in answer["error"]


def test_other_addresses_are_not_there(lab):
    assert ask(lab, "GET", "/etc/passwd")[0] == 404
    assert ask(lab, "POST", "/other", "{}")[0] == 404


def test_a_port_in_use_is_one_sentence():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["gan", "lab", "--no-browser", "--port", str(port)])
    refused(result, f"port {port} is in use", "--port")


def test_a_page_that_is_closed_while_it_waits_leaves_no_traceback(lab, capfd):
    request = f"GET /state HTTP/1.1\r\nHost: 127.0.0.1:{lab.server_port}\r\n\r\n"
    at_once = struct.pack("ii", 1, 0)  # close without waiting for what is on its way: a reset

    def answering():
        return any("process_request" in thread.name for thread in threading.enumerate())

    address = ("127.0.0.1", lab.server_port)
    with lab.game._lock, socket.create_connection(address) as page:  # no answer before it is closed
        page.sendall(request.encode())
        page.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        while not answering():
            time.sleep(0.01)
    while answering():
        time.sleep(0.01)
    assert capfd.readouterr().err == ""


# ---------------------------------------------------------------------- in a browser


@needs_browser
def test_a_browser_drives_a_training(lab):
    with browser_page(allow=(lab.url,)) as page:
        page.goto(lab.url)
        page.wait_for_selector("[data-figure='step']")
        page.click("#d_step")
        page.click("#g_step")
        until(page, "state.step === 1")
        assert page.locator("[data-figure='step'] b").inner_text() == "1"
        page.select_option("#field-loss", "least-squares")
        until(page, "state.settings.loss === 'least-squares'")
        assert page.locator("#notices").inner_text() == "Nothing so far."
        page.click("#run")
        until(page, "state.step > 30")
        page.click("#run")
        until(page, "!state.running")
        shown = int(page.locator("[data-figure='step'] b").inner_text())
        game = lab.game._game
        assert shown == game.steps > 30
        points = np.array(page.evaluate("state.points")).reshape(-1, 2)
        np.testing.assert_allclose(points, game.samples(400), atol=1e-4)
        surface = np.array(page.evaluate("state.surface"))
        assert surface.size == 1600
        found = page.evaluate("state.found")
        assert found["step"][-1] == shown
        assert found["modes"][-1] == coverage(game.samples(400), ring()).modes
        last = page.evaluate("state.figures.d_loss.at(-1)")
        assert last == pytest.approx(lab.game._reports[-1].d_loss)


@needs_browser
def test_a_drawing_becomes_the_data(lab):
    with browser_page(allow=(lab.url,)) as page:
        page.goto(lab.url)
        page.wait_for_selector("[data-figure='step']")
        page.click("#draw")
        box = page.locator("#plane").bounding_box()
        x, y = box["x"] + 0.75 * box["width"], box["y"] + 0.25 * box["height"]
        page.mouse.move(x, y)
        page.mouse.down()
        page.mouse.move(x + 20, y + 10, steps=5)
        page.mouse.up()
        page.click("#done")
        until(page, "state.target === 'drawn'")
        real = np.array(page.evaluate("state.real")).reshape(-1, 2)
        assert (real > 0.5).all()  # above and to the right
        assert real.max() < 1.2
