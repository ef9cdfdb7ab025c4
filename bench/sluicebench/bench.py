"""One run: what scenarios share."""
import contextlib
import sys
import traceback

from . import machine
from .files import Files
from .load import Origin
from .machine import Trouble


class Options:
    def __init__(self, quick=False):
        self.quick = quick
        self.seconds = 0.7 if quick else 2       # of one window
        self.rounds = 3 if quick else 5
        self.miss_rounds = 1 if quick else 3
        self.many = 5_000 if quick else 20_000   # files
        self.big = (256 << 20) if quick else (1 << 30)


class Bench:
    def __init__(self, options, caches=()):
        self.options = options
        self.directory = machine.workspace()
        self.files = Files(self.directory / "www", options)
        self.origin = Origin(self.directory / "www")
        self.gauge = machine.Gauge()
        self.caches = list(caches)
        self.failures = []  # (peer, why) of the scenario that runs
        self.directories = 0

    def new_directory(self, name):
        self.directories += 1
        return self.directory / f"{self.directories}-{name.replace(' ', '-').replace(',', '')}"

    @contextlib.contextmanager
    def attempt(self, name):
        """A failure inside costs this peer its figure, and nobody else; the report says so."""
        try:
            yield
        except Exception as e:  # noqa: BLE001 whatever it is: one peer's trouble
            self.fail(name, e)

    def fail(self, name, e):
        why = str(e).split("\n")[0][:300] or type(e).__name__
        if not isinstance(e, Trouble):
            traceback.print_exc()
        if (name, why) not in self.failures:
            self.failures.append((name, why))
        print(f"  {name}: {why}", file=sys.stderr, flush=True)

    def expect(self, name, cond, why):
        """Says in the report that something was not as it must be, without ending the measurement."""
        if not cond and (name, why) not in self.failures:
            self.failures.append((name, why))

    def present(self, kinds):
        out = []
        for k in kinds:
            why = k.missing()
            if why:
                self.failures.append((k.name, why))
            else:
                out.append(k)
        return out

    @contextlib.contextmanager
    def peers(self, kinds):
        """All of them, started; those that do not start are reported."""
        started = []
        try:
            for kind in self.present(kinds):
                side = kind(self, self.new_directory(kind.name))
                try:
                    side.start()
                    started.append(side)
                except Exception as e:  # noqa: BLE001
                    tail = side.log_tail()
                    self.fail(kind.name, Trouble(f"{e}{'; it says: ' + tail if tail else ''}"))
                    side.close()
            yield started
        finally:
            for side in started:
                with self.attempt(side.name):
                    side.close()

    def close(self):
        self.gauge.close()
        self.origin.close()
