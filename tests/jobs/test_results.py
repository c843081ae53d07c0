from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from tests.jobs.clusters import BUCKET, object_store
from workbench.errors import StoreError
from workbench.jobs.directory import MANIFEST, JobDirectory
from workbench.jobs.results import ResultStore
from workbench.records import RunRecord
from workbench.states import JobState

JOB = "20261122-101010-abcdef"


@pytest.fixture(scope="module")
def bucket() -> Iterator[str]:
    with object_store():
        yield f"s3://{BUCKET}"


@pytest.fixture(params=["s3", "file"])
def url(request: pytest.FixtureRequest, bucket: str, tmp_path: Path) -> str:
    """Return an empty place."""
    return f"{bucket}/{tmp_path.name}" if request.param == "s3" else f"file://{tmp_path}/results"


def make(path: Path) -> JobDirectory:
    directory = JobDirectory(path / JOB)
    directory.create()
    return directory


@pytest.fixture
def finished(tmp_path: Path) -> JobDirectory:
    directory = make(tmp_path / "there")
    directory.write_bytes("job.json", b"{}")
    directory.write_bytes("strategies/one.py", b"# text\n")
    directory.write_bytes("empty.txt", b"")
    directory.write_manifest(
        RunRecord(run_id=JOB, state=JobState.COMPLETED, started_at="2026-11-22", finished_at="2026-11-22")
    )
    return directory


def read(directory: JobDirectory) -> dict[str, bytes]:
    return {
        str(p.relative_to(directory.path)): p.read_bytes() for p in directory.path.rglob("*") if p.is_file()
    }


def test_results_come_home_as_they_were_put_away(url: str, finished: JobDirectory, tmp_path: Path) -> None:
    home = make(tmp_path / "here")
    store = ResultStore(url)

    assert not store.fetch(home), "there are none yet"
    store.put(finished)
    store.put(finished)
    assert store.fetch(home)
    assert store.fetch(home)

    assert read(home) == read(finished)
    assert home.verify() == []


def test_results_without_a_manifest_are_none(url: str, finished: JobDirectory, tmp_path: Path) -> None:
    home, store = make(tmp_path / "here"), ResultStore(url)
    store.put(finished)
    fsspec.open(f"{url}/{JOB}/{MANIFEST}").fs.rm_file(f"{url}/{JOB}/{MANIFEST}")

    assert not store.fetch(home)
    assert read(home) == {}


def overwrite(url: str, name: str, content: bytes) -> None:
    with fsspec.open(f"{url}/{JOB}/{name}", "wb") as file:
        file.write(content)


def test_results_that_are_not_what_the_manifest_says_are_refused(
    url: str, finished: JobDirectory, tmp_path: Path
) -> None:
    home, store = make(tmp_path / "here"), ResultStore(url)
    store.put(finished)
    overwrite(url, "strategies/one.py", b"# other\n")

    with pytest.raises(StoreError, match=r"strategies/one\.py is not what the manifest says"):
        store.fetch(home)

    assert not home.is_finished
    assert "strategies/one.py" not in read(home)


@pytest.mark.parametrize("name", ["../outside.txt", "/outside.txt", "a/../../outside.txt"])
def test_manifest_that_names_a_file_outside_of_the_job_is_refused(
    bucket: str, finished: JobDirectory, tmp_path: Path, name: str
) -> None:
    url = f"{bucket}/{tmp_path.name}"
    home, store = make(tmp_path / "here"), ResultStore(url)
    store.put(finished)
    text = (finished.path / MANIFEST).read_text().replace("empty.txt", name)
    overwrite(url, MANIFEST, text.encode())

    with pytest.raises(StoreError, match="outside of the job"):
        store.fetch(home)

    assert not home.is_finished


def test_store_that_is_not_there_is_named(bucket: str, finished: JobDirectory) -> None:
    with pytest.raises(StoreError, match="cannot be put at nobucket/runs"):
        ResultStore("s3://nobucket/runs").put(finished)
