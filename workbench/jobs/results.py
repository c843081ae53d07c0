"""Results in an object store: put there by the guard of a job, fetched from there by the server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

import msgspec

from workbench.errors import InputError, StoreError
from workbench.jobs.directory import MANIFEST, JobDirectory
from workbench.records import RunRecord

__all__ = ["ResultStore"]


class ResultStore:
    """
    Where finished job directories lie: ``<url>/<job_id>/``, the objects first and the manifest last.

    Credentials, endpoints and other storage options never stand in a configuration: fsspec reads them from
    the environment (``FSSPEC_S3_KEY``, ``FSSPEC_S3_SECRET``, ``FSSPEC_S3_ENDPOINT_URL``) or from its own files
    (``~/.config/fsspec``), on the server and on every worker.

    Parameters
    ----------
    url : str
        As fsspec names places, for example ``s3://bucket/runs``.

    Raises
    ------
    InputError
        If there is no such kind of place, or its package is not installed.

    """

    def __init__(self, url: str) -> None:
        from fsspec.core import url_to_fs  # type: ignore[import-untyped]

        try:
            self._files, self._root = url_to_fs(url)
        except (ImportError, ValueError, OSError) as e:
            raise InputError(
                f"results cannot be kept at {url!r}: {e}",
                expected="a place such as s3://bucket/runs",
                field="results",
            ) from e
        self._root = self._root.rstrip("/")
        self._is_local = "file" in self._files.protocol

    def put(self, directory: JobDirectory) -> None:
        """
        Copy a finished job directory into the store.

        Raises
        ------
        StoreError
            If it cannot be written.

        """
        target = f"{self._root}/{directory.run_id}"
        with self._reporting(f"the results of {directory.run_id} cannot be put at {target}"):
            for name in [*directory.read_manifest().files, MANIFEST]:
                address = f"{target}/{name}"
                if self._is_local:
                    self._files.makedirs(address.rpartition("/")[0], exist_ok=True)
                self._files.put_file(str(directory.path / name), address)

    def fetch(self, directory: JobDirectory) -> bool:
        """
        Copy the results of a job into its directory, the manifest last; return whether there were any.

        Raises
        ------
        StoreError
            If they cannot be read, or are not what their manifest says. The directory has no manifest then.

        """
        source = f"{self._root}/{directory.run_id}"
        with self._reporting(f"the results of {directory.run_id} cannot be fetched from {source}"):
            try:
                manifest = self._files.cat_file(f"{source}/{MANIFEST}")
            except FileNotFoundError:
                return False
            record = msgspec.json.decode(manifest, type=RunRecord)
            for name, file in record.files.items():
                self._fetch_file(f"{source}/{name}", directory.path, name, file.sha256)
            directory.write_bytes(MANIFEST, manifest)
        return True

    def _fetch_file(self, address: str, path: Path, name: str, sha256: str) -> None:
        pure = PurePosixPath(name)
        if pure.is_absolute() or ".." in pure.parts:
            raise ValueError(f"the manifest names {name!r}, which lies outside of the job")
        target = path / name
        if target.is_file() and _hash(target) == sha256:
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.tmp")
        try:
            self._files.get_file(address, str(temporary))
            if _hash(temporary) != sha256:
                raise ValueError(f"{name} is not what the manifest says")
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)

    @contextmanager
    def _reporting(self, what: str) -> Iterator[None]:
        try:
            yield
        except Exception as e:  # What a file system raises depends on its maker
            raise StoreError(
                f"{what}: {type(e).__name__}: {e}", advice="check the store and fsspec's configuration for it"
            ) from e


def _hash(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
