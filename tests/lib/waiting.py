"""Waiting for conditions: always with a deadline, always saying what was waited for."""
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
