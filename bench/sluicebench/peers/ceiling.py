import subprocess

from ..machine import BUILD, start
from . import Peer


class Ceiling(Peer):
    """Not a server but what one could cost at least (bench/ceiling.c). It is started by serve()."""
    static = True
    how = ()

    def start(self):
        pass

    def serve(self, files, rules=""):
        super().serve(files)
        self.p = start([BUILD / "bench" / "ceiling", *self.how, files.path()], cpus=self.cpus, stdout=subprocess.PIPE, text=True)
        self.port = int(self.p.stdout.readline().split()[1])


class Constant(Ceiling):
    name = "bare epoll loop, a constant"
    how = ("constant",)


class Sendfile(Ceiling):
    name = "bare sendfile loop"
    how = ("sendfile",)


class Paced(Ceiling):
    """The file comes while it is sent: what readers of one download cost at least."""
    name = "bare sendfile loop, paced"

    def serve(self, files, rules=""):
        self.how = ("paced", rules.removeprefix("rate="))
        super().serve(files)
