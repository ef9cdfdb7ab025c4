"""What deploy/ ships is accepted by the programs that it is for, and the services are as closed as they say."""
import re
import shutil
import socket
import subprocess

import pytest

import site_front as front
from site_front import DEPLOY
from sluice import BINARY, Sluice

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
SYSTEMD = front.program("systemd-analyze")
pytestmark = pytest.mark.once


def run(*argv, **kw):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    return done.returncode, done.stdout


@pytest.mark.skipif(SYSTEMD is None, reason="no systemd-analyze")
def test_units_verify(tmp_path):
    """With the program where it is now: verify wants it to be there."""
    for u in UNITS:
        text = u.read_text()
        assert text.count("/usr/bin/sluice ") == 1
        (tmp_path / u.name).write_text(text.replace("/usr/bin/sluice ", f"{BINARY} "))
    rc, said = run(SYSTEMD, "verify", "--man=no", *sorted(tmp_path.glob("*.service")), env={"SYSTEMD_UNIT_PATH": f"{tmp_path}:"})
    # Units of this system that are none of ours may be incomplete.
    ours = [line for line in said.splitlines() if "sluice" in line]
    assert not ours, said


@pytest.mark.skipif(SYSTEMD is None, reason="no systemd-analyze")
@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_units_are_closed(unit):
    rc, said = run(SYSTEMD, "security", "--offline=yes", "--no-pager", unit)
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", said)
    assert level and float(level.group(1)) <= 2.0, said


@pytest.mark.skipif(front.program("systemd-sysusers") is None, reason="no systemd-sysusers")
def test_user():
    rc, said = run(front.program("systemd-sysusers"), "--dry-run", DEPLOY / "systemd" / "sysusers.conf")
    assert rc == 0, said


@pytest.mark.parametrize("unit", UNITS, ids=lambda u: u.stem)
def test_units_start_what_there_is(unit, tmp_path):
    """Roles and settings that they name are known."""
    text = unit.read_text()
    env = dict(re.findall(r"^Environment=(\w+)=(.*)$", text, re.M))
    args = re.search(r"^ExecStart=/usr/bin/sluice serve --data /var/lib/sluice ?(.*)$", text, re.M).group(1).split()
    rc, said = run(BINARY, "config", "--data", tmp_path, *args, env=env)
    assert rc == 0, said
    for key, value in env.items():
        section, name = key.removeprefix("SLUICE_").lower().split("_", 1)
        assert f"{name} = {value}  (environment)" in said


def test_the_service_manager_is_told(tmp_path):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.settimeout(60)
        with Sluice(tmp_path / "s", env={"NOTIFY_SOCKET": tmp_path / "notify", "WATCHDOG_USEC": "200000"}) as s:
            assert manager.recv(100) == b"READY=1"
            assert manager.recv(100) == b"WATCHDOG=1"
            assert s.stop() == 0
            while (got := manager.recv(100)) == b"WATCHDOG=1":
                pass
            assert got == b"STOPPING=1"


@pytest.mark.skipif(front.APACHE is None, reason="no Apache httpd")
def test_apache_takes_its_configuration(tmp_path):
    ca = front.Ca(tmp_path / "tls", "client-ca")
    cert, key = ca.issue("localhost")
    shutil.copy(cert, tmp_path / "tls" / "cert.pem")
    shutil.copy(key, tmp_path / "tls" / "key.pem")
    for defines in ({"tls": tmp_path / "tls"}, {"tls": tmp_path / "tls", "port": 8443, "cache": "127.0.0.1:6081"}):
        rc, said = run(front.APACHE, "-t", "-f", front.apache_conf(tmp_path, **defines))
        assert rc == 0 and "Syntax OK" in said, said


@pytest.mark.skipif(front.SQUID is None, reason="no Squid")
def test_squid_takes_its_configuration(tmp_path):
    for conf in (DEPLOY / "squid" / "squid.conf", front.squid_conf(tmp_path)):
        rc, said = run(front.SQUID, "-k", "parse", "-f", conf, cwd=tmp_path)
        assert rc == 0 and not re.search(r"WARNING|ERROR|FATAL", said), said


@pytest.mark.skipif(front.program("varnishd") is None, reason="no Varnish")
def test_varnish_takes_its_configuration(tmp_path):
    front.open_to_all(tmp_path)
    rc, said = run(front.program("varnishd"), "-C", "-f", DEPLOY / "varnish" / "sluice.vcl", "-n", tmp_path / "v")
    assert rc == 0, said


@pytest.mark.skipif(front.program("nginx") is None, reason="no nginx")
def test_nginx_takes_its_configuration(tmp_path):
    text = (DEPLOY / "nginx" / "sluice-cache.conf").read_text()
    conf = tmp_path / "nginx.conf"
    conf.write_text(f"pid {tmp_path}/pid; error_log {tmp_path}/log; events {{}} http {{ access_log off;\n"
                    + text.replace("/var/cache/nginx/sluice", str(tmp_path / "cache")) + "}\n")
    rc, said = run(front.program("nginx"), "-t", "-c", conf, "-p", tmp_path)
    assert rc == 0, said
