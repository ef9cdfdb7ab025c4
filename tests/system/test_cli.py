"""The command line: what people and scripts type."""
import json
import pty
import os
import re
import subprocess

import pytest

from sluice import BINARY, SLOW

COMMANDS = ["serve", "mirror", "sync", "status", "repo", "config"]


def fill(up):
    for i in range(5):
        up.add(f"/r/f{i}", 1000)
    return up.manifest("/r/PULP_MANIFEST")


def run(*args, **kw):
    return subprocess.run([str(BINARY), *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20 * SLOW, **kw)


def test_help_teaches():
    r = run("--help")
    assert r.returncode == 0 and r.stderr == ""
    for c in COMMANDS:
        assert re.search(rf"\b{c}\b", r.stdout), c
        h = run(c, "--help")
        assert h.returncode == 0 and "Usage" in h.stdout and h.stderr == "", c
    assert "--policy" in run("mirror", "--help").stdout


def test_version():
    r = run("--version")
    assert r.returncode == 0 and re.search(r"\d+\.\d+\.\d+", r.stdout)


@pytest.mark.parametrize("args", [[], ["nonsense"], ["mirror"], ["mirror", "x"], ["serve", "--nope"], ["mirror", "a", "b", "--policy"],
                                  ["mirror", "a", "http://h/M", "--policy", "lazy"], ["serve", "--data"], ["sync"]], ids=lambda a: "-".join(a) or "none")
def test_wrong_usage_is_exit_2_and_on_stderr(args):
    r = run(*args)
    assert r.returncode == 2 and r.stderr and r.stdout == "", (r.returncode, r.stdout, r.stderr)


def test_mirror_prints_plain_lines_into_a_pipe(sluice, upstream):
    r = sluice.mirror("r", fill(upstream))
    assert "\r" not in r.stdout and "\x1b" not in r.stdout
    assert sluice.get("r/f0").status_code == 200
    assert "/pulp/content/r/" in r.stdout  # says where it is served


def test_mirror_shows_progress_on_a_terminal(sluice, upstream):
    master, slave = pty.openpty()
    p = subprocess.Popen([str(BINARY), "mirror", "r", fill(upstream), "--policy", "immediate", "--data", str(sluice.data)],
                         stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=sluice.environment(TERM="xterm"))
    os.close(slave)
    out = b""
    try:
        while piece := os.read(master, 4096):
            out += piece
    except OSError:
        pass
    os.close(master)
    assert p.wait(30) == 0
    assert b"\r" in out.replace(b"\r\n", b"\n")


def test_mirror_json(sluice, upstream):
    r = sluice.mirror("r", fill(upstream), "on_demand", "--json")
    assert json.loads(r.stdout)


def test_mirror_changes_policy_and_url(sluice, upstream):
    url = fill(upstream)
    sluice.mirror("r", url, "on_demand")
    sluice.mirror("r", url, "immediate")
    assert sluice.api.find("remotes/file/file/", "r")["policy"] == "immediate"
    assert all(upstream.hits(f"/r/f{i}") == 1 for i in range(5))


def test_mirror_that_fails_says_why(sluice, upstream):
    r = sluice.cli("mirror", "r", upstream.url("/none/PULP_MANIFEST"), check=False)
    assert r.returncode not in (0, 2) and "404" in r.stderr


def test_bad_url_is_an_error_before_anything_is_made(sluice):
    r = sluice.cli("mirror", "r", "not a url", check=False)
    assert r.returncode != 0 and r.stderr
    assert sluice.api.show("repositories/file/file/")["count"] == 0


def made(sluice):
    return [sluice.api.show(f"{kind}/file/file/")["count"] for kind in ("remotes", "repositories", "distributions")]


@pytest.mark.parametrize("args, says", [(["sp ace"], "sp ace"), (["x" * 256], "255"), (["a/../b"], "a/../b"), ([" r"], "space"), (["r", "--base-path", "/r"], "/r"),
                                        (["r", "--base-path", "a b"], "a b"), (["r", "--base-path", ""], "empty")], ids=range(7))
def test_bad_name_or_base_path_is_an_error_before_anything_is_made(sluice, upstream, args, says):
    r = sluice.cli("mirror", args[0], fill(upstream), *args[1:], check=False)
    assert r.returncode == 2 and says in r.stderr, r.stderr
    assert made(sluice) == [0, 0, 0] and upstream.hits("/r/PULP_MANIFEST") == 0


@pytest.mark.parametrize("path", ["site", "site/docs", "site/docs/old"])
def test_an_overlapping_base_path_is_an_error_before_anything_is_made(sluice, upstream, path):
    url = fill(upstream)
    sluice.mirror("first", url, "on_demand", "--base-path", "site/docs")
    sluice.mirror("first", url, "on_demand", "--base-path", "site/docs")  # its own path is no obstacle
    hits = upstream.hits("/r/PULP_MANIFEST")
    r = sluice.cli("mirror", "other", url, "--base-path", path, check=False)
    assert r.returncode == 4 and f"'{path}' overlaps with 'site/docs' of the distribution 'first'" in r.stderr, r.stderr
    assert made(sluice) == [1, 1, 1] and upstream.hits("/r/PULP_MANIFEST") == hits
    sluice.mirror("other", url, "on_demand", "--base-path", "site/docs2")


def test_what_the_server_refuses_is_named_by_a_url_that_exists(sluice, upstream):
    r = sluice.cli("mirror", "r", "file:///etc/PULP_MANIFEST", check=False)
    assert r.returncode == 4, r.stderr
    url = re.search(r"at (http://\S+/):", r.stderr).group(1)
    assert url == sluice.base + "/pulp/api/v3/remotes/file/file/"
    assert sluice.api.get(url[len(sluice.base):]).status_code == 200


@pytest.mark.parametrize("mirror", [[], ["--mirror"]], ids=["additive", "mirror"])
def test_mirror_of_an_empty_repository_is_empty_and_there(sluice, upstream, mirror):
    url = upstream.manifest("/e/PULP_MANIFEST")
    for _ in range(2):
        sluice.mirror("empty", url, "on_demand", *mirror)
        assert sluice.get("empty/").status_code == 200
        assert sluice.get("empty/PULP_MANIFEST").content == b""
    assert sluice.api.show("publications/file/file/")["count"] == 1
    upstream.add("/e/f", 10)
    sluice.mirror("empty", url, "on_demand", *mirror)
    assert sluice.get("empty/f").status_code == 200


def test_sync(sluice, upstream):
    sluice.mirror("r", fill(upstream))
    upstream.add("/r/new", 10)
    sluice.cli("sync", "r")
    assert sluice.get("r/new").status_code == 200
    r = sluice.cli("sync", "none", check=False)
    assert r.returncode not in (0, 2) and "none" in r.stderr


def test_sync_of_a_mirror_goes_on_mirroring(sluice, upstream):
    url = fill(upstream)
    upstream.add("/r/old", 10)
    sluice.mirror("r", url, "on_demand", "--mirror")
    upstream.remove("/r/old")
    upstream.add("/r/new", 10)
    sluice.cli("sync", "r")
    assert sluice.get("r/new").status_code == 200 and "old" not in sluice.get("r/").text
    assert sluice.get("r/PULP_MANIFEST").content == upstream.manifest_bytes("/r/PULP_MANIFEST")


def test_status(sluice):
    r = sluice.cli("status")
    assert sluice.base.split("//")[1] in r.stdout or "online" in r.stdout.lower()
    assert json.loads(sluice.cli("status", "--json").stdout)["versions"]


def test_status_of_a_server_that_is_not_there(sluice):
    sluice.stop()
    r = sluice.cli("status", check=False)
    assert r.returncode not in (0, 2) and r.stderr


def test_repo_list(sluice, upstream):
    assert sluice.cli("repo", "list").returncode == 0
    sluice.mirror("r", fill(upstream))
    assert re.search(r"\br\b", sluice.cli("repo", "list").stdout)
    got = json.loads(sluice.cli("repo", "list", "--json").stdout)
    assert [x["name"] for x in (got if isinstance(got, list) else got["results"])] == ["r"]


def test_config_shows_values_and_their_origin(tmp_path, sluice):
    r = sluice.cli("config", env={"SLUICE_CONTENT_HOLDBACK": "1M"})
    assert "[content]" in r.stdout and re.search(r"holdback = 1M.*environment", r.stdout), r.stdout[:3000]
    assert re.search(r"workers = 2.*default", r.stdout)


@pytest.mark.parametrize("text, where", [("[server]\nlisten = nonsense\n", "2"), ("[tasks]\n\nworkers = many\n", "3"), ("[nope]\nx = 1\n", "1"),
                                         ("[content]\nnope = 1\n", "2"), ("[tasks]\nworkers = 99999999\n", "2"), ("rubbish\n", "1")], ids=range(6))
def test_a_bad_configuration_stops_the_start(tmp_path, text, where):
    conf = tmp_path / "server.conf"
    conf.write_text(text)
    r = run("serve", "--data", str(tmp_path / "d"), "--config", str(conf), "--listen", "127.0.0.1:0")
    assert r.returncode not in (0, None) and r.stdout == ""
    if "listen" not in text:
        assert f"{conf}:{where}" in r.stderr, r.stderr


@pytest.mark.parametrize("name, value", [("SLUICE_TASKS_WORKERS", "many"), ("SLUICE_SERVER_NOPE", "1"), ("SLUICE_CONTENT_HOLDBACK", "-1"), ("SLUICE_LOG_LEVEL", "loud"),
                                         ("SLUICE_SERVER_LISTEN", "127.0.0.1:99999")])
def test_bad_environment_stops_the_start(tmp_path, name, value):
    args = [] if name == "SLUICE_SERVER_LISTEN" else ["--listen", "127.0.0.1:0"]
    r = run("serve", "--data", str(tmp_path / "d"), *args, env=os.environ | {name: value})
    assert r.returncode != 0 and r.stderr


def test_address_in_use(sluice, tmp_path):
    r = run("serve", "--data", str(tmp_path / "d"), "--listen", f"127.0.0.1:{sluice.port}")
    assert r.returncode != 0 and str(sluice.port) in r.stderr


def test_data_directory_that_cannot_be(tmp_path):
    (tmp_path / "file").write_text("x")
    r = run("serve", "--data", str(tmp_path / "file"), "--listen", "127.0.0.1:0")
    assert r.returncode != 0 and "file" in r.stderr


def test_a_database_that_is_none(tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "catalog.db").write_bytes(b"this is not a database" * 1000)
    r = run("serve", "--data", str(tmp_path / "d"), "--listen", "127.0.0.1:0")
    assert r.returncode != 0 and "catalog.db" in r.stderr
    assert (tmp_path / "d" / "catalog.db").read_bytes().startswith(b"this is not")
