"""Waiting for conditions: always with a deadline, always saying what was waited for."""
import threading
import time


class Timeout(AssertionError):
    pass


def wait_for(what, condition, timeout=10.0, every=0.01):
    """Calls condition() until it is true, and returns what it gave. `what` names it when the time is over."""
    deadline = time.monotonic() + timeout
    while True:
        last = condition()
        if last:
            return last
        if time.monotonic() >= deadline:
            raise Timeout(f"waited {timeout:g} s for {what}; last seen: {last!r}")
        time.sleep(every)


def in_thread(fn, *args, seconds=120):
    """Calls it in a thread of its own; returns a function that waits for what it returned."""
    out = []
    t = threading.Thread(target=lambda: out.append(fn(*args)))
    t.start()

    def result():
        t.join(seconds)
        assert out, f"{fn.__name__} did not end"
        return out[0]
    return result
