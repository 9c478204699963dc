"""Fetching against a real server on this machine: resume, checks, two processes, a full disk, Ctrl-C."""

import dataclasses
import hashlib
import http.server
import io
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import zipfile

import pytest

from recsys_kit import load
from recsys_kit.data import catalog
from recsys_kit.data.fetch import download, fetch
from recsys_kit.data.sources import DataError
from tests.conftest import hears_ctrl_c

ROWS = "timestamp,visitorid,event,itemid,transactionid\n" + "".join(
    f"{1433221332117 + i * 1000},{i * 7919 % 1000},view,{i * 104729 % 5000},\n" for i in range(20_000))


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves ``server.content``; ``server.cut`` bytes into an answer the connection drops, as often as ``server.cuts`` says."""

    def do_GET(self):  # noqa: N802
        served = self.server
        served.asked.append(self.headers.get("Range"))
        if self.path not in served.content:
            return self.send_error(404)
        if served.busy:
            served.busy -= 1
            return self.send_error(503)
        body, start = served.content[self.path], 0
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range", served.tag) == served.tag
        if wanted and served.ranges and same:
            start = int(wanted[1])
            if start >= len(body):
                return self.send_error(416)
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", served.tag)
        self.end_headers()
        part = body[start:]
        if served.cuts:
            served.cuts -= 1
            part = part[: served.cut]
        for i in range(0, len(part), 1 << 15):
            self.wfile.write(part[i: i + (1 << 15)])
            time.sleep(served.pause)
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as served:
        served.content, served.asked, served.tag = {"/events.csv": ROWS.encode()}, [], '"v1"'
        served.ranges, served.cuts, served.cut, served.busy, served.pause = True, 0, 100_000, 0, 0
        served.address = f"http://127.0.0.1:{served.server_port}"
        thread = threading.Thread(target=served.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield served
        served.shutdown()


@pytest.fixture
def target(tmp_path):
    return tmp_path / "events.csv"


def get(server, target, **options):
    download(f"{server.address}/events.csv", target, **{"pause": 0.01} | options)
    return target.read_text()


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_arrives_whole_under_its_own_name(server, target):
    told = []
    assert get(server, target, progress=lambda done, total: told.append((done, total))) == ROWS
    assert names(target.parent) == ["events.csv"]
    assert told[-1] == (len(ROWS), len(ROWS)) and told == sorted(told)


def test_a_connection_that_drops_is_taken_up_where_it_stopped(server, target):
    server.cuts = 2
    assert get(server, target) == ROWS
    assert server.asked == [None, "bytes=100000-", "bytes=200000-"]


def test_a_server_without_ranges_sends_it_all_again(server, target):
    server.cuts, server.ranges = 1, False
    assert get(server, target) == ROWS
    assert len(server.asked) == 2


def test_two_versions_of_a_file_are_never_joined(server, target):
    server.cuts = 1
    with pytest.raises(DataError):
        get(server, target, tries=1)
    server.content["/events.csv"], server.tag = ROWS.replace("view", "VIEW").encode(), '"v2"'
    assert get(server, target) == ROWS.replace("view", "VIEW")


def test_giving_up_keeps_what_has_come_for_the_next_time(server, target):
    server.cuts = 2
    with pytest.raises(DataError, match=r"no luck after 2 tries .*200,000 bytes are kept"):
        get(server, target, tries=2)
    assert names(target.parent) == ["events.csv.part", "events.csv.part.tag"]
    assert get(server, target) == ROWS
    assert server.asked[-1] == "bytes=200000-"
    assert names(target.parent) == ["events.csv"]


def test_a_part_longer_than_the_file_is_thrown_away(server, target):
    target.with_name("events.csv.part").write_text("x" * (len(ROWS) + 5))
    assert get(server, target) == ROWS


def test_a_busy_server_is_asked_again(server, target):
    server.busy = 2
    assert get(server, target) == ROWS
    assert len(server.asked) == 3


def test_a_wrong_checksum_leaves_no_file(server, target):
    with pytest.raises(DataError, match="checksum does not fit"):
        get(server, target, sha256="0" * 64)
    assert names(target.parent) == []


def test_the_right_checksum_passes(server, target):
    assert get(server, target, sha256=hashlib.sha256(ROWS.encode()).hexdigest()) == ROWS


def test_a_moved_address_is_said_at_once(server, target):
    with pytest.raises(DataError, match="404"):
        download(f"{server.address}/gone.csv", target)
    assert len(server.asked) == 1 and names(target.parent) == []


def test_no_network_is_said(server, target):
    with pytest.raises(DataError, match="check the network"):
        download("http://127.0.0.1:9/events.csv", target, tries=2, pause=0.01)


def test_a_name_that_cannot_be_looked_up_is_said_at_once(target):
    with pytest.raises(DataError, match="cannot be looked up"):
        download("http://no-such-host.invalid/events.csv", target, pause=60)


@pytest.fixture
def rocket(server, tmp_path, monkeypatch):
    """RetailRocket's entry, as if its publisher let everybody download it from the server here."""
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("RECSYS_KIT_DATA", raising=False)

    def change(**fields):
        fields.setdefault("addresses", ((f"{server.address}/events.csv",),))
        monkeypatch.setitem(catalog.SETS, "retailrocket", dataclasses.replace(catalog.SETS["retailrocket"], **fields))

    change()
    return change


def test_a_fetched_set_loads_by_its_name(rocket):
    with pytest.raises(DataError, match="python -m recsys_kit fetch retailrocket"):
        load("retailrocket")
    path = fetch("retailrocket")
    assert path.read_text() == ROWS
    assert len(load("retailrocket").events) == 20_000
    assert catalog.datasets().set_index("name").loc["retailrocket", "where"] == "in the cache"


def test_what_is_here_is_not_fetched_again(rocket, server):
    first = fetch("retailrocket")
    assert fetch("retailrocket") == first and len(server.asked) == 1


def test_the_second_address_is_tried_where_the_first_fails(rocket, server):
    rocket(addresses=((f"{server.address}/old.csv",), (f"{server.address}/events.csv",)))
    assert fetch("retailrocket").read_text() == ROWS


def test_a_set_of_several_files_is_fetched_whole(server, tmp_path, monkeypatch, rocket):
    server.content |= {"/test_buy.csv": b"user,item,value\n0,4,1.0\n",
                       "/events.csv": b"user,item,behaviour,timestamp\n0,6,buy,1430623500\n"}
    item = catalog.SETS["retailrocket-bench"]
    for ways in (("events.csv", "gone.csv"), ("events.csv", "test_buy.csv")):
        addresses = (tuple(f"{server.address}/{name}" for name in ways),)
        monkeypatch.setitem(catalog.SETS, item.name, dataclasses.replace(item, addresses=addresses, fingerprint=""))
        if "gone.csv" in ways:
            with pytest.raises(DataError, match="404"):
                fetch(item.name)
    assert fetch(item.name).name == "events.csv"
    assert load(item.name).users.to_dict("list") == {"user_id": ["0"], "held_out_purchase": ["4"]}


def test_a_table_with_another_fingerprint_is_refused_and_removed(rocket, tmp_path):
    rocket(fingerprint="0" * 64)
    with pytest.raises(DataError, match="not the whole set.*20,000 events.*000000000000 expected"):
        fetch("retailrocket")
    assert names(tmp_path / "cache" / "downloads" / "retailrocket") == [".lock"]


@pytest.mark.parametrize("content, why", [
    (b"<html>moved</html>", "begins '<html>moved</html>'"),
    ({"../events.csv": ROWS}, "points outside"),
    ({"events.csv": b"0" * 20_000_000}, "would unpack to 20,000,000"),
    ({"other.csv": ROWS}, "holds no events.csv"),
    (b"PK\x03\x04 and then nothing", "is no whole zip"),
])
def test_a_download_that_is_not_the_set_is_refused_and_removed(rocket, server, tmp_path, content, why):
    name = "/events.csv" if content == b"<html>moved</html>" else "/archive.zip"
    if isinstance(content, dict):
        with zipfile.ZipFile(buffer := io.BytesIO(), "w", zipfile.ZIP_DEFLATED) as archive:
            for member, text in content.items():
                archive.writestr(member, text)
        content = buffer.getvalue()
    server.content[name] = content
    rocket(addresses=((server.address + name,),))
    with pytest.raises(DataError, match=why):
        fetch("retailrocket")
    assert names(tmp_path / "cache" / "downloads" / "retailrocket") == [".lock"]
    assert not (tmp_path / "cache" / "downloads" / "events.csv").exists()


def test_a_set_nobody_can_download_says_how_to_get_it(tmp_path, monkeypatch):
    monkeypatch.setenv("RECSYS_KIT_CACHE", str(tmp_path))
    monkeypatch.delenv("RECSYS_KIT_DATA", raising=False)
    with pytest.raises(DataError, match=r"(?s)account.*kaggle|Kaggle.*account"):
        fetch("retailrocket")


@pytest.mark.parametrize("name, why", [("market", "nothing to fetch"), ("onlin-retail", "Did you mean 'online-retail'")])
def test_names_that_cannot_be_fetched(name, why):
    with pytest.raises(DataError, match=why):
        fetch(name)


SCRIPT = """
import dataclasses, json, os, resource, sys, time
from recsys_kit.data import catalog
from recsys_kit.data.fetch import fetch
options = json.loads(sys.argv[1])
if "most" in options:
    resource.setrlimit(resource.RLIMIT_FSIZE, (options["most"],) * 2)
catalog.SETS["retailrocket"] = dataclasses.replace(catalog.SETS["retailrocket"], addresses=((options["address"],),))
open(f"{options['folder']}/ready-{os.getpid()}", "w").close()
while not os.path.exists(f"{options['folder']}/go"):
    time.sleep(0.005)
try:
    print(fetch("retailrocket", progress=lambda done, total: None))
except ValueError as error:
    sys.exit(str(error))
"""


def start(server, tmp_path, processes=1, **options):
    """Processes that fetch RetailRocket from the server; they begin together, when all have done their imports."""
    environment = {k: v for k, v in os.environ.items() if k != "RECSYS_KIT_DATA"} | {"RECSYS_KIT_CACHE": str(tmp_path / "cache")}
    options |= {"address": f"{server.address}/events.csv", "folder": str(tmp_path)}
    for old in [*tmp_path.glob("ready-*"), *tmp_path.glob("go")]:
        old.unlink()
    runs = [subprocess.Popen([sys.executable, "-c", SCRIPT, json.dumps(options)], env=environment, text=True,
                             preexec_fn=hears_ctrl_c, stdout=subprocess.PIPE, stderr=subprocess.PIPE) for _ in range(processes)]
    wait(lambda: len(list(tmp_path.glob("ready-*"))) == processes)
    (tmp_path / "go").touch()
    return runs if processes > 1 else runs[0]


def wait(ready):
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline, "waited a minute in vain"
        time.sleep(0.01)


def test_two_processes_at_once_download_once(server, tmp_path):
    server.pause = 0.05
    runs = start(server, tmp_path, processes=2)
    results = [run.communicate(timeout=60) for run in runs]
    assert [run.returncode for run in runs] == [0, 0], results
    assert results[0][0] == results[1][0] != ""
    assert server.asked == [None]
    assert sum("another process is fetching" in err for _, err in results) == 1


def test_a_full_disk_leaves_no_file_and_a_later_fetch_goes_on(server, tmp_path):
    run = start(server, tmp_path, most=300_000)
    _, error = run.communicate(timeout=60)
    assert run.returncode == 1 and "cannot write" in error and "Traceback" not in error, error
    folder = tmp_path / "cache" / "downloads" / "retailrocket"
    assert not (folder / "events.csv").exists()
    assert (folder / "events.csv.part").read_text() == ROWS[: (folder / "events.csv.part").stat().st_size]
    run = start(server, tmp_path)
    run.communicate(timeout=60)
    assert run.returncode == 0 and (folder / "events.csv").read_text() == ROWS
    assert server.asked[-1] == "bytes=300000-"


def test_ctrl_c_leaves_no_file_and_frees_the_lock(server, tmp_path):
    server.pause = 0.2
    run = start(server, tmp_path)
    folder = tmp_path / "cache" / "downloads" / "retailrocket"
    wait((folder / "events.csv.part").exists)
    run.send_signal(signal.SIGINT)
    run.communicate(timeout=60)
    assert run.returncode != 0 and not (folder / "events.csv").exists()
    server.pause = 0
    run = start(server, tmp_path)
    run.communicate(timeout=60)
    assert run.returncode == 0 and (folder / "events.csv").read_text() == ROWS
