"""Fixtures of all tests that drive the real server, and the two rules of the suite: a test that takes too long is a failure,
and so is one that is skipped without being on the list of expected skips (expected-skips.txt)."""
import fnmatch
import itertools
import pathlib
import signal
import sys
import zlib

import pytest

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "lib"))

import sluice as sluice_module  # noqa: E402
from upstream import Upstream  # noqa: E402

DEFAULT_TIMEOUT = 60  # seconds for one test, times SLOW


def expected_skips():
    out = []
    for line in (HERE / "expected-skips.txt").read_text().splitlines():
        line = line.split("#", 1)[0].strip()
        if line:
            out.append(line)
    return out


def pytest_addoption(parser):
    parser.addoption("--shard", metavar="I/N", help="only every N-th test, from the I-th on (1, …, N): for processes side by side")


def pytest_configure(config):
    config.addinivalue_line("markers", "timeout(seconds): how long the test may take, when that is not a minute")
    config.addinivalue_line("markers", "plain: measures time or memory, so that it means nothing under a sanitizer")
    config.addinivalue_line("markers", "faults: needs a binary with -Dfaults=true")
    config.addinivalue_line("markers", "once: what it shows is no matter of memory or threads, so that it runs without sanitizers only")
    config.addinivalue_line("markers", "together: what its module makes first is dear, so that one shard has all of it")
    config.expected_skips = expected_skips()


def of_shard(items, shard):
    mine, count = (int(x) for x in shard.split("/"))
    place = 0
    for item in items:
        if item.get_closest_marker("together"):
            at = zlib.crc32(item.module.__name__.encode())
        else:
            at = place = place + 1
        if at % count == mine % count:
            yield item


def pytest_collection_modifyitems(config, items):
    chosen = [i for i in items if not (sluice_module.SANITIZER and i.get_closest_marker("once"))]
    if config.getoption("--shard"):
        chosen = list(of_shard(chosen, config.getoption("--shard")))
    config.hook.pytest_deselected(items=[i for i in items if i not in set(chosen)])
    items[:] = chosen
    for item in items:
        if item.get_closest_marker("plain") and sluice_module.SANITIZER:
            item.add_marker(pytest.mark.skip(reason="measures; means nothing under a sanitizer"))
        if item.get_closest_marker("faults") and not sluice_module.FAULTS:
            item.add_marker(pytest.mark.skip(reason="the binary has no fault points (-Dfaults=true)"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    if report.skipped and not hasattr(report, "wasxfail"):
        name = item.nodeid.removeprefix("tests/")
        if not any(fnmatch.fnmatchcase(name, p) for p in item.config.expected_skips):
            report.outcome = "failed"
            report.longrepr = f"{name} was skipped, and is not in tests/expected-skips.txt: {report.longrepr}"
    if report.failed:
        for s in getattr(item, "servers", ()):
            report.sections.append((f"log of the server in {s.directory}", s.log()[-8000:]))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    mark = item.get_closest_marker("timeout")
    seconds = (mark.args[0] if mark else DEFAULT_TIMEOUT) * sluice_module.SLOW

    def late(signum, frame):
        raise TimeoutError(f"the test took more than {seconds:g} s")
    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(int(seconds) + 1)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def upstream():
    with Upstream() as u:
        yield u


@pytest.fixture
def start_sluice(request, tmp_path):
    """Starts servers, each with its own data directory: start_sluice(env={"SLUICE_CONTENT_HOLDBACK": "0"})."""
    servers = request.node.servers = []
    numbers = itertools.count()

    def start(env=None, **kw):
        s = sluice_module.Sluice(tmp_path / f"sluice{next(numbers) or ''}", env, start=False, **kw)
        servers.append(s)
        return s.start()
    yield start
    errors = []
    for s in servers:
        try:
            s.close()
        except AssertionError as e:
            errors.append(str(e))
    assert not errors, "\n".join(errors)


@pytest.fixture
def sluice(start_sluice):
    return start_sluice()


@pytest.fixture
def api(sluice):
    return sluice.api


@pytest.fixture(scope="module")
def shared_upstream():
    with Upstream() as u:
        yield u


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for all tests of a module, where they do not disturb each other."""
    s = sluice_module.Sluice(tmp_path_factory.mktemp("shared") / "sluice")
    yield s
    s.close()


@pytest.fixture(autouse=True)
def _shared_log(request):
    if "shared" in request.fixturenames:
        request.node.servers = [request.getfixturevalue("shared")]
