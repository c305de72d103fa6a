"""A hub of one's own: a cache folder as huggingface_hub lays it out, and a server on the loopback with its API."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

COMMIT = "c0" * 20


def fill_cache(cache: Path, repository: str, files: Mapping[str, bytes | Path]) -> Path:
    """Lays files into a cache folder as a finished download by an older client does (no list of files beside them)."""
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / COMMIT
    (folder / "blobs").mkdir(parents=True, exist_ok=True)
    (folder / "refs").mkdir(exist_ok=True)
    (folder / "refs" / "main").write_text(COMMIT)
    for name, content in files.items():
        data = content.read_bytes() if isinstance(content, Path) else content
        blob = folder / "blobs" / hashlib.sha256(data).hexdigest()
        blob.write_bytes(data)
        (snapshot / name).parent.mkdir(parents=True, exist_ok=True)
        (snapshot / name).symlink_to(blob)
    return snapshot


def use_cache(monkeypatch: pytest.MonkeyPatch, cache: Path, *, offline: bool = True) -> None:
    """Points huggingface_hub at a cache folder, as HF_HUB_CACHE and HF_HUB_OFFLINE do at its import."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", offline)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_PROGRESS_BARS", True)


def use_server(monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    """Points huggingface_hub at a server, as HF_ENDPOINT does at its import."""
    from huggingface_hub import constants, file_download

    template = address + "/{repo_id}/resolve/{revision}/{filename}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
    monkeypatch.setattr(file_download, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_URL_HOSTS", frozenset({"127.0.0.1"}), raising=False)


class FakeHub:
    """What the server answers.

    Attributes:
        files: Contents by path.
        cut: Paths of which only the first half is sent before the connection breaks.
        refusal: (HTTP status, the hub's error code) of every answer, or None.
        received: Paths that were sent whole or in part.
    """

    def __init__(self, repository: str, files: Mapping[str, bytes]) -> None:
        self.repository = repository
        self.files = dict(files)
        self.cut: set[str] = set()
        self.refusal: tuple[int, str] | None = None
        self.received: list[str] = []

    @contextmanager
    def serve(self) -> Iterator[str]:
        """Yields the address."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()


def _handler(hub: FakeHub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            self.answer(body=True)

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def answer(self, *, body: bool) -> None:
            path = self.path.partition("?")[0]
            if hub.refusal or hub.repository not in path:
                status, code = hub.refusal or (404, "RepoNotFound")
                self.reply(b"{}", status=status, headers={"X-Error-Code": code})
            elif path == f"/api/models/{hub.repository}/revision/main":
                self.reply(json.dumps({"id": hub.repository, "sha": COMMIT, "siblings": []}).encode())
            elif path == f"/api/models/{hub.repository}/tree/{COMMIT}":
                self.reply(json.dumps([entry(name, data) for name, data in hub.files.items()]).encode())
            elif path.startswith(prefix := f"/{hub.repository}/resolve/{COMMIT}/"):
                self.send(path.removeprefix(prefix), body=body)
            else:
                self.reply(b"{}", status=404, headers={"X-Error-Code": "RevisionNotFound"})

        def send(self, name: str, *, body: bool) -> None:
            data = hub.files[name]
            headers = {"ETag": f'"{etag(data)}"', "X-Repo-Commit": COMMIT}
            if body:
                hub.received.append(name)
            if body and name in hub.cut:
                self.reply(data[: len(data) // 2], headers=headers, length=len(data))
                self.connection.close()
            else:
                self.reply(data if body else b"", headers=headers, length=len(data))

        def reply(
            self, data: bytes, *, status: int = 200, headers: Mapping[str, str] | None = None, length: int | None = None
        ) -> None:
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data) if length is None else length))
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data)

    return Handler


def etag(data: bytes) -> str:
    return hashlib.sha1(data).hexdigest()


def entry(name: str, data: bytes) -> dict[str, object]:
    return {"type": "file", "path": name, "size": len(data), "oid": etag(data)}
