"""Fetching from a server on this machine: whole, broken and resumed, changed meanwhile, wrong, or not there at all."""

from __future__ import annotations

import hashlib
import http.server
import threading

import pytest

from cobra_kit.data.public import fetching
from cobra_kit.data.public.fetching import NoNetworkError, fetch
from cobra_kit.errors import DataError

CONTENT = bytes(range(256)) * 4000


class Server(http.server.ThreadingHTTPServer):
    """Serves CONTENT; breaks the line after `break_after` bytes as often as `breaks` says."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.content, self.tag, self.breaks, self.ranges = CONTENT, '"one"', 0, []
        self.link = f"http://127.0.0.1:{self.server_address[1]}/rows.json"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        server, start = self.server, 0
        if self.path == "/none":
            return self.send_error(404)
        asked = self.headers.get("Range")
        server.ranges.append(asked)
        if asked and self.headers.get("If-Range") == server.tag:
            start = int(asked.removeprefix("bytes=").rstrip("-"))
        self.send_response(206 if start else 200)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(server.content) - 1}/{len(server.content)}")
        body = server.content[start:]
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", server.tag)
        self.end_headers()
        if server.breaks:
            server.breaks -= 1
            body = body[: len(body) // 2]
        self.wfile.write(body)
        return None

    def log_message(self, *args):
        pass


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(fetching, "_PACE", 0.0)
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def test_a_file_comes_whole(server, tmp_path):
    result = fetch(server.link, tmp_path / "a" / "rows.json")
    assert (tmp_path / "a" / "rows.json").read_bytes() == CONTENT
    assert result.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["rows.json"]


def test_a_line_that_breaks_is_resumed_where_it_broke(server, tmp_path):
    server.breaks = 2
    fetch(server.link, tmp_path / "rows.json")
    assert (tmp_path / "rows.json").read_bytes() == CONTENT
    assert server.ranges == [None, f"bytes={len(CONTENT) // 2}-", f"bytes={len(CONTENT) * 3 // 4}-"]


def test_a_later_process_goes_on_where_the_first_stopped(server, tmp_path):
    server.breaks = 99
    with pytest.raises(DataError, match="breaks again and again"):
        fetch(server.link, tmp_path / "rows.json")
    server.breaks = 0
    result = fetch(server.link, tmp_path / "rows.json")
    assert result.resumed > len(CONTENT) // 2
    assert (tmp_path / "rows.json").read_bytes() == CONTENT


def test_a_file_that_changed_on_the_server_is_fetched_anew(server, tmp_path):
    server.breaks = 99
    with pytest.raises(DataError):
        fetch(server.link, tmp_path / "rows.json")
    server.breaks, server.content, server.tag = 0, CONTENT[::-1], '"two"'
    fetch(server.link, tmp_path / "rows.json")
    assert (tmp_path / "rows.json").read_bytes() == CONTENT[::-1]


@pytest.mark.parametrize(
    ("expected", "message"),
    [({"size": 5}, "1,024,000 bytes came, not the 5"), ({"sha256": "0" * 64}, "its checksum is")],
)
def test_a_file_that_is_another_is_deleted_and_told(server, tmp_path, expected, message):
    with pytest.raises(DataError, match=message):
        fetch(server.link, tmp_path / "rows.json", **expected)
    assert not (tmp_path / "rows.json").exists()
    assert not (tmp_path / ".rows.json.part").exists()


def test_what_the_server_does_not_have_is_told_at_once(server, tmp_path):
    with pytest.raises(DataError, match="the server answers 404"):
        fetch(server.link.replace("rows.json", "none"), tmp_path / "rows.json")


def test_no_server_is_no_network(server, tmp_path):
    server.server_close()
    server.shutdown()
    with pytest.raises(NoNetworkError, match="cannot be reached"):
        fetch(server.link, tmp_path / "rows.json")
