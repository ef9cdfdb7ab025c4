import os
import shutil

from ..machine import Trouble, kill, start
from . import Peer

# In front of one upstream; whole objects, also where a client asks for a part or goes away.
CONF = """http_port 127.0.0.1:{port} accel defaultsite=127.0.0.1 no-vhost
cache_peer 127.0.0.1 parent {origin} 0 no-query no-digest originserver name=origin
http_access allow all
collapsed_forwarding on
range_offset_limit none
quick_abort_min -1 KB
maximum_object_size 4 GB
cache_dir aufs {d}/cache 20000 16 256
cache_mem 1024 MB
access_log none
cache_store_log none
cache_log {d}/cache.log
pid_filename {d}/pid
coredump_dir {d}
pinger_enable off
shutdown_lifetime 0 seconds
read_timeout 10 minutes
"""


class Squid(Peer):
    name = "Squid"
    program = "squid"
    packages = ("squid",)

    def start(self):
        conf = self.directory / "squid.conf"
        conf.write_text(CONF.format(port=self.port, origin=self.bench.origin.port, d=self.directory))
        if os.geteuid() == 0:  # it gives its privileges up
            shutil.chown(self.directory, "proxy", "proxy")
        making = start(["squid", "-z", "-N", "-f", conf], cpus=self.cpus, log=self.directory / "log", stdin=-3, stdout=-3)
        if making.wait(60) != 0:
            raise Trouble(f"squid -z ended with {making.returncode}")
        kill(making)
        self.run("squid", "-N", "-f", conf)
