import pathlib
import resource
import shutil

from . import Peer

ETC = pathlib.Path("/etc/trafficserver")

# Beside Debian's own: one thread; its documentation's advice against herds (read while somebody writes, try the cache again
# instead of going to the upstream, finish what a client left); no log; a cache of memory that holds all small files.
RECORDS = """CONFIG proxy.config.exec_thread.autoconfig INT 0
CONFIG proxy.config.exec_thread.limit INT 1
CONFIG proxy.config.exec_thread.affinity INT 0
CONFIG proxy.config.accept_threads INT 0
CONFIG proxy.config.task_threads INT 1
CONFIG proxy.config.http.server_ports STRING {port}:ip-in=127.0.0.1
CONFIG proxy.config.cache.enable_read_while_writer INT 1
CONFIG proxy.config.http.background_fill_active_timeout INT 0
CONFIG proxy.config.http.background_fill_completed_threshold FLOAT 0.0
CONFIG proxy.config.http.cache.max_open_read_retries INT 5
CONFIG proxy.config.http.cache.open_read_retry_time INT 10
CONFIG proxy.config.http.cache.max_open_write_retries INT 1
CONFIG proxy.config.http.cache.required_headers INT 2
CONFIG proxy.config.http.wait_for_cache INT 1
CONFIG proxy.config.http.transaction_no_activity_timeout_in INT 600
CONFIG proxy.config.http.transaction_no_activity_timeout_out INT 600
CONFIG proxy.config.http.keep_alive_no_activity_timeout_in INT 600
CONFIG proxy.config.net.connections_throttle INT {files}
CONFIG proxy.config.cache.ram_cache.size INT 1G
CONFIG proxy.config.log.logging_enabled INT 0
CONFIG proxy.config.admin.user_id STRING #-1
"""
RUNROOT = """prefix: {d}
exec_prefix: /usr
bindir: /usr/bin
sbindir: /usr/sbin
sysconfdir: {d}/etc
datadir: {d}/data
includedir: /usr/include
libdir: /usr/lib/trafficserver
libexecdir: /usr/lib/trafficserver/modules
localstatedir: {d}/run
runtimedir: {d}/run
logdir: {d}/log.d
mandir: /usr/share/man
infodir: /usr/share/info
cachedir: {d}/cache
"""


class TrafficServer(Peer):
    name = "Traffic Server"
    program = "traffic_server"
    packages = ("trafficserver",)

    def start(self):
        etc = self.directory / "etc"
        shutil.copytree(ETC, etc)
        for name in ("data", "run", "log.d", "cache"):
            (self.directory / name).mkdir()
        files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        ours = RECORDS.format(port=self.port, files=files * 3 // 4)
        names = {line.split()[1] for line in ours.splitlines()}
        theirs = [line for line in (etc / "records.config").read_text().splitlines() if line.startswith("CONFIG") and line.split()[1] not in names]
        (etc / "records.config").write_text("\n".join(theirs) + "\n" + ours)
        (etc / "storage.config").write_text(f"{self.directory}/cache 8G\n")
        (etc / "remap.config").write_text(f"map / http://127.0.0.1:{self.bench.origin.port}/\n")
        runroot = self.directory / "runroot.yaml"
        runroot.write_text(RUNROOT.format(d=self.directory))
        self.run("traffic_server", f"--run-root={runroot}")
