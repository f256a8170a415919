"""The lab's server: one page and two addresses, for the browser on this machine and no one else.

It listens on the loopback address alone. Another page in the same browser could still send it requests,
so each has to name this host, and one that tells its origin has to come from the lab's own page.
"""

from __future__ import annotations

import errno
import json
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from minigan.core.errors import ArgumentError, MiniganError
from minigan.gan.lab.game import LabGame
from minigan.pages.page import assembled

HOST = "127.0.0.1"
LONGEST = 1 << 20  # bytes of a request
_PARTS = ("lab.html", "gan.css", "charts.js", "plane.js", "lab.js")


class LabServer(ThreadingHTTPServer):
    """Serves one game. `url` is where."""

    daemon_threads = True

    def __init__(self, port: int):
        self.game: LabGame | None = None  # as long as the port is not ours
        try:
            super().__init__((HOST, port), _Handler)
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                why = "in use" if error.errno == errno.EADDRINUSE else "not for you to use"
                raise ArgumentError(f"port {port} is {why}; choose another with --port") from error
            raise
        self.game = LabGame()
        title = "The GAN lab"
        self.page = assembled(title, "minigan.gan.pages", _PARTS, {"title": title}, connects=True)

    @property
    def url(self) -> str:
        """The page's address."""
        return f"http://{HOST}:{self.server_port}/"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing of a page that was closed while it waited for an answer; what else fails is shown."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)

    def server_close(self) -> None:
        """End the game, too."""
        super().server_close()
        if self.game is not None:
            self.game.close()


class _Handler(BaseHTTPRequestHandler):
    server_version = "minigan"
    sys_version = ""

    @property
    def lab(self) -> LabServer:
        """The server, as what it is."""
        assert isinstance(self.server, LabServer)
        return self.server

    @property
    def game(self) -> LabGame:
        """What is played."""
        assert self.lab.game is not None
        return self.lab.game

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        if self.path == "/":
            self._answer(HTTPStatus.OK, self.lab.page, "text/html; charset=utf-8")
        elif self.path == "/state":
            self._answer(HTTPStatus.OK, json.dumps(self.game.state()))
        else:
            self._refuse(HTTPStatus.NOT_FOUND, f"the lab has no page {self.path}")

    def do_POST(self) -> None:
        if not self._is_ours():
            return
        if self.path != "/act":
            self._refuse(HTTPStatus.NOT_FOUND, f"the lab has no address {self.path}")
            return
        try:
            self.game.act(self._request())
        except MiniganError as error:
            self._refuse(HTTPStatus.BAD_REQUEST, str(error))
        else:
            self._answer(HTTPStatus.OK, json.dumps(self.game.state()))

    def _request(self) -> dict[str, Any]:
        length = self.headers.get("Content-Length", "")
        if not length.isdigit() or int(length) > LONGEST:
            raise ArgumentError(
                f"a request needs a length of at most {LONGEST} bytes, got {length!r}"
            )
        try:
            request = json.loads(self.rfile.read(int(length)))
        except ValueError as error:
            raise ArgumentError(f"a request needs to be JSON: {error}") from error
        if not isinstance(request, dict):
            raise ArgumentError("a request needs to be an object of JSON")
        return request

    def _is_ours(self) -> bool:
        """Whether the request names this host and, where it tells its origin, comes from our page."""
        port = self.lab.server_port
        ours = {f"{HOST}:{port}", f"localhost:{port}"}
        host, origin = self.headers.get("Host"), self.headers.get("Origin")
        if host not in ours:
            self._refuse(HTTPStatus.FORBIDDEN, f"the lab serves {self.lab.url} only, not {host}")
            return False
        if origin is not None and origin not in {f"http://{each}" for each in ours}:
            self._refuse(HTTPStatus.FORBIDDEN, f"the lab takes no requests from {origin}")
            return False
        return True

    def _refuse(self, status: HTTPStatus, sentence: str) -> None:
        self._answer(status, json.dumps({"error": sentence}))

    def _answer(self, status: HTTPStatus, text: str, kind: str = "application/json") -> None:
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: the terminal is for people."""
