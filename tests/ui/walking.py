"""A server of these tests' own process, whose jobs are walks, and clients of it."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from tests.api.serving import Serving, listening, serving
from tests.jobs.walks import cancel_all, wait_until
from workbench.client.client import Client
from workbench.client.transport import Endpoint, Transport
from workbench.records import JobRecord
from workbench.states import JobState


def build_job(number: int, **facts: Any) -> JobRecord:
    return JobRecord(
        **{
            "id": f"job-{number:03d}",
            "kind": "walk",
            "created_at": f"2026-11-22T14:30:{number // 3:02d}.000Z",
            **facts,
        }
    )


class Walks:
    """A server that can be ended and started again, on another port."""

    def __init__(self, workspace: Path) -> None:
        self._workspace = workspace
        self._stack = contextlib.ExitStack()
        self._url = ""
        self.serving: Serving
        self._tokens: dict[str, str] = {}
        self.start()

    def start(self) -> None:
        patch = self._stack.enter_context(pytest.MonkeyPatch.context())
        patch.syspath_prepend(str(Path(__file__).parent.parent / "jobs"))
        self.serving = self._stack.enter_context(serving(self._workspace, slots=2))
        self._tokens.update(self.serving.tokens)
        self._url = f"http://{self._stack.enter_context(listening(self.serving.app))}"

    def stop(self) -> None:
        self._stack.close()

    @contextlib.contextmanager
    def connect(self, user: str = "admin") -> Iterator[Client]:
        def locate() -> Endpoint:
            return Endpoint(self._url, self._tokens[user])

        settings = self.serving.settings
        with Client(Transport(locate(), locate=locate), settings=settings) as client:
            yield client

    def submit(self, *, owner: str = "admin", **wish: Any) -> str:
        name, parent_id = wish.pop("name", ""), wish.pop("parent_id", None)
        spec = {"steps": 5, **wish}
        return self.serving.service.submit("walk", spec, owner=owner, name=name, parent_id=parent_id).id

    def get(self, job_id: str) -> JobRecord:
        return self.serving.service.get(job_id)

    def wait_for(self, job_id: str, *states: JobState) -> None:
        wait_until(lambda: self.get(job_id).state in states)

    def rest(self) -> None:
        cancel_all(self.serving.service)


@dataclass
class Element:
    """An element of a page: name, attributes, and the text in it."""

    tag: str
    attributes: dict[str, str | None]
    text: str = ""
    parents: list[Element] = field(default_factory=list)

    @property
    def classes(self) -> set[str]:
        return set((self.attributes.get("class") or "").split())


class Page(HTMLParser):
    """The elements of some HTML, which must be closed as they were opened."""

    _VOID = frozenset({"input", "col", "br"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[Element] = []
        self._open: list[Element] = []
        self.feed(html)
        self.close()
        assert not self._open, [e.tag for e in self._open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs), parents=list(self._open))
        self.elements.append(element)
        if tag not in self._VOID:
            self._open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        for element in self._open:
            element.text += data

    def find(self, tag: str = "", **attributes: str) -> list[Element]:
        """Return the elements with these attributes; `data_action` stands for ``data-action``."""
        wanted = {key.rstrip("_").replace("_", "-"): value for key, value in attributes.items()}
        return [
            e
            for e in self.elements
            if (not tag or e.tag == tag) and all(e.attributes.get(k) == v for k, v in wanted.items())
        ]

    def has_class(self, name: str) -> list[Element]:
        return [e for e in self.elements if name in e.classes]

    @property
    def jobs(self) -> list[str]:
        """The ids of the rows in order."""
        return [
            (e.attributes.get("id") or "").removeprefix("wb-job-")
            for e in self.find("tr")
            if (e.attributes.get("id") or "").startswith("wb-job-")
        ]

    def row(self, job_id: str) -> Element:
        (row,) = self.find("tr", id=f"wb-job-{job_id}")
        return row

    def actions(self, job_id: str) -> list[str]:
        """What the buttons of a row do."""
        return [
            e.attributes["data-action"] or ""
            for e in self.find("button", data_key=job_id)
            if "data-action" in e.attributes
        ]
