"""docs/performance.md, .svg and .json: the part between the marks is written by bench/run --write-docs, the rest by people."""
import json
import os
import pathlib
import re
import subprocess
import time

from .machine import ROOT
from .report import svg

DOCS = ROOT / "docs"
BEGIN, END = "<!-- bench/run --write-docs writes from here -->", "<!-- to here -->"


def about(command):
    """When, where, what."""
    cpu = re.search(r"model name\s*: (.*)", pathlib.Path("/proc/cpuinfo").read_text())
    mem = int(re.search(r"MemTotal:\s+(\d+)", pathlib.Path("/proc/meminfo").read_text()).group(1)) / (1 << 20)
    release = pathlib.Path("/etc/debian_version")
    version = subprocess.run([os.environ["SLUICE_BIN"], "version"], capture_output=True, text=True).stdout.strip()
    commit = subprocess.run(["git", "-C", ROOT, "describe", "--always", "--dirty"], capture_output=True, text=True).stdout.strip()
    return {"date": time.strftime("%Y-%m-%d"), "command": command, "sluice": f"{version}{' (' + commit + ')' if commit else ''}",
            "machine": f"{os.cpu_count()} processors ({cpu.group(1) if cpu else os.uname().machine}), {mem:.0f} GiB, "
                       f"Linux {'.'.join(os.uname().release.split('.')[:2])}"
                       f"{', Debian ' + release.read_text().strip() if release.exists() else ''}"}


def heading(a):
    return f"## {a['date']}, {a['machine']}\n\n{a['sluice']}, `{a['command']}`"


def as_json(a, tables):
    return json.dumps(a | {"scenarios": {k: t.json() for k, t in tables.items()}}, indent=1, ensure_ascii=False) + "\n"


def write(a, tables):
    page = DOCS / "performance.md"
    text = page.read_text()
    before, rest = text.split(BEGIN, 1)
    body = "\n".join(t.markdown() for t in tables.values())
    page.write_text(f"{before}{BEGIN}\n{heading(a)}\n\n![The same as a plot](performance.svg)\n\n{body}{END}{rest.split(END, 1)[1]}")
    (DOCS / "performance.svg").write_text(svg(list(tables.values())))
    (DOCS / "performance.json").write_text(as_json(a, tables))
