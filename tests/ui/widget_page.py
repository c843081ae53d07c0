"""Live widgets in a plain page: the browser's half of them is real, and the kernel's half is this process."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from workbench.ui.live_html import LiveHtml
from workbench.ui.theme import load_style

_PAGE = """<!doctype html><meta charset=utf-8><title>widgets</title><style>body{margin:16px;background:#fff}
@media (prefers-color-scheme:dark){body{background:#0f131a}}.wb-page{display:flex;flex-direction:column}</style>
<style>@STYLE@</style><div class=jp-OutputArea-output><div class=wb-page id=page></div></div><script>
const load = import(URL.createObjectURL(new Blob([@ESM@], {type: "text/javascript"})));
const models = new Map(), bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0));
class Signal {
  all = new Set();
  connect(f) { this.all.add(f) }
  disconnect(f) { this.all.delete(f) }
  emit(...more) { for (const f of this.all) f(...more) }
}
const [statusChanged, connectionStatusChanged, disposed] = [new Signal(), new Signal(), new Signal()];
window.kernel = {status: "idle", statusChanged, connectionStatusChanged, disposed};
class Model {
  constructor(id) { this.id = id; this.state = {}; this.heard = {}; this.widget_manager = {kernel: window.kernel} }
  get(name) { return this.state[name] }
  on(name, f) { (this.heard[name] ??= []).push(f) }
  off() {}
  tell(name, ...more) { for (const f of this.heard[name] ?? []) f(...more) }
  async send(message) { await pySend(this.id, message); await pull() }
}
const pull = async () => {
  const {children, states, messages} = await pyPull();
  const {default: {render}} = await load, page = document.getElementById("page");
  for (const [id, state] of Object.entries(states)) {
    const model = models.get(id) ?? new Model(id), isNew = !models.has(id);
    const changed = Object.keys(state).filter(k => model.state[k] !== state[k]);
    Object.assign(model.state, state);
    if (isNew) {
      models.set(id, model); model.el = document.createElement("div"); render({model, el: model.el});
    } else for (const k of changed) model.tell("change:" + k);
  }
  const wanted = children.map(id => models.get(id).el);
  const isOther = page.children.length != wanted.length || [...page.children].some((el, i) => el !== wanted[i]);
  if (isOther) page.replaceChildren(...wanted);
  for (const [id, message, buffers] of messages) models.get(id).tell("msg:custom", message, buffers.map(bytes));
};
window.pull = pull; let busy = false;
setInterval(async () => { if (busy) return; busy = true; try { await pull() } finally { busy = false } }, 60);
</script>"""


def find_leaves(widget: Any) -> list[LiveHtml]:
    """Return the live pieces of a layout, from top to bottom."""
    if isinstance(widget, LiveHtml):
        return [widget]
    return [leaf for child in getattr(widget, "children", ()) for leaf in find_leaves(child)]


class Bridge:
    """What a kernel's comms do."""

    def __init__(self, root: Any) -> None:
        self.root = root
        self._known: dict[str, LiveHtml] = {}
        self._messages: list[Any] = []

    def send(self, widget_id: str, message: dict[str, Any]) -> None:
        self._known[widget_id]._hear(None, message, [])

    def pull(self) -> dict[str, Any]:
        leaves = find_leaves(self.root)
        for leaf in leaves:
            if leaf.model_id not in self._known:
                self._known[leaf.model_id] = leaf
                leaf.send = lambda content, buffers=None, leaf=leaf: self._messages.append(  # type: ignore[method-assign]
                    [leaf.model_id, content, [base64.b64encode(b).decode() for b in buffers or []]]
                )
        messages, self._messages = self._messages, []
        names = ("html", "problem", "runtime_key")
        states = {leaf.model_id: {name: getattr(leaf, name) for name in names} for leaf in leaves}
        return {"children": [leaf.model_id for leaf in leaves], "states": states, "messages": messages}


@contextmanager
def open_widget(browser: Any, root: Any, *, width: int = 1060, scheme: str = "light") -> Iterator[Any]:
    """Show a widget in a page; `page.wrong` are its errors, `page.asked` the requests that left it."""
    import json

    bridge = Bridge(root)
    page = browser.new_page(
        viewport={"width": width, "height": 900}, color_scheme=scheme, accept_downloads=True
    )
    page.wrong, page.asked = [], []
    page.on("pageerror", lambda error: page.wrong.append(str(error)))
    page.on("console", lambda m: page.wrong.append(m.text) if m.type in ("error", "warning") else None)
    page.on(
        "request",
        lambda r: None if r.url.startswith(("about:", "data:", "blob:")) else page.asked.append(r.url),
    )
    page.expose_function("pySend", bridge.send)
    page.expose_function("pyPull", bridge.pull)
    try:
        esm = json.dumps(LiveHtml._esm if isinstance(LiveHtml._esm, str) else str(LiveHtml._esm))
        page.set_content(_PAGE.replace("@STYLE@", load_style()).replace("@ESM@", esm.replace("</", "<\\/")))
        yield page
    finally:
        page.close()
