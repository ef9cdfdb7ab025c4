from sluice import BINARY, Sluice  # of tests/lib

from ..machine import on
from . import Peer


class SluicePeer(Peer):
    name = "sluice"
    listen = "127.0.0.1:0"
    environment = {"SLUICE_SERVER_LOOPS": 1, "SLUICE_LOG_ACCESS": "false"}

    @classmethod
    def missing(cls):
        return "" if BINARY.is_file() else f"no {BINARY}: script/build release"

    def start(self, **environment):
        with on(self.cpus):
            self.server = Sluice(self.directory / "s", env=self.environment | environment, listen=self.listen)
        self.port = self.server.port
        self.p = self.server.proc
        self.repositories = 0

    def serve(self, files, rules="", policy="on_demand"):
        self.repositories += 1
        name = f"r{self.repositories}"
        self.repository = self.server.api.repo(name, self.bench.origin.url(f"{'~' + rules + '/' if rules else ''}{files.name}/PULP_MANIFEST"), policy)
        self.prefix = f"/pulp/content/{name}/"

    def settle(self):
        self.server.wait_metric("flights_open", 0, 60)
        super().settle()

    def metric(self, name):
        return self.server.metrics().get(name)

    def restart(self):
        with on(self.cpus):
            self.server.restart()
        self.port = self.server.port
        self.p = self.server.proc

    def close(self):
        if self.p is not None:
            self.p = None
            if self.server.proc is not None:
                self.server.close()
        super().close()
