"""Downloads, from a real server on the loopback interface: checked, atomic, and clear when they fail."""

import contextlib
import dataclasses
import hashlib
import http.client
import http.server
import os
import threading

import numpy as np
import pytest

import analytic_dd.data as data
from analytic_dd.data import download as download_module
from analytic_dd.data.download import download
from analytic_dd.data.registry import REGISTRY

BODY = bytes(range(256)) * 400


class _Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        answer = self.server.answers.get(self.path)
        if answer is None:
            self.send_error(404)
            return
        body, declared = answer
        self.send_response(200)
        self.send_header("Content-Length", str(declared))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # of one that left
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    """Return a running server: ``.url``, ``.answers`` (path to (body, declared length)) and ``.asked``."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as running:
        running.url = f"http://127.0.0.1:{running.server_address[1]}"
        running.asked = []
        running.answers = {"/good.bin": (BODY, len(BODY)), "/other.bin": (BODY[:-1] + b"!", len(BODY))}
        running.answers["/short.bin"] = (BODY[:1000], len(BODY))
        thread = threading.Thread(target=running.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def places(tmp_path, monkeypatch):
    """Keep the cache in the test's folder, and proxies out of the way of the loopback interface."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home-cache"))
    monkeypatch.delenv("ANALYTIC_DD_DATA", raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    return data.locations()["cache"]


def remote(*urls):
    return data.RemoteFile("file.bin", hashlib.sha256(BODY).hexdigest(), len(BODY), urls)


def test_file_is_downloaded_once(server, tmp_path, capfd):
    file = remote(server.url + "/good.bin")
    for _ in range(2):
        path = download(file, tmp_path / "new" / "folder")
        assert path == tmp_path / "new" / "folder" / "file.bin"
        assert path.read_bytes() == BODY
    assert server.asked == ["/good.bin"]
    assert os.listdir(path.parent) == ["file.bin"]
    assert capfd.readouterr() == ("", "")


def test_file_with_another_checksum_is_refused_and_not_kept(server, tmp_path, refused):
    url = server.url + "/other.bin"
    refused(lambda: download(remote(url), tmp_path / "d"), "file.bin", url, "SHA-256", tmp_path / "d")
    assert os.listdir(tmp_path / "d") == []


@pytest.mark.parametrize(("path", "why"), [("/none.bin", "404"), ("/short.bin", "")])
def test_failed_download_leaves_nothing(path, why, server, tmp_path, refused):
    refused(lambda: download(remote(server.url + path), tmp_path / "d"), server.url + path, why, "check the network")
    assert os.listdir(tmp_path / "d") == []


def test_connection_refused_is_said(server, tmp_path, refused):
    server.shutdown()
    server.server_close()
    refused(lambda: download(remote(server.url + "/good.bin"), tmp_path / "d"), server.url, "connection refused")
    assert os.listdir(tmp_path / "d") == []


def test_next_place_is_tried(server, tmp_path):
    urls = [server.url + path for path in ("/none.bin", "/other.bin", "/good.bin", "/good.bin?never")]
    assert download(remote(*urls), tmp_path).read_bytes() == BODY
    assert server.asked == ["/none.bin", "/other.bin", "/good.bin"]


def test_all_places_are_named_when_none_works(server, tmp_path, refused):
    urls = [server.url + path for path in ("/none.bin", "/other.bin")]
    refused(lambda: download(remote(*urls), tmp_path), *urls, "404", "SHA-256")


def test_damaged_file_in_the_cache_is_replaced(server, tmp_path):
    (tmp_path / "file.bin").write_bytes(b"half a file")
    assert download(remote(server.url + "/good.bin"), tmp_path).read_bytes() == BODY


def test_failed_download_leaves_the_file_that_stood_there(server, tmp_path, refused):
    (tmp_path / "file.bin").write_bytes(b"older")
    refused(lambda: download(remote(server.url + "/other.bin"), tmp_path), "SHA-256")
    assert (tmp_path / "file.bin").read_bytes() == b"older"


def test_interrupt_passes_through_and_leaves_nothing(server, tmp_path, monkeypatch):
    def interrupt(self, *_):
        raise KeyboardInterrupt

    monkeypatch.setattr(http.client.HTTPResponse, "read1", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download(remote(server.url + "/good.bin"), tmp_path / "d")
    assert os.listdir(tmp_path / "d") == []


def test_folder_that_cannot_be_made_is_named(server, tmp_path, refused):
    (tmp_path / "d").write_bytes(b"a file stands here")
    url = server.url + "/good.bin"
    refused(lambda: download(remote(url), tmp_path / "d"), tmp_path / "d", "cannot write", kind=FileExistsError)
    assert server.asked == []


def test_progress_bar_shows_on_a_terminal_only(server, tmp_path, monkeypatch, capsys):
    import sys

    download(remote(server.url + "/good.bin"), tmp_path / "a", progress=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    download(remote(server.url + "/good.bin"), tmp_path / "b", progress=True)
    assert "102k/102k" in capsys.readouterr().err.replace(".", "")


def test_server_that_sends_more_than_the_file_has_is_left(server, tmp_path, refused):
    url = f"{server.url}/endless"
    server.answers["/endless"] = (BODY * 400, 10**9)  # 41 MB of a declared gigabyte
    refused(lambda: download(remote(url), tmp_path), url, "sends more than the 102,400 bytes")
    assert os.listdir(tmp_path) == []


def test_server_that_sends_nothing_or_next_to_nothing_is_left(server, tmp_path, monkeypatch, refused):
    done = threading.Event()

    def drip(self):
        self.send_response(200)
        self.end_headers()
        for i in range(1000):
            if done.wait(0.01 if self.path == "/drip" else 5.0):
                return
            self.wfile.write(BODY[i : i + 1])

    monkeypatch.setattr(_Handler, "do_GET", drip)
    monkeypatch.setattr(download_module, "_TIMEOUT", 0.2)
    try:
        refused(lambda: download(remote(f"{server.url}/silent"), tmp_path), "silent: timed out")
        refused(lambda: download(remote(f"{server.url}/drip"), tmp_path), "drip: the server sends too slowly")
    finally:
        done.set()
    assert os.listdir(tmp_path) == []


def test_what_a_killed_download_left_is_removed(server, tmp_path):
    (tmp_path / ".file.bin.0123abcd.part").write_bytes(b"half")
    download(remote(server.url + "/good.bin"), tmp_path)
    assert os.listdir(tmp_path) == ["file.bin"]


def idx_bodies():
    x = np.random.default_rng(0).integers(0, 256, (20, 5, 7), dtype=np.uint8)
    images = bytes([0, 0, 8, 3, 0, 0, 0, 20, 0, 0, 0, 5, 0, 0, 0, 7]) + x.tobytes()
    labels = bytes([0, 0, 8, 1, 0, 0, 0, 20]) + bytes(range(10)) * 2
    return {file.name: images if "images" in file.name else labels for file in REGISTRY["fashion-mnist"].files}


@pytest.fixture
def entry(server):
    """Return Fashion-MNIST's entry with small files on the server."""
    bodies = idx_bodies()
    server.answers |= {f"/{name}": (body, len(body)) for name, body in bodies.items()}
    files = tuple(
        data.RemoteFile(name, hashlib.sha256(body).hexdigest(), len(body), (f"{server.url}/{name}",))
        for name, body in bodies.items()
    )
    return dataclasses.replace(REGISTRY["fashion-mnist"], files=files)


def test_load_downloads_then_reads_the_cache(entry, server, places):
    first = data.load(entry)
    assert (first.name, first.x_train.shape) == ("Fashion-MNIST", (20, 5, 7))
    assert len(server.asked) == 4
    assert data.load(entry, offline=True).sha256 == first.sha256
    assert len(server.asked) == 4
    assert data.fetch(entry) == places / "fashion-mnist"


def test_what_lies_in_the_cache_is_checked(entry, server, places, refused):
    first = data.load(entry)
    file = places / "fashion-mnist" / entry.files[0].name
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    refused(lambda: data.load(entry, offline=True), "damaged", "data fetch")
    assert data.load(entry).sha256 == first.sha256
    assert server.asked.count(f"/{file.name}") == 2
    file.write_bytes(b"")
    assert data.fetch(entry) == places / "fashion-mnist"
    assert data.load(entry, offline=True).sha256 == first.sha256


def test_offline_asks_nobody(entry, server, refused):
    refused(lambda: data.load(entry, offline=True), "not on this machine")
    assert server.asked == []


def test_download_that_failed_half_way_is_taken_up_again(entry, server, refused):
    broken = entry.files[2].name
    good = server.answers.pop(f"/{broken}")
    refused(lambda: data.load(entry), broken, "404")
    server.answers[f"/{broken}"] = good
    assert len(data.load(entry).x_test) == 20
    assert server.asked.count(f"/{entry.files[0].name}") == 1


def test_fetch_returns_where(entry, places):
    assert data.fetch(entry) == places / "fashion-mnist"
    assert sorted(os.listdir(places / "fashion-mnist")) == sorted(file.name for file in entry.files)
