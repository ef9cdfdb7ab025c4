"""The log: what the server and its tasks write to standard error, and a reader of it that hangs."""
import os
import re

from data import KiB
from rawhttp import Conn
from sluice import CONTENT, SLOW
from waiting import in_thread, wait_for


def drain(fd, out):
    while piece := os.read(fd, 1 << 20):
        out += piece
    return out.decode()


def test_a_log_that_nobody_reads_stops_neither_clients_nor_tasks(start_sluice, upstream):
    """Standard error is a pipe that fills up; then it is read again, and the log says how much is missing."""
    read_end, write_end = os.pipe()
    upstream.add("/r/a", 100 * KiB)
    s = start_sluice(stderr=write_end)
    os.close(write_end)
    with Conn(s.connect(30)) as c:
        while s.metric("log_dropped") == 0:
            for _ in range(100):
                # Each line of the access log is as long as it can be.
                assert c.ask("GET", CONTENT + "none?" + 600 * '"').status == 404
    s.api.repo("r", upstream.manifest("/r/PULP_MANIFEST"))
    assert s.get("r/a").content == upstream.body("/r/a").all()
    s.quiet()
    dropped = s.metric("log_dropped")
    so_far = bytearray()
    text = in_thread(drain, read_end, so_far)
    # What waits is written first, and the writer says what is missing: only then there is room for what the stop has to say.
    wait_for("the log to be written again", lambda: b" lines were dropped" in so_far, 30 * SLOW)
    s.stop()
    log = text()
    os.close(read_end)
    told = [int(n) for n in re.findall(r" WARNING log (\d+) lines were dropped", log)]
    assert told and sum(told) >= dropped
    assert all(re.match(r"\d{4}-\d\d-\d\dT\S+Z (DEBUG|INFO|WARNING|ERROR) \w+ ", line) for line in log.splitlines())
    assert "signal 15: stopping" in log and log.endswith("\n")
