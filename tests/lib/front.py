"""Web servers in front, and the certificates that they and their clients need. Servers listen on sockets in the file system: no port to be taken by
somebody else meanwhile.

    ca = Authority(tmp_path, "root")
    client = ca.issue("client")
    with Nginx(tmp_path, "location / { … }", ca.issue("localhost")) as front:
        front.curl("/pulp/content/r/a", client=client)
"""
import os
import pathlib
import shutil
import socket
import subprocess
import urllib.parse

from waiting import wait_for


def openssl(*args, **kw):
    done = subprocess.run(["openssl", *map(str, args)], capture_output=True, timeout=60, **kw)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Identity:
    def __init__(self, stem):
        self.key, self.cert = stem.with_suffix(".key"), stem.with_suffix(".pem")

    @property
    def pem(self):
        return self.cert.read_text()

    @property
    def escaped(self):
        return urllib.parse.quote(self.pem, safe="")


class Authority(Identity):
    """Issues certificates, for a day; `extensions` as OpenSSL's configuration files have them."""

    def __init__(self, directory, name):
        self.directory = pathlib.Path(directory) / f"ca-{name}"
        self.directory.mkdir(parents=True, exist_ok=True)
        super().__init__(self.directory / "ca")
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", 1, "-subj",
                f"/CN={name}", "-keyout", self.key, "-out", self.cert, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
        self.count = 0

    def issue(self, name, extensions=()):
        self.count += 1
        me = Identity(self.directory / f"{self.count}-{name}")
        request, ext = me.key.with_suffix(".csr"), me.key.with_suffix(".ext")
        lines = ["basicConstraints=CA:FALSE", f"subjectAltName=DNS:{name}", *extensions]
        ext.write_text("".join(line.replace("$", "\\$") + "\n" for line in lines))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}", "-keyout", me.key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-set_serial", self.count, "-days", 1,
                "-extfile", ext, "-out", me.cert)
        return me


class Front:
    """A web server process, and curl that speaks to it over TLS."""

    def __init__(self, directory, identity):
        self.directory = pathlib.Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.identity = identity
        self.socket = self.directory / "s"
        self.proc = None

    def _start(self, *command):
        self.output = open(self.directory / "output", "wb")
        self.proc = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.output, stderr=subprocess.STDOUT)
        wait_for("the web server", self._is_up, 60)

    def _is_up(self):
        assert self.proc.poll() is None, f"it ended: {(self.directory / 'output').read_text()}"
        with socket.socket(socket.AF_UNIX) as s:
            return s.connect_ex(str(self.socket)) == 0

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.proc.terminate()
        self.proc.wait(60)
        self.output.close()

    def curl(self, path, *args, client=None):
        """(status, header fields, body) of one request."""
        if client is not None:
            args = ("--cert", client.cert, "--key", client.key, *args)
        out = subprocess.run(["curl", "-sS", "-k", "-D", "-", "--unix-socket", self.socket, *map(str, args), f"https://localhost{path}"],
                             capture_output=True, timeout=120)
        assert out.returncode == 0, out.stderr.decode()
        head, _, body = out.stdout.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:])}
        return int(lines[0].split()[1]), fields, body


class Nginx(Front):
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/sbin")

    def __init__(self, directory, inside, identity, more=""):
        """`inside`: of the server block, where each client is asked for a certificate and none is refused for it."""
        super().__init__(directory, identity)
        d = self.directory
        conf = d / "nginx.conf"
        conf.write_text(f"""daemon off; pid {d}/pid; error_log stderr warn; worker_processes 1;
            {as_user()}
            events {{ worker_connections 256; }}
            http {{
              access_log off; client_body_temp_path {d}/t1; proxy_temp_path {d}/t2; fastcgi_temp_path {d}/t3;
              uwsgi_temp_path {d}/t4; scgi_temp_path {d}/t5; sendfile on; proxy_http_version 1.1;
              {more}
              server {{
                listen unix:{self.socket} ssl; server_name localhost;
                ssl_certificate {identity.cert}; ssl_certificate_key {identity.key}; ssl_verify_client optional_no_ca;
                proxy_set_header Host $http_host;
                {inside}
              }}
            }}""")
        self._start(self.found, "-p", str(d), "-c", str(conf), "-e", "stderr")


def as_user():
    """So that the worker may read what root may."""
    return "user root;" if os.geteuid() == 0 else ""
