#!/usr/bin/python3
"""Do the includes point down only? A folder of src/ may include itself, what its row of the table in docs/architecture.md
names, include/sluice, and the system; and what it may include it must be linked with (`layers` in meson.build, which runs
from the bottom up). Prints each include that may not be, and exits 1."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
SYSTEM = re.compile(r"#\s*include\s*<([^>]+)>")
OURS = re.compile(r'#\s*include\s*"([^"]+)"')
PLUGIN = "sluice"  # include/sluice: the plugin interface, below everything
TOP = "cmd"        # wires everything together


def linked():
    text = (ROOT / "meson.build").read_text()
    block = re.search(r"^layers = \[\n(.*?)^\]", text, re.S | re.M).group(1)
    out = {}
    for name, below in re.findall(r"\['([^']+)', \[([^\]]*)\]", block):
        out[name] = re.findall(r"'([^']+)'", below)
    return out


def documented():
    out = {}
    for line in (ROOT / "docs" / "architecture.md").read_text("utf-8").splitlines():
        m = re.match(r"\| `src/([^`]+)` \|.*\| ([^|]*) \|$", line)
        if m:
            words = set(re.findall(r"[a-z]+", m.group(2).replace("`include/sluice`", "")))
            out[m.group(1).replace("/<name>", "")] = words
    return out


def layer_of(path, names):
    """The longest layer name that `path`, relative to src/, begins with."""
    fit = [n for n in names if path == n or path.startswith(n + "/")]
    return max(fit, key=len) if fit else None


def main():
    links, table = linked(), documented()
    order = list(links) + [TOP]
    links[TOP] = list(links)
    bad, allowed = [], {}
    for name, below in links.items():
        row = table.get(name) or table.get(name.split("/")[0])
        if row is None:
            bad.append(f"docs/architecture.md: the table of folders has no row for src/{name}")
            row = set()
        allowed[name] = below if "all" in row else [b for b in below if b in row]
        for b in below:
            if b not in order or order.index(b) > order.index(name):
                bad.append(f"meson.build: '{name}' is linked with '{b}', which does not lie below it")
        for b in row & set(order) - set(below):
            bad.append(f"docs/architecture.md: src/{name} may include {b}, but meson.build does not link it")
    for path in sorted((ROOT / "src").rglob("*.[ch]")):
        rel = path.relative_to(ROOT / "src").as_posix()
        mine = layer_of(rel, allowed)
        if mine is None:
            bad.append(f"src/{rel}: in no layer of meson.build")
            continue
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            m = OURS.match(line)
            if not m:
                continue
            target = m.group(1)
            theirs = PLUGIN if target.startswith("sluice/") else layer_of(target, allowed)
            if theirs is None:
                bad.append(f"src/{rel}:{n}: \"{target}\" is no path below src/ (\"folder/file.h\")")
            elif theirs not in (mine, PLUGIN) and theirs not in allowed[mine]:
                bad.append(f"src/{rel}:{n}: '{mine}' includes \"{target}\", but may only include {', '.join(allowed[mine]) or 'itself'}")
    for path in sorted((ROOT / "include").rglob("*.h")):
        for n, line in enumerate(path.read_text("utf-8").splitlines(), 1):
            if OURS.match(line):
                bad.append(f"{path.relative_to(ROOT)}:{n}: the plugin interface includes nothing of sluice")
    print("\n".join(bad), end="\n" if bad else "")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
