"""The cell of a notebook: one of everything that a live page understands, and what Python heard of it."""

import asyncio
from html import escape

import numpy as np

from workbench.ui.component import Component, Fragment
from workbench.ui.live_html import Action

DAY = 86_400_000
START = 15_000 * DAY
ROWS = 240


def build_chart():
    from bokeh.models import ColumnDataSource

    from workbench.ui.axes import build_time_figures
    from workbench.ui.static import ChartDocument, build_chart_html, pack_column

    ts = START + np.arange(ROWS, dtype=float) * DAY
    (figure,) = build_time_figures(
        [("equity", 200, "")], start=float(ts[0]), end=float(ts[-1]), label_chars=6
    )
    figure.line("ts", "y", source=ColumnDataSource({"ts": [], "y": []}, name="line"))
    field = {"label": "Y", "source": "line", "x": "ts", "y": "y", "digits": 2}
    document = ChartDocument(
        figure,
        read={"figures": ["equity"], "fields": [field]},
        data={"line": {"ts": pack_column(ts, 0), "y": pack_column(np.sin(ts / DAY / 9), 4)}},
        fit=[{"figure": "equity", "lines": [{"source": "line", "x": "ts", "y": "y"}]}],
        name="main",
        is_live=True,
    )
    return build_chart_html(document, height=226)


CHART = build_chart()


class Everything(Component):
    def __init__(self):
        self.heard, self.count, self.renders, self.is_ticking, self.gone = [], 0, 0, False, False
        self.fragment = Fragment(self.build_html, on_action=self.act)

    def build_widget(self):
        return self.fragment.widget

    def build_html(self):
        self.renders += 1
        heard = "".join(f"<li>{escape(repr((a.name, a.key, a.value)))}</li>" for a in self.heard[-6:])
        rows = "".join(
            f'<tr id="wb-row-{k}" tabindex="0" data-action="select" data-key="row{k}" data-hover="over" '
            f'data-span="{START + k * 30 * DAY},{START + (k + 1) * 30 * DAY}"><td>row {k}</td>'
            f'<td class="n">{self.count}</td></tr>'
            for k in range(3)
        )
        options = "".join(f"<option>{name}</option>" for name in ("EMA", "RSI", "MACD"))
        note = "" if self.gone else '<p id="note" class="wb-note">A note that goes away</p>'
        return f"""<div class="wb-stack"><div class="wb-card"><div class="wb-head"><span>Everything</span>
          <span class="r" id="count">{self.count}</span></div>{note}
          <button class="wb-btn p" id="go" data-action="go" data-key="k1">Go</button>
          <button class="wb-btn" id="fail" data-action="fail">Fail</button>
          <button class="wb-btn" id="danger" data-action="danger" data-confirm="Really?">Delete</button>
          <button class="wb-btn" id="save" data-action="save">Save</button>
          <button class="wb-btn" id="copy" data-copy="0123-abc">Copy</button>
          <button class="wb-btn" id="tick" data-action="tick">Tick</button>
          <button class="wb-btn" id="set" data-action="chart" data-key="set">Set</button>
          <button class="wb-btn" id="append" data-action="chart" data-key="append">Append</button>
          <button class="wb-btn" id="range" data-action="chart" data-key="range">Range</button>
          <button class="wb-btn" id="light" data-action="chart" data-key="light">Light</button>
          <button class="wb-btn" id="hide" data-action="hide">Hide</button>
          <button class="wb-btn" id="find" data-action="find">Find</button>
          <div class="wb-field"><label for="name">Name</label>
          <input class="wb-input" id="name" data-action="set" data-key="name" data-live value=""></div>
          <div class="wb-field"><label for="plain">Plain</label>
          <input class="wb-input" id="plain" data-action="set" data-key="plain" value=""></div>
          <select class="wb-input" id="kind" data-action="set" data-key="kind">{options}</select>
          <label><input type="checkbox" id="short" data-action="set" data-key="short"> short</label>
          <input type="file" id="file" data-action="load" data-key="file">
          <div role="tablist" aria-label="Parts">
          <button role="tab" id="tab-a" data-action="tab" data-key="a">A</button>
          <button role="tab" id="tab-b" data-action="tab" data-key="b">B</button></div>
          <details id="more"><summary>More</summary><p>text</p></details></div>
          <div class="wb-card"><table><tbody>{rows}</tbody></table></div>
          <div class="wb-card">{CHART}</div>
          <ol id="heard">{heard}</ol></div>"""

    def act(self, action: Action):
        if action.name == "fail":
            raise ValueError("this went <wrong>")
        widget = self.fragment.widget
        if action.name == "save":
            widget.download("facts.csv", b"a,b\n1,2\n", "text/csv")
        elif action.name == "find":
            widget.focus("#plain")
        elif action.name == "hide":
            self.gone = True
        elif action.name == "tick":
            self.is_ticking = not self.is_ticking
            if self.is_ticking:
                self.task = asyncio.ensure_future(self.tick())
        elif action.name == "chart":
            getattr(self, f"chart_{action.key}")(widget)
        self.heard.append(action)
        self.fragment.refresh()

    async def tick(self):
        while self.is_ticking:
            self.count += 1
            self.fragment.refresh()
            await asyncio.sleep(0.1)

    def chart_set(self, widget):
        ts = START + np.arange(100.0) * DAY
        widget.send_data("main", "line", {"ts": ts, "y": np.full(100, 7.0)})

    def chart_append(self, widget):
        widget.send_data(
            "main", "line", {"ts": np.array([START + ROWS * DAY]), "y": np.array([9.0])}, mode="append"
        )

    def chart_range(self, widget):
        widget.set_range("main", START + 10 * DAY, START + 20 * DAY)

    def chart_light(self, widget):
        widget.light("main", START + 10 * DAY, START + 20 * DAY)


everything = Everything()
everything  # noqa: B018 - a cell shows its last expression
