"""Secrets at rest: what remotes log in with is nowhere in the clear, and what becomes of it when its key changes or is lost."""
import os
import sqlite3
import stat
import subprocess

import pytest

from data import KiB
from sluice import BINARY

NAME, PASSWORD, TOKEN, KEY = "upstream-user-7", "upstream-pass-word-7", "upstream-tok-en-7", "not-a-real-private-key-7"
SECRETS = [NAME, PASSWORD, TOKEN, KEY]


def make(s, upstream, name="r"):
    """A lazy repository whose upstream wants a password."""
    upstream.rule("/r/*", auth=(NAME, PASSWORD))
    for path in "abcdef":
        upstream.add(f"/r/{path}", 10 * KiB)
    return s.api.repo(name, upstream.manifest("/r/PULP_MANIFEST"), username=NAME, password=PASSWORD,
                      headers=[{"X-Token": TOKEN}])


def files_with(s, *words):
    """Files of the data directory that hold one of the words."""
    found = set()
    for path in s.data.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            found |= {(path.name, w) for w in words if w.encode() in content}
    return found


def start_fails(s):
    """What a start says that is refused."""
    r = subprocess.run([str(BINARY), "serve", "--data", str(s.data), "--listen", "127.0.0.1:0"], env=s.environment(),
                       stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert r.returncode != 0
    return r.stderr


def test_nothing_is_in_the_clear(start_sluice, upstream):
    s = start_sluice()
    make(s, upstream)
    remote = s.api.find("remotes/file/file/", "r")
    task = s.api.do("PATCH", remote["pulp_href"], client_key=KEY, proxy_url="http://127.0.0.1:1", proxy_username=NAME + "p",
                    proxy_password=PASSWORD + "p")
    s.api.do("PATCH", remote["pulp_href"], proxy_url=None, proxy_username=None, proxy_password=None, client_key=None)
    seen = [s.api.get(p).text for p in ("tasks/", "remotes/", "remotes/file/file/", task["pulp_href"], remote["pulp_href"])]
    assert not [w for w in (NAME, PASSWORD, KEY) for text in seen if w in text]
    assert s.api.show(remote["pulp_href"])["headers"] == [{"X-Token": TOKEN}]
    assert not files_with(s, *SECRETS) and not [w for w in SECRETS if w in s.log()]
    assert s.get("r/a").status_code == 200
    # the same again is no change
    r = s.api.patch(remote["pulp_href"], json={"password": PASSWORD, "username": NAME})
    assert r.status_code == 200
    s.stop()
    assert not files_with(s, *SECRETS)
    assert stat.S_IMODE(os.stat(s.data / "secrets.key").st_mode) == 0o600


def test_what_an_older_version_left_is_sealed(start_sluice, upstream):
    s = start_sluice()
    make(s, upstream)
    s.stop()
    db = sqlite3.connect(s.data / "catalog.db")
    with db:
        db.execute("DELETE FROM meta WHERE key = 'secrets'")
        db.execute("UPDATE remote SET username = ?, password = ?, headers = ?", (NAME, PASSWORD, '[{"X-Token":"%s"}]' % TOKEN))
        db.execute("UPDATE task SET args = ?", ('{"values":{"client_key":"%s"}}' % KEY,))
    db.close()
    (s.data / "secrets.key").unlink()
    assert {w for _, w in files_with(s, *SECRETS)} == set(SECRETS)
    s.start()
    assert not files_with(s, *SECRETS)
    assert s.get("r/a").status_code == 200


def test_a_new_key(start_sluice, upstream):
    s = start_sluice()
    make(s, upstream)
    r = s.cli("secrets", "rotate", check=False)
    assert r.returncode != 0 and "in use by another server" in r.stderr
    s.stop()
    before = (s.data / "secrets.key").read_text()
    s.cli("secrets", "rotate")
    after = (s.data / "secrets.key").read_text()
    assert before != after and len(before.splitlines()) == len(after.splitlines())
    s.start()
    assert s.get("r/a").status_code == 200
    assert not files_with(s, *SECRETS)


@pytest.mark.faults
@pytest.mark.parametrize("point", ["secrets.rotate.added@1", "secrets.rotate.batch@9", "secrets.rotate.settled@1",
                                   "secrets.rotate.settled@2", "secrets.erase@1"])
def test_a_change_of_keys_survives_any_kill(start_sluice, upstream, point):
    s = start_sluice()
    make(s, upstream)
    s.stop()
    r = s.cli("secrets", "rotate", check=False, env={"SLUICE_FAULT": f"{point}=kill"})
    assert r.returncode == -9
    s.start()
    assert s.get("r/a").status_code == 200
    s.stop()
    s.cli("secrets", "rotate")
    assert len([x for x in (s.data / "secrets.key").read_text().splitlines() if not x.startswith("#")]) == 1
    s.start()
    assert s.get("r/b").status_code == 200
    assert not files_with(s, *SECRETS)


@pytest.mark.parametrize("wrong", [False, True], ids=["missing", "another"])
def test_a_lost_key(start_sluice, upstream, tmp_path, wrong):
    s = start_sluice(env={"SLUICE_SERVER_SECRETS_KEY": str(tmp_path / "the.key")})
    make(s, upstream)
    s.api.remote("open", "http://127.0.0.1:1/PULP_MANIFEST")
    s.stop()
    key = tmp_path / "the.key"
    saved = key.read_text()
    if wrong:
        other = start_sluice()
        other.stop()
        key.write_text((other.data / "secrets.key").read_text())
    else:
        key.unlink()
    said = start_fails(s)
    assert str(key) in said and "'r'" in said and "'open'" not in said and "sluice secrets forget" in said
    assert key.exists() == wrong  # nothing was made in its place
    assert s.cli("secrets", "rotate", check=False).returncode != 0
    key.write_text(saved)
    s.start()
    assert s.get("r/a").status_code == 200
    s.stop()
    key.unlink()
    assert "3 secrets" in s.cli("secrets", "forget").stdout
    s.start()
    hidden = {h["name"]: h["is_set"] for h in s.api.find("remotes/file/file/", "r")["hidden_fields"]}
    assert not any(hidden.values())
    s.api.do("PATCH", s.api.find("remotes/file/file/", "r")["pulp_href"], username=NAME, password=PASSWORD)
    assert s.get("r/b").status_code == 200
