"""The command line: what people and scripts type."""
import hashlib
import json
import pty
import os
import re
import signal
import socket
import subprocess

import pytest

from sluice import BINARY, ROOT, SLOW
from upstream import Gate

COMMANDS = ["serve", "mirror", "sync", "status", "repo", "remote", "distribution", "guard", "acs", "content", "task", "config"]


def fill(up, name):
    """Five files below /name/; the URL of their manifest."""
    for i in range(5):
        up.add(f"/{name}/f{i}", 1000)
    return up.manifest(f"/{name}/PULP_MANIFEST")


def run(*args, **kw):
    return subprocess.run([str(BINARY), *args], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20 * SLOW, **kw)


def said(r):
    """What a command with --json printed."""
    return json.loads(r.stdout)


def test_help_teaches():
    r = run("--help")
    assert r.returncode == 0 and r.stderr == ""
    for c in COMMANDS:
        assert re.search(rf"\b{c}\b", r.stdout), c
        h = run(c, "--help")
        assert h.returncode == 0 and "Usage" in h.stdout and h.stderr == "", c
    assert "--policy" in run("mirror", "--help").stdout


def verbs(noun):
    """Of a noun, as its help lists them."""
    return re.findall(rf"^  {noun} (\S+)", run(noun, "--help").stdout, re.M)


def test_help_of_every_command_is_true():
    assert set(verbs("remote")) >= {"list", "show", "create", "update", "delete"}
    for noun in ["repo", "remote", "distribution", "guard", "acs", "content", "task"]:
        for verb in verbs(noun):
            h = run("help", noun, verb)
            assert h.returncode == 0 and h.stdout.startswith(f"Usage: sluice {noun} {verb}"), (noun, verb)
            for example in re.findall(r"^  sluice ([^$|\n]*)", h.stdout, re.M):
                used = set(re.findall(r"(?<=\s)(--[a-z0-9-]+)", example)) if example.startswith(f"{noun} {verb} ") else set()
                assert used <= set(re.findall(r"(--[a-z0-9-]+)", h.stdout.split("\nOptions:\n")[1])), example


def test_version():
    r = run("--version")
    assert r.returncode == 0 and re.search(r"\d+\.\d+\.\d+", r.stdout)


@pytest.mark.parametrize("args", [[], ["nonsense"], ["mirror"], ["mirror", "x"], ["serve", "--nope"], ["mirror", "a", "b", "--policy"],
                                  ["mirror", "a", "http://h/M", "--policy", "lazy"], ["serve", "--data"], ["sync"], ["remote"], ["remote", "nonsense"], ["repo", "show"]], ids=lambda a: "-".join(a) or "none")
def test_wrong_usage_is_exit_2_and_on_stderr(args):
    r = run(*args)
    assert r.returncode == 2 and r.stderr and r.stdout == "", (r.returncode, r.stdout, r.stderr)


# ---- one server for all that follows, but where it is stopped


def test_mirror_prints_plain_lines_into_a_pipe(shared, shared_upstream):
    url = fill(shared_upstream, "plain")
    r = shared.mirror("plain", url)
    assert "\r" not in r.stdout and "\x1b" not in r.stdout
    assert shared.get("plain/f0").status_code == 200
    assert "/pulp/content/plain/" in r.stdout  # says where it is served
    assert json.loads(shared.mirror("plain", url, "on_demand", "--json").stdout)


def test_mirror_shows_progress_on_a_terminal(shared, shared_upstream):
    master, slave = pty.openpty()
    p = subprocess.Popen([str(BINARY), "mirror", "bars", fill(shared_upstream, "bars"), "--policy", "immediate", "--data", str(shared.data)],
                         stdout=slave, stderr=slave, stdin=subprocess.DEVNULL, env=shared.environment(TERM="xterm"))
    os.close(slave)
    out = b""
    try:
        while piece := os.read(master, 4096):
            out += piece
    except OSError:
        pass
    os.close(master)
    assert p.wait(30 * SLOW) == 0
    assert b"\r" in out.replace(b"\r\n", b"\n")


def test_mirror_changes_policy_and_url(shared, shared_upstream):
    url = fill(shared_upstream, "policy")
    shared.mirror("policy", url, "on_demand")
    shared.mirror("policy", url, "immediate")
    assert shared.api.find("remotes/file/file/", "policy")["policy"] == "immediate"
    assert all(shared_upstream.hits(f"/policy/f{i}") == 1 for i in range(5))


def test_mirror_that_fails_says_why(shared, shared_upstream):
    r = shared.cli("mirror", "fails", shared_upstream.url("/none/PULP_MANIFEST"), check=False)
    assert r.returncode not in (0, 2) and "404" in r.stderr


def made(server):
    return [server.api.show(f"{kind}/file/file/")["count"] for kind in ("remotes", "repositories", "distributions")]


@pytest.mark.parametrize("args, says", [(["sp ace"], "sp ace"), (["x" * 256], "255"), (["a/../b"], "a/../b"), ([" r"], "space"), (["r", "--base-path", "/r"], "/r"),
                                        (["r", "--base-path", "a b"], "a b"), (["r", "--base-path", ""], "empty"), (["r", "not a url"], "not a url")], ids=range(8))
def test_bad_name_base_path_or_url_is_an_error_before_anything_is_made(shared, shared_upstream, args, says):
    url, before = fill(shared_upstream, "bad"), made(shared)
    r = shared.cli("mirror", *(args if "not a url" in args else [args[0], url, *args[1:]]), check=False)
    assert r.returncode == 2 and says in r.stderr, r.stderr
    assert made(shared) == before and shared_upstream.hits("/bad/PULP_MANIFEST") == 0


def test_an_overlapping_base_path_is_an_error_before_anything_is_made(shared, shared_upstream):
    url = fill(shared_upstream, "first")
    shared.mirror("first", url, "on_demand", "--base-path", "site/docs")
    shared.mirror("first", url, "on_demand", "--base-path", "site/docs")  # its own path is no obstacle
    hits, before = shared_upstream.hits("/first/PULP_MANIFEST"), made(shared)
    for path in ["site", "site/docs", "site/docs/old"]:
        r = shared.cli("mirror", "other", url, "--base-path", path, check=False)
        assert r.returncode == 4 and f"'{path}' overlaps with 'site/docs' of the distribution 'first'" in r.stderr, r.stderr
    assert made(shared) == before and shared_upstream.hits("/first/PULP_MANIFEST") == hits
    shared.mirror("other", url, "on_demand", "--base-path", "site/docs2")


def test_what_the_server_refuses_is_named_by_a_url_that_exists(shared):
    r = shared.cli("mirror", "refused", "file:///etc/PULP_MANIFEST", check=False)
    assert r.returncode == 4, r.stderr
    url = re.search(r"at (http://\S+/):", r.stderr).group(1)
    assert url == shared.base + "/pulp/api/v3/remotes/file/file/"
    assert shared.api.get(url[len(shared.base):]).status_code == 200


@pytest.mark.parametrize("mirror", [[], ["--mirror"]], ids=["additive", "mirror"])
def test_mirror_of_an_empty_repository_is_empty_and_there(shared, shared_upstream, mirror):
    name = "empty" + "".join(mirror)
    url, before = shared_upstream.manifest(f"/{name}/PULP_MANIFEST"), shared.api.show("publications/file/file/")["count"]
    for _ in range(2):
        shared.mirror(name, url, "on_demand", *mirror)
        assert shared.get(f"{name}/").status_code == 200
        assert shared.get(f"{name}/PULP_MANIFEST").content == b""
    assert shared.api.show("publications/file/file/")["count"] == before + 1
    shared_upstream.add(f"/{name}/f", 10)
    shared.mirror(name, url, "on_demand", *mirror)
    assert shared.get(f"{name}/f").status_code == 200


def test_sync(shared, shared_upstream):
    shared.mirror("synced", fill(shared_upstream, "synced"))
    shared_upstream.add("/synced/new", 10)
    shared.cli("sync", "synced")
    assert shared.get("synced/new").status_code == 200
    r = shared.cli("sync", "none", check=False)
    assert r.returncode not in (0, 2) and "none" in r.stderr


def test_sync_of_a_mirror_goes_on_mirroring(shared, shared_upstream):
    url = fill(shared_upstream, "goes-on")
    shared_upstream.add("/goes-on/old", 10)
    shared.mirror("goes-on", url, "on_demand", "--mirror")
    shared_upstream.remove("/goes-on/old")
    shared_upstream.add("/goes-on/new", 10)
    shared.cli("sync", "goes-on")
    assert shared.get("goes-on/new").status_code == 200 and "old" not in shared.get("goes-on/").text
    assert shared.get("goes-on/PULP_MANIFEST").content == shared_upstream.manifest_bytes("/goes-on/PULP_MANIFEST")


def test_status(shared):
    r = shared.cli("status")
    assert shared.base.split("//")[1] in r.stdout or "online" in r.stdout.lower()
    assert json.loads(shared.cli("status", "--json").stdout)["versions"]


def test_status_of_a_server_that_is_not_there(sluice):
    sluice.stop()
    r = sluice.cli("status", check=False)
    assert r.returncode not in (0, 2) and r.stderr


def test_repo_list(shared):
    shared.cli("repo", "create", "listed", "--label", "kept=yes")
    assert re.search(r"^listed +- +0 +0 +-$", shared.cli("repo", "list").stdout, re.M)
    assert [x["name"] for x in said(shared.cli("repo", "list", "--label-select", "kept=yes", "--json"))] == ["listed"]


# ---- the daily work


def test_the_life_of_a_remote(shared, tmp_path):
    cli = shared.cli
    (tmp_path / "secret").write_text("not for ps\n")
    r = cli("remote", "create", "life", "--url", "http://127.0.0.1:1/PULP_MANIFEST", "--label", "env=test", "--label", "old", "--rate-limit", "3",
            "--header", "X-One: 1", "--header", "X-Two: a: b", "--tls-validation", "no", "--upstream-user", "u", "--upstream-password-file", str(tmp_path / "secret"),
            "--set", "total_timeout=7.5")
    href = r.stdout.strip()
    got = said(cli("remote", "show", "life", "--json"))
    assert got["pulp_href"] == href and got["policy"] == "on_demand" and got["pulp_labels"] == {"env": "test"}
    assert got["headers"] == [{"X-One": "1"}, {"X-Two": "a: b"}] and got["tls_validation"] is False and got["total_timeout"] == 7.5
    assert {f["name"] for f in got["hidden_fields"] if f["is_set"]} == {"username", "password"}
    assert [x["name"] for x in said(cli("remote", "list", "--label-select", "env=test", "--json"))] == ["life"]
    assert re.search(r"^life +file +on_demand +http", cli("remote", "list").stdout, re.M)
    # only what is said changes; an empty value takes away; an href is as good as a name
    with open(tmp_path / "secret") as stdin:
        cli("remote", "update", href, "--policy", "streamed", "--rate-limit", "", "--label", "env", "--label", "a=b", "--proxy-url", "http://p:1", "--proxy-user",
            "me", "--proxy-password-file", "-", stdin=stdin)
    got = said(cli("remote", "show", href, "--json"))
    assert got["policy"] == "streamed" and got["rate_limit"] is None and got["pulp_labels"] == {"a": "b"} and got["proxy_url"] == "http://p:1"
    assert got["total_timeout"] == 7.5 and got["headers"][0] == {"X-One": "1"}
    assert said(cli("remote", "show", got["prn"], "--json"))["pulp_href"] == href
    # errors: the server's own words, and what can be known before
    for code, says, *args in [(4, "policy", "update", "life", "--policy", "lazy"), (4, "unique", "create", "life", "--url", "http://h/"),
                              (2, "--url is needed", "create", "other"), (2, "for: deb", "update", "life", "--components", "main"), (1, "no remote 'none'", "show", "none"),
                              (2, "nothing is to be changed", "update", "life"), (2, "--yes", "delete", "life"), (2, "neither yes nor no", "update", "life", "--tls-validation", "maybe"),
                              (2, "no format 'nope'", "create", "x", "--format", "nope", "--url", "http://h/"), (1, "no remote 'none'", "delete", "life", "none", "--yes")]:
        r = cli("remote", *args, check=False)
        assert r.returncode == code and says in r.stderr and r.stdout == "", (args, r)
    assert said(cli("remote", "delete", "life", "--yes", "--json")) == [href]
    assert cli("remote", "show", "life", check=False).returncode == 1


def test_repository_distribution_guard_and_acs(shared, tmp_path):
    cli = shared.cli
    cli("remote", "create", "rd", "--url", "http://127.0.0.1:1/PULP_MANIFEST")
    repo = cli("repo", "create", "rd", "--remote", "rd", "--autopublish", "yes", "--description", "two words").stdout.strip()
    guard = cli("guard", "create", "rd-staff", "--type", "rbac").stdout.strip()
    either = said(cli("guard", "create", "rd-either", "--type", "composite", "--member", "rd-staff", "--json"))
    assert either["guards"] == [guard]
    d = said(cli("distribution", "create", "rd", "--repository", "rd", "--guard", "rd-either", "--json"))
    assert (d["base_path"], d["repository"], d["content_guard"]) == ("rd", repo, either["pulp_href"])
    d = said(cli("distribution", "update", "rd", "--repository", "", "--repository-version", "rd/0", "--guard", "", "--json"))
    assert (d["repository"], d["repository_version"], d["content_guard"]) == (None, repo + "versions/0/", None)
    assert re.search(rf"^rd +file +{re.escape(shared.url('rd/'))}$", cli("distribution", "list", "--name", "rd").stdout, re.M)
    assert said(cli("repo", "update", "rd", "--retain-versions", "3", "--description", "", "--json"))["retain_repo_versions"] == 3
    assert cli("acs", "create", "rd", "--remote", "rd", "--subpath", "a", "--subpath", "b").returncode == 0
    assert said(cli("acs", "list", "--name", "rd", "--json"))[0]["paths"] == ["a", "b"]
    assert said(cli("acs", "update", "rd", "--subpath", "", "--json"))["paths"] == []
    r = cli("distribution", "create", "rd2", "--base-path", "rd/below", check=False)
    assert r.returncode == 4 and "Overlaps" in r.stderr
    for noun, names in [("acs", ["rd"]), ("distribution", ["rd"]), ("guard", ["rd-either", "rd-staff"]), ("repo", ["rd"]), ("remote", ["rd"])]:
        cli(noun, "delete", *names, "--yes")
        assert not {"rd", *names} & {x["name"] for x in said(cli(noun, "list", "--json"))}


def test_content_from_upload_to_orphan(shared, tmp_path):
    """Uploaded at once and in chunks, found, published, taken out, added again, deleted."""
    cli, get = shared.cli, shared.get
    small, big = tmp_path / "small.txt", tmp_path / "big.bin"
    small.write_bytes(b"small")
    big.write_bytes(os.urandom(2 * 1024 * 1024 + 12345))
    digest = {f: hashlib.sha256(f.read_bytes()).hexdigest() for f in (small, big)}
    cli("repo", "create", "up")
    cli("distribution", "create", "up", "--repository", "up")
    r = cli("content", "upload", str(small), "--repository", "up", "--label", "a=b")
    unit = r.stdout.strip()
    assert "\x1b" not in r.stderr and "small.txt" in r.stderr
    made = said(cli("content", "upload", str(big), "--repository", "up", "--path", "d/big.bin", "--chunk-size", "1", "--json"))
    assert made[0]["sha256"] == digest[big] and shared.api.list("uploads/") == []
    assert get("up/small.txt").status_code == 404
    cli("repo", "publish", "up")
    assert get("up/small.txt").content == b"small" and get("up/d/big.bin").content == big.read_bytes()
    # found by repository, version, path, digest
    rows = said(cli("content", "list", "--repository", "up", "--type", "file", "--json"))
    assert sorted(x["relative_path"] for x in rows) == ["d/big.bin", "small.txt"]
    assert [x["pulp_href"] for x in said(cli("content", "list", "--repository-version", "up/1", "--json"))] == [unit]
    r = cli("content", "list", "--repository", "up", "--limit", "1")
    assert len(r.stdout.splitlines()) == 2 and re.search(r"^file +yes +d/big.bin +/pulp", r.stdout, re.M)
    assert said(cli("content", "show", digest[small], "--json"))["pulp_href"] == unit
    assert {(x["what"], x["name"], x["where"]) for x in said(cli("content", "where", digest[small], "--json"))} == {
        ("repository", "up", "in the newest version"), ("distribution", "up", shared.url("up/small.txt"))}
    # versions
    cli("repo", "remove", "up", digest[small])
    cli("repo", "add", "up", unit)
    cli("repo", "remove", "up", unit)
    rows = said(cli("repo", "versions", "up", "--json"))
    assert [(x["number"], x["added"], x["removed"], x["units"]) for x in rows[:3]] == [(5, 0, 1, 1), (4, 1, 0, 2), (3, 0, 1, 1)]
    assert ("repository", "up", "in older versions") in {(x["what"], x["name"], x["where"]) for x in said(cli("content", "where", unit, "--json"))}
    # what nothing holds any more goes, when it is told to
    cli("distribution", "delete", "up", "--yes")
    cli("repo", "delete", "up", "--yes")
    assert cli("orphans", "cleanup", check=False).returncode == 2
    assert "Content: 2" in cli("orphans", "cleanup", "--protection", "0", "--yes").stdout
    assert cli("content", "show", unit, check=False).returncode == 4
    # a file that is none
    for args, code, says in [([str(tmp_path / "none")], 1, "none"), ([str(tmp_path)], 2, "regular"), ([str(small), str(big), "--path", "x"], 2, "--path"),
                             ([str(small), "--chunk-size", "0"], 2, "--chunk-size"), ([str(small), "--repository", "none"], 1, "no repo 'none'")]:
        r = cli("content", "upload", *args, check=False)
        assert r.returncode == code and says in r.stderr and r.stdout == "", r


def test_tasks(shared, shared_upstream):
    gate = Gate()
    shared_upstream.add("/t/f", 10)
    url = shared_upstream.manifest("/t/PULP_MANIFEST")
    shared.cli("remote", "create", "slow", "--url", url)
    shared.cli("repo", "create", "slow", "--remote", "slow")
    repo = shared.api.find("repositories/file/file/", "slow")
    task = shared.api.start_sync(repo)
    assert shared.cli("task", "follow", task).stdout.endswith("completed\n")
    rows = said(shared.cli("task", "list", "--repository", "slow", "--state", "completed", "--json"))
    assert task in [x["pulp_href"] for x in rows]
    uuid = task.rstrip("/").rsplit("/", 1)[1]
    assert re.search(rf"^{uuid} +completed ", shared.cli("task", "list", "--limit", "1", "--repository", "slow").stdout, re.M)
    assert said(shared.cli("task", "show", uuid, "--json"))["state"] == "completed"
    r = shared.cli("task", "cancel", uuid, check=False)
    assert r.returncode == 4 and "completed" in r.stderr
    assert shared.cli("task", "show", "nonsense", check=False).returncode == 2
    # one that hangs at its upstream is canceled, and its follower is told
    shared_upstream.rule("/t/PULP_MANIFEST", gate_head=gate)
    task = shared.api.start_sync(repo, optimize=False)
    gate.wait_reached(timeout=30 * SLOW)
    follower = subprocess.Popen([str(BINARY), "task", "follow", task, "--data", str(shared.data)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, env=shared.environment())
    assert "cancel" in shared.cli("task", "cancel", task).stdout
    out, err = follower.communicate(timeout=30 * SLOW)
    gate.open()
    assert follower.returncode == 1 and "canceled" in err and out == ""


def test_guards_let_users_pass_and_sign(shared):
    cli = shared.cli
    cli("guard", "create", "users", "--type", "rbac")
    assert cli("guard", "allow", "users", "admin").returncode == 0
    assert said(cli("guard", "show", "users", "--json"))["users"] == [{"username": "admin"}]
    r = cli("guard", "allow", "users", "nobody", check=False)
    assert r.returncode == 4 and "nobody" in r.stderr
    cli("guard", "deny", "users", "admin")
    assert said(cli("guard", "show", "users", "--json"))["users"] == []
    cli("guard", "create", "links", "--type", "redirect")
    assert cli("guard", "sign", "links", shared.url("x"), "--valid", "60").stdout.startswith(shared.url("x") + "?")
    cli("guard", "delete", "users", "links", "--yes")


def test_acs_refresh(shared, shared_upstream):
    shared_upstream.add("/acs/f", 10)
    shared.cli("remote", "create", "near", "--url", shared_upstream.manifest("/acs/PULP_MANIFEST"))
    shared.cli("acs", "create", "near", "--remote", "near")
    shared.cli("acs", "refresh", "near")
    assert said(shared.cli("acs", "show", "near", "--json"))["last_refreshed"]
    shared.cli("acs", "update", "near", "--subpath", "none")
    r = shared.cli("acs", "refresh", "near", check=False)
    assert r.returncode == 1 and "1 of 1" in r.stderr
    shared.cli("acs", "delete", "near", "--yes")


# ---- completion and manual pages


PATIENT = {"SLUICE_COMPLETION_MS": "30000"}


def complete(server, *words, env=PATIENT):
    """What TAB offers for the last word: candidates, without what they are."""
    r = subprocess.run([str(BINARY), "complete", "--", *words], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=40 * SLOW,
                       env=server.environment(SLUICE_DATA=server.data, **env))
    assert r.returncode == 0 and r.stderr == "", r
    return [line.split("\t")[0] for line in r.stdout.splitlines()]


def test_completion(shared):
    for name in ("tab-one", "tab-two", "tab three"):
        shared.cli("remote", "create", name, "--url", "http://127.0.0.1:1/")
    shared.cli("acs", "create", "tab-acs", "--remote", "tab-one")
    for words, offered in [(["re"], {"repo", "remote", "repair", "reclaim"}), (["remote", "cr"], {"create"}), (["--data", "x", "remote", "cr"], {"create"}),
                           (["remote", "create", "x", "--pol"], {"--policy"}), (["remote", "create", "x", "--policy", "i"], {"immediate"}),
                           (["remote", "create", "x", "--policy=i"], {"immediate"}), (["remote", "create", "x", "--policy", "=", "i"], {"immediate"}),
                           (["remote", "create", "x", "--tls-validation", ""], {"yes", "no"}), (["remote", "create", "x", "--ca-cert", ""], {":files"}),
                           (["guard", "create", "x", "--type", "r"], {"rbac", "redirect", "rhsm"}), (["mirror", "a", "b", "--format", ""], {"file", "rpm", "deb"}),
                           (["serve", "--data", ""], {":dirs"}), (["help", "mir"], {"mirror"}), (["remote", "create", ""], set()), (["nonsense", ""], set()),
                           (["remote", "show", "tab"], {"tab-one", "tab-two", "tab three"}), (["repo", "create", "x", "--remote", "tab-t"], {"tab-two"}),
                           (["remote", "delete", "tab-one", "tab-t"], {"tab-two"}), (["remote", "show", "tab-one", ""], set()), (["acs", "show", "t"], {"tab-acs"}),
                           (["--server", "http://127.0.0.1:1", "remote", "show", "tab"], set())]:
        assert set(complete(shared, *words)) == offered, words
    assert "--policy" not in complete(shared, "remote", "create", "x", "--policy", "immediate", "--")
    assert "--label" in complete(shared, "remote", "create", "x", "--label", "a=b", "--")


def test_completion_does_not_wait_for_a_server_that_hangs(shared):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        assert complete(shared, "--server", f"http://127.0.0.1:{silent.getsockname()[1]}", "remote", "show", "", env={}) == []


def type_into(argv, typed, env):
    """What an interactive shell shows from its prompt on, after `typed` went into it, until it has run that."""
    pid, fd = pty.fork()
    if pid == 0:
        os.execvpe(argv[0], argv, env)
    out = b""
    try:
        while b"over2" not in out:
            if typed and b"ready> " in out:
                os.write(fd, typed + b"; echo over$((1+1))\r")
                typed = b""
            out += os.read(fd, 4096)
    except (OSError, TimeoutError) as e:
        raise AssertionError(f"the shell showed {out}") from e
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)
    return out


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_tab_in_a_real_shell(shared, tmp_path, shell):
    """Words are finished by TAB, and the line is run."""
    shared.cli("remote", "create", f"{shell}-real", "--url", "http://127.0.0.1:1/")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sluice").symlink_to(BINARY)
    scripts = ROOT / "src/cmd/completion"
    env = shared.environment(SLUICE_DATA=shared.data, PATH=f"{tmp_path / 'bin'}:{os.environ['PATH']}", TERM="dumb", ZDOTDIR=tmp_path, HOME=tmp_path,
                             **PATIENT)
    if shell == "bash":
        (tmp_path / "rc").write_text(f"source '{scripts}/sluice.bash'\nPS1='ready> '\n")
        argv = ["bash", "--noprofile", "--rcfile", str(tmp_path / "rc"), "-i"]
    else:
        (tmp_path / ".zshrc").write_text(f"fpath=('{scripts}' $fpath)\nautoload -Uz compinit\ncompinit -u -D\nPS1='ready> '\n")
        argv = ["zsh", "-i"]
    shown = type_into(argv, b"sluice remo\tsho\t" + shell.encode() + b"-r\t | sed 's/^name */found:/'", env)
    assert f"found:{shell}-real".encode() in shown, shown


def test_manual_pages(tmp_path):
    """Every command has a page, and no page has an error."""
    r = run("manual", str(tmp_path))
    assert r.returncode == 0, r.stderr
    files = sorted(tmp_path.glob("man[15]/*"))
    pages = {p.name for p in files}
    commands = set(re.findall(r"^  ([a-z-]+)", run("--help").stdout.split("\nTry it:")[0], re.M))
    assert {f"sluice-{c}.1" for c in commands} <= pages
    r = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", *map(str, files)], capture_output=True, text=True, timeout=60 * SLOW)
    assert r.returncode == 0 and r.stderr == "", r.stderr
    shown = subprocess.run(["man", "--warnings=w", "-l", str(tmp_path / "man1" / "sluice-remote.1")], capture_output=True, text=True, timeout=60 * SLOW,
                           env=os.environ | {"MANWIDTH": "100", "LC_ALL": "C.UTF-8", "MAN_KEEP_FORMATTING": ""})
    assert shown.stderr == "" and "sluice remote create [OPTIONS] NAME" in shown.stdout and "--upstream-password-file FILE" in shown.stdout
    conf = (tmp_path / "man5" / "sluice.conf.5").read_text()
    assert set(re.findall(r"^\.SH \[(\w+)\]", conf, re.M)) == set(re.findall(r"^\[(\w+)\]", run("config", "--shipped").stdout, re.M))


def test_deleting_asks_on_a_terminal(shared):
    shared.cli("remote", "create", "asked", "--url", "http://127.0.0.1:1/")
    for answer, code in [(b"n\n", 1), (b"y\n", 0)]:
        master, slave = pty.openpty()
        p = subprocess.Popen([str(BINARY), "remote", "delete", "asked", "--data", str(shared.data)], stdin=slave, stdout=slave, stderr=slave, env=shared.environment())
        os.close(slave)
        os.write(master, answer)
        out = b""
        try:
            while piece := os.read(master, 4096):
                out += piece
        except OSError:
            pass
        os.close(master)
        assert p.wait(30 * SLOW) == code and b"Delete the remote 'asked'? [y/N]" in out, out


def test_config_shows_values_and_their_origin(shared):
    r = shared.cli("config", env={"SLUICE_CONTENT_HOLDBACK": "1M"})
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


def test_address_in_use(shared, tmp_path):
    r = run("serve", "--data", str(tmp_path / "d"), "--listen", f"127.0.0.1:{shared.port}")
    assert r.returncode != 0 and str(shared.port) in r.stderr


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
