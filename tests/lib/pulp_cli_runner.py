"""Runs pulp-cli's own entry point for each line of standard input, a JSON list of arguments, in one process: most of what a
command costs is the start of Python. Each answer is a line too: {"code": …, "out": …, "err": …}. For the Python that has pulp-cli."""
import contextlib
import io
import json
import sys
import traceback

from pulp_cli import main

answers = sys.stdout
for line in sys.stdin:
    out, err, code = io.StringIO(), io.StringIO(), 0
    sys.argv = ["pulp", *json.loads(line)]
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main()
        except SystemExit as e:
            code = e.code if isinstance(e.code, int) else 0 if e.code is None else 1
        except BaseException:
            traceback.print_exc()
            code = 1
    print(json.dumps({"code": code, "out": out.getvalue(), "err": err.getvalue()}), file=answers, flush=True)
