"""Counts what script/test ran. Each source appends "passed failed what" lines to one file; the last step sums them up.

    tally.py FILE add PASSED FAILED WHAT     tally.py FILE meson TESTLOG.JSON WHAT
    tally.py FILE pytest JUNIT.XML WHAT      tally.py FILE sum
"""
import json
import re
import sys
import xml.etree.ElementTree


def meson(path):
    """The cases of each cmocka program; one for a program that is not."""
    passed = failed = 0
    with open(path, encoding="utf-8", errors="replace") as f:
        for line in f:
            t = json.loads(line)
            text = t.get("stdout", "") + t.get("stderr", "")
            good = sum(map(int, re.findall(r"\[  PASSED  \] (\d+) test\(s\)", text)))
            bad = sum(map(int, re.findall(r"\[  FAILED  \] (?:tests: |)?\s*(\d+) test\(s\)", text)))
            skipped = sum(map(int, re.findall(r"\[  SKIPPED \] (\d+) test\(s\)", text)))
            if t["result"] not in ("OK", "EXPECTEDFAIL") or skipped:
                # a skipped unit test is a failure: there is no list of expected ones
                bad = max(bad, 1, skipped)
                print(f"  {t['name']}: {t['result']}{', skipped cases' if skipped else ''}")
            else:
                good = max(good, 1)
            passed, failed = passed + good, failed + bad
    return passed, failed


def pytest(path):
    passed = failed = 0
    for suite in xml.etree.ElementTree.parse(path).getroot().iter("testsuite"):
        n = {k: int(suite.get(k)) for k in ("tests", "failures", "errors", "skipped")}
        bad = n["failures"] + n["errors"]
        failed += bad
        passed += max(0, n["tests"] - bad - n["skipped"])
    return passed, failed


def main(file, verb, *args):
    if verb == "sum":
        rows = [line.split(" ", 2) for line in open(file, encoding="utf-8")]
        for p, f, what in rows:
            print(f"{what.strip():32} {p:>6} passed {f:>4} failed")
        failed = sum(int(r[1]) for r in rows)
        print(f"{sum(int(r[0]) for r in rows)} passed, {failed} failed")
        return 1 if failed else 0
    *given, what = args
    try:
        passed, failed = {"add": lambda p, f: (int(p), int(f)), "meson": meson, "pytest": pytest}[verb](*given)
    except (OSError, ValueError, xml.etree.ElementTree.ParseError) as e:
        print(f"  {what}: no result ({e})")
        passed, failed = 0, 1
    with open(file, "a", encoding="utf-8") as f:
        f.write(f"{passed} {failed} {what}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
