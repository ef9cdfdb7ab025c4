"""Results as tables of markdown, as JSON, and as a plot."""
import html


class Table:
    """One scenario's result: rows, goals beside what was reached, notes."""

    def __init__(self, title, columns):
        self.title, self.columns = title, columns
        self.rows, self.values, self.goals, self.notes = [], [], [], []
        self.less_is_better = False
        self.unit = ""  # of the plot; the second column's unless it is set

    def row(self, *cells, value=None, less=False):
        """value: the figure for the plot."""
        self.rows.append([str(c) for c in cells])
        self.less_is_better = less
        if value is not None:
            self.values.append((str(cells[0]), value))

    def goal(self, text, how, bound, fmt, value):
        self.goals.append({"goal": text, "reached": fmt.format(value), "value": value,
                           "met": bool(value >= bound if how == ">=" else value <= bound if how == "<=" else value == bound)})

    def note(self, text):
        self.notes.append(text)

    def markdown(self):
        lines = [f"### {self.title}", ""]
        if self.rows:
            lines += ["| " + " | ".join(self.columns) + " |", "|---|" + "---:|" * (len(self.columns) - 1)]
            lines += ["| " + " | ".join(r) + " |" for r in self.rows] + [""]
        if self.goals:
            lines += ["| goal | reached | |", "|---|---:|---|"]
            lines += [f"| {g['goal']} | {g['reached']} | {'met' if g['met'] else '**missed**'} |" for g in self.goals] + [""]
        for n in self.notes:
            lines += [n, ""]
        return "\n".join(lines)

    def json(self):
        return {"title": self.title, "columns": self.columns, "rows": self.rows, "values": dict(self.values), "goals": self.goals, "notes": self.notes}


# ---- the plot: bars, one block a table

LEFT, WIDTH, BAR, GAP, TOP = 250, 720, 16, 5, 26
OURS, PEER, CEILING = "#1a7f5a", "#9aa4b0", "#d7dce2"


def svg(tables):
    y, parts = 10, []
    for t in tables:
        if len(t.values) < 2:
            continue
        most = max(v for _, v in t.values) or 1
        parts.append(f'<text x="10" y="{y + 14}" class="t">{html.escape(t.title)}</text>')
        parts.append(f'<text x="{WIDTH - 10}" y="{y + 14}" class="u" text-anchor="end">{html.escape(t.unit or t.columns[1])}</text>')
        y += TOP
        for name, v in sorted(t.values, key=lambda nv: nv[1], reverse=not t.less_is_better):
            w = max(1, (WIDTH - LEFT - 90) * v / most)
            colour = OURS if name.startswith("sluice") else CEILING if name.startswith("bare") else PEER
            parts.append(f'<text x="{LEFT - 8}" y="{y + 12}" text-anchor="end">{html.escape(name)}</text>')
            parts.append(f'<rect x="{LEFT}" y="{y}" width="{w:.0f}" height="{BAR}" fill="{colour}"/>')
            parts.append(f'<text x="{LEFT + w + 6:.0f}" y="{y + 12}">{v:,.0f}</text>' if v >= 100 else
                         f'<text x="{LEFT + w + 6:.0f}" y="{y + 12}">{v:.3g}</text>')
            y += BAR + GAP
        y += 14
    style = "text{font:12px sans-serif;fill:#222}.t{font-weight:bold}.u{fill:#666}"
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}"><style>{style}</style>'
            f'<rect width="100%" height="100%" fill="#fff"/>\n' + "\n".join(parts) + "\n</svg>\n")
