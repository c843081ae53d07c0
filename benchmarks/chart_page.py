"""A live chart in a real Chromium without Jupyter: the kernel's side here, the page's side over a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from http import HTTPStatus
from typing import Any

import psutil
from websockets.asyncio.server import ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from workbench.ui.component import Component
from workbench.ui.theme import load_style

__all__ = ["FLAGS", "ChartPage", "open_browser", "read_page_cpu", "serve_chart"]

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_TRAITS = ("html", "problem", "runtime_key")
_PAGE = """<!doctype html><meta charset="utf-8"><title>chart</title><style>@STYLE@</style>
<body style="margin:16px;background:var(--wb-bg)"><div id="el"></div><script type="module">
import view from "/view.js";
const socket = new WebSocket("ws://" + location.host + "/socket"), listeners = {}, state = {};
socket.binaryType = "arraybuffer";
window.bytes = 0; window.messages = 0;
let waiting = null, buffers = [];
const model = {
  get: name => state[name], send: message => socket.send(JSON.stringify(message)),
  on: (name, f) => (listeners[name] ??= new Set()).add(f), off: (name, f) => listeners[name]?.delete(f),
};
const fire = (name, ...args) => { for (const f of listeners[name] ?? []) f(...args) };
const deliver = () => {
  const {content} = waiting;
  waiting = null;
  fire("msg:custom", content, buffers.map(b => new DataView(b)));
};
let begun = false;
socket.onmessage = ({data}) => {
  window.messages++;
  if (typeof data != "string") {
    window.bytes += data.byteLength; buffers.push(data);
    if (buffers.length == waiting.count) deliver();
    return;
  }
  window.bytes += data.length;
  const message = JSON.parse(data);
  if (message.state) {
    Object.assign(state, message.state);
    if (!begun) { begun = true; view.render({model, el: document.getElementById("el")}) }
    else for (const name of Object.keys(message.state)) fire("change:" + name);
  } else { waiting = message; buffers = []; if (!message.count) deliver() }
};
</script></body>"""


class ChartPage:
    """
    A component on a thread of its own, as a kernel has it, and its address.

    Attributes
    ----------
    url : str
        The page.
    component : Component
        Used on its own thread only, except for what may be called from any.
    views : list of float
        The seconds that each answer to a page took in Python.

    """

    def __init__(self) -> None:
        self.url = ""
        self.component: Any = None
        self.views: list[float] = []
        self._sockets: set[ServerConnection] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[tuple[str, list[bytes]]] = asyncio.Queue()

    def call[T](self, action: Callable[[], T]) -> T:
        """Do something on the component's thread and wait for it."""
        done: Future[T] = Future()
        assert self._loop is not None
        self._loop.call_soon_threadsafe(lambda: done.set_result(action()))
        return done.result(60)

    def post(self, action: Callable[[], object]) -> None:
        """Do something on the component's thread, soon."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(action)

    async def run(self, build: Callable[[], Component], ready: threading.Event, end: threading.Event) -> None:
        """Serve until `end`."""
        self._loop = asyncio.get_running_loop()
        self.component = build()
        widget: Any = self.component.build_widget()
        widget.send = self._send
        widget.observe(
            lambda change: self._tell({"state": {change["name"]: change["new"]}}, []), names=_TRAITS
        )
        self._script = widget._esm
        async with serve(
            self._answer, "127.0.0.1", 0, process_request=self._show, compression=None, ping_interval=None
        ) as server:
            port = next(iter(server.sockets)).getsockname()[1]
            self.url = f"http://127.0.0.1:{port}/"
            pump = asyncio.create_task(self._pump())
            ready.set()
            await asyncio.to_thread(end.wait)
            pump.cancel()
        self.component.close()

    def _send(self, content: dict[str, Any], buffers: list[bytes] | None = None) -> None:
        self._tell({"content": content, "count": len(buffers or ())}, list(buffers or ()))

    def _tell(self, message: dict[str, Any], buffers: list[bytes]) -> None:
        self._queue.put_nowait((json.dumps(message), buffers))

    async def _pump(self) -> None:
        while True:
            text, buffers = await self._queue.get()
            for socket in list(self._sockets):
                await socket.send(text)
                for buffer in buffers:
                    await socket.send(buffer)

    async def _answer(self, socket: ServerConnection) -> None:
        widget = self.component._live
        await socket.send(json.dumps({"state": {name: getattr(widget, name) for name in _TRAITS}}))
        self._sockets.add(socket)
        try:
            async for text in socket:
                begun = asyncio.get_running_loop().time()
                message = json.loads(text)
                widget._handle_custom_msg(message, [])
                if message.get("name") == "view":
                    self.views.append(asyncio.get_running_loop().time() - begun)
        finally:
            self._sockets.discard(socket)

    def _show(self, _: ServerConnection, request: Request) -> Response | None:
        if request.path == "/socket":
            return None
        kind, body = "text/html; charset=utf-8", _PAGE.replace("@STYLE@", load_style())
        if request.path == "/view.js":
            kind, body = "text/javascript; charset=utf-8", self._script
        elif request.path != "/":
            return Response(HTTPStatus.NOT_FOUND, "Not Found", Headers())
        content = body.encode()
        headers = Headers({"Content-Type": kind, "Content-Length": str(len(content)), "Connection": "close"})
        return Response(HTTPStatus.OK, "OK", headers, content)


@contextlib.contextmanager
def serve_chart(build: Callable[[], Component]) -> Iterator[ChartPage]:
    """Build a component on a thread with an event loop, and serve it."""
    page, ready, end = ChartPage(), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(page.run(build, ready, end)))
    thread.start()
    try:
        if not ready.wait(120):
            raise RuntimeError("the page did not start")
        yield page
    finally:
        end.set()
        thread.join()


@contextlib.contextmanager
def open_browser() -> Iterator[Any]:
    """Start Debian's Chromium."""
    from playwright.sync_api import sync_playwright

    path = shutil.which("chromium")
    if path is None:
        raise RuntimeError("there is no chromium on PATH; install Debian's package chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def read_page_cpu() -> dict[int, float]:
    """Return the CPU seconds of the processes that draw pages, of the browser that this process has started."""
    kinds = ("--type=renderer", "--type=gpu-process")
    return {
        child.pid: sum(child.cpu_times()[:2])
        for child in psutil.Process().children(recursive=True)
        if any(kind in child.cmdline() for kind in kinds)
    }
