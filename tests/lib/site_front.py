"""The programs of a split deployment, run from the configuration that is shipped in deploy/: Apache httpd and Squid, on ports that
they take themselves where they can, and else on ones that a held socket has kept free until they start.
"""
import grp
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time

from sluice import ROOT, SLOW
from waiting import wait_for

DEPLOY = ROOT / "deploy"
MODULES = pathlib.Path("/usr/lib/apache2/modules")


def program(*names):
    for n in names:
        found = shutil.which(n, path=os.environ["PATH"] + ":/usr/sbin:/sbin:/usr/local/sbin")
        if found:
            return found
    return None


APACHE = program("apache2", "httpd") if MODULES.is_dir() else None
XSENDFILE = APACHE is not None and (MODULES / "mod_xsendfile.so").exists()
SQUID = program("squid")
VARNISH = program("varnishd")
NGINX = program("nginx")


class Ca:
    """A certificate authority made by the openssl program."""

    def __init__(self, directory, name):
        self.dir = pathlib.Path(directory)
        self.dir.mkdir(parents=True, exist_ok=True)
        self.pem = self.dir / f"{name}.pem"
        self._key = self.dir / f"{name}.key"
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", self._key, "-out", self.pem, "-days", "3",
                      "-subj", f"/CN={name}", "-addext", "basicConstraints=critical,CA:TRUE")

    @staticmethod
    def _openssl(*args):
        done = subprocess.run(["openssl", *map(str, args)], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def issue(self, cn):
        """(certificate, key) for a client or a server on 127.0.0.1."""
        cert, key, csr, ext = (self.dir / f"{cn}{e}" for e in (".crt", ".key", ".csr", ".ext"))
        ext.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key, "-out", csr, "-subj", f"/CN={cn}")
        self._openssl("x509", "-req", "-in", csr, "-CA", self.pem, "-CAkey", self._key, "-CAcreateserial", "-out", cert,
                      "-days", "3", "-extfile", ext)
        return cert, key


def ports(n):
    """Ports that nobody has. They are chosen outside of the range that the kernel gives to clients, so that nobody gets one by chance
    between now and the start of the program that is told to use it."""
    low = int(pathlib.Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    top = low if low > 10000 else 65536 - 1
    bottom = max(1024, top - 20000)
    out, held = [], []
    at = bottom + (os.getpid() * 131 + int(time.monotonic() * 1000)) % (top - bottom - 1000)
    while len(out) < n:
        s = socket.socket()
        try:
            s.bind(("127.0.0.1", at))
            held.append(s)
            out.append(at)
        except OSError:
            s.close()
        at += 1
    for s in held:
        s.close()
    return out


class Program:
    def __init__(self, argv, log, port, name, cwd):
        self.name, self.log = name, pathlib.Path(log)
        self.out = open(self.log.with_suffix(".out"), "ab")
        self.proc = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out, cwd=cwd,
                                     start_new_session=True)
        try:
            wait_for(f"{name} on port {port}", lambda: self._up(port), 60 * SLOW, 0.05)
        except AssertionError:
            self.stop()
            raise

    def _up(self, port):
        assert self.proc.poll() is None, f"{self.name} ended with {self.proc.returncode}: {self.text()[-3000:]}"
        with socket.socket() as s:
            s.settimeout(1)
            return s.connect_ex(("127.0.0.1", port)) == 0

    def text(self):
        out = self.log.with_suffix(".out").read_text("utf-8", "replace")
        return out + (self.log.read_text("utf-8", "replace") if self.log.exists() else "")

    def stop(self):
        if self.proc.poll() is None:
            self.proc.terminate()
            try:
                self.proc.wait(30)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.proc.pid, signal.SIGKILL)  # its helpers
        except ProcessLookupError:
            pass
        self.proc.wait()
        self.out.close()


def open_to_all(directory):
    """Started by root these programs become somebody else; that somebody has to get there."""
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o777)
    for p in directory.parents:
        if p == p.parent or str(p) == "/tmp":
            break
        if os.stat(p).st_uid == os.getuid():
            p.chmod(p.stat().st_mode | 0o711)
    return directory


def open_to_group(directory):
    """What is here, and is put here later, can be read by Apache's group: what a site does that lets it send the files."""
    open_to_all(directory.parent).chmod(0o711)
    if os.getuid() != 0:
        return
    for d in (directory, *(p for p in directory.rglob("*") if p.is_dir())):
        os.chown(d, -1, grp.getgrnam("nogroup").gr_gid)
        d.chmod(0o2750)


def apache_conf(directory, conf=DEPLOY / "apache" / "sluice.conf", more_modules="", **defines):
    """A server configuration around the shipped virtual host, or another one."""
    modules = "mpm_event authz_core ssl headers setenvif proxy proxy_http " + more_modules
    text = [f"ServerRoot {directory}", f"PidFile {directory}/httpd.pid", f"ErrorLog {directory}/error.log",
            f"DefaultRuntimeDir {directory}", "ServerName localhost", "Timeout 300", "StartServers 1", "ThreadsPerChild 32",
            "MaxRequestWorkers 128", "LogLevel warn"]
    if os.getuid() == 0:
        text += ["User nobody", "Group nogroup"]
        modules += " unixd"
    text += [f"LoadModule {m}_module {MODULES}/mod_{m}.so" for m in modules.split() if (MODULES / f"mod_{m}.so").exists()]
    # What loads modules has to come before what they understand.
    text.sort(key=lambda line: not line.startswith("LoadModule"))
    text += [f"Define SLUICE_{k.upper()} {v}" for k, v in defines.items()]
    path = directory / "httpd.conf"
    path.write_text("\n".join(text) + f"\nInclude {conf}\n")
    return path


def apache(directory, port, **defines):
    open_to_all(directory)
    conf = apache_conf(directory, port=port, **defines)
    return Program([APACHE, "-f", conf, "-DFOREGROUND"], directory / "error.log", port, "Apache httpd", directory)


def replaced(path, *pairs):
    """The text of a shipped file with some of it replaced, all of which has to be there."""
    text = path.read_text()
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def squid_conf(directory, port=3128, streamer="127.0.0.1:8751"):
    """The shipped file, with another port, another streamer and directories of its own."""
    host, peer = streamer.rsplit(":", 1)
    path = directory / "squid.conf"
    path.write_text(replaced(
        DEPLOY / "squid" / "squid.conf", ("http_port 127.0.0.1:3128", f"http_port 127.0.0.1:{port}"),
        ("cache_peer 127.0.0.1 parent 8751", f"cache_peer {host} parent {peer}"),
        ("/var/spool/squid 20000", f"{directory}/cache 100"), ("/var/spool/squid", f"{directory}/cache"),
        ("/var/log/squid", str(directory)), ("/run/squid.pid", f"{directory}/squid.pid"),
        ("shutdown_lifetime 10 seconds", "shutdown_lifetime 0 seconds")))
    return path


def squid(directory, port, streamer):
    open_to_all(directory)
    open_to_all(directory / "cache")
    conf = squid_conf(directory, port, streamer)
    done = subprocess.run([SQUID, "-N", "-z", "-f", conf, "-n", f"t{os.getpid()}"], capture_output=True, text=True, cwd=directory)
    assert done.returncode == 0, done.stderr
    return Program([SQUID, "-N", "-f", conf, "-n", f"t{os.getpid()}"], directory / "cache.log", port, "Squid", directory)


def varnish(directory, port, streamer):
    open_to_all(directory)
    host, peer = streamer.rsplit(":", 1)
    vcl = directory / "sluice.vcl"
    vcl.write_text(replaced(DEPLOY / "varnish" / "sluice.vcl", ('.host = "127.0.0.1"', f'.host = "{host}"'), ('.port = "8751"', f'.port = "{peer}"')))
    return Program([VARNISH, "-F", "-j", "none", "-a", f"127.0.0.1:{port}", "-f", vcl, "-s", "malloc,64m", "-n", directory / "v", "-p", "thread_pool_min=10"],
                   directory / "varnish.log", port, "Varnish", directory)


def nginx_cache(directory, port, streamer):
    open_to_all(directory)
    conf = directory / "nginx.conf"
    inside = replaced(DEPLOY / "nginx" / "sluice-cache.conf", ("/var/cache/nginx/sluice", f"{directory}/cache"),
                      ("listen 127.0.0.1:8753", f"listen 127.0.0.1:{port}"), ("http://127.0.0.1:8751", f"http://{streamer}"))
    temp = "".join(f"{kind}_temp_path {directory}/{kind};" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    user = "user root;" if os.getuid() == 0 else ""
    conf.write_text(f"daemon off; pid {directory}/pid; error_log stderr warn; worker_processes 1; {user} events {{}}"
                    f" http {{ access_log off; {temp} {inside} }}\n")
    return Program([NGINX, "-p", directory, "-c", conf, "-e", "stderr"], directory / "nginx.log", port, "nginx", directory)


def no_tls_checks():
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
