"""
What the workbench knows about the files of a catalog, kept beside the data.

Nautilus's reader merges the footers of a directory and refuses files whose metadata differ, so what is
told about one file cannot stand in its footer. It stands in ``<catalog>/_workbench``, which nautilus
never reads.
"""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from pathlib import Path

import msgspec

from workbench.catalog.content import hash_file
from workbench.errors import CatalogError
from workbench.files import write_atomically

__all__ = [
    "LEDGER",
    "LedgerEntry",
    "content_hash",
    "hash_footer",
    "ledger_path",
    "load_entry",
    "remove_entry",
    "write_entry",
]

LEDGER = "_workbench"
"""The directory of the workbench's own files in a catalog."""


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """
    What is known about one file of a catalog.

    Attributes
    ----------
    rows : int
        Rows in the file.
    content_sha256 : str
        The hash of its contents.
    size_bytes : int
        Its size, by which a file that was exchanged is told from the one described.
    footer_sha256 : str
        The hash of its footer, likewise: the footer holds place and statistics of every column.
    source : str
        The name of the file that was imported.
    decisions : tuple[str, ...]
        How that file was read.
    dropped : dict[str, int]
        Rows that were left out, by reason.

    """

    rows: int
    content_sha256: str
    size_bytes: int
    footer_sha256: str
    source: str = ""
    decisions: tuple[str, ...] = ()
    dropped: dict[str, int] = {}


def ledger_path(catalog: Path, file: Path, kind: str, suffix: str) -> Path:
    """Return where the ledger keeps something of a kind about a file of the catalog."""
    relative = file.relative_to(catalog / "data")
    return catalog / LEDGER / kind / relative.with_name(relative.stem + suffix)


def load_entry(catalog: Path, file: Path) -> LedgerEntry | None:
    """Return what is known about a file, or None if nothing is known about it as it now stands."""
    try:
        entry = msgspec.json.decode(
            ledger_path(catalog, file, "contents", ".json").read_bytes(), type=LedgerEntry
        )
        if entry.size_bytes == file.stat().st_size and entry.footer_sha256 == hash_footer(file):
            return entry
    except (OSError, msgspec.MsgspecError):
        pass
    return None


def write_entry(catalog: Path, file: Path, entry: LedgerEntry) -> None:
    """Write what is known about a file, atomically."""
    write_atomically(
        ledger_path(catalog, file, "contents", ".json"), msgspec.json.format(msgspec.json.encode(entry))
    )


def remove_entry(catalog: Path, file: Path) -> None:
    """Forget a file."""
    for kind, suffix in (("contents", ".json"), ("dropped", ".jsonl")):
        with suppress(FileNotFoundError):
            ledger_path(catalog, file, kind, suffix).unlink()


def hash_footer(path: Path) -> str:
    """Return the hash of a Parquet file's footer."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        if size < 12:
            raise OSError(f"{path} is too short for a Parquet file")
        file.seek(size - 8)
        length = int.from_bytes(file.read(4), "little") + 8
        file.seek(max(0, size - length))
        return hashlib.sha256(file.read()).hexdigest()


def content_hash(files: list[Path], catalog: Path) -> str:
    """
    Return one hash over the contents of files: the identity of the data of a run.

    Parameters
    ----------
    files : list of Path
        Files of the catalog, in any order.
    catalog : Path
        The catalog that they belong to.

    Returns
    -------
    str
        64 hexadecimal digits. The same rows give the same hash, wherever the catalog lies, whatever
        wrote it, and whether or not the ledger knows the files; it only makes the answer fast.

    Raises
    ------
    CatalogError
        If a file is missing or damaged.

    """
    digest = hashlib.sha256()
    catalog = catalog.resolve()
    for file in sorted(
        (file.resolve() for file in files), key=lambda file: file.relative_to(catalog).as_posix()
    ):
        if not file.is_file():
            raise CatalogError(f"there is no file {file}", advice="list what there is with workbench data ls")
        entry = load_entry(catalog, file)
        digest.update((hash_file(file) if entry is None else entry.content_sha256).encode())
    return digest.hexdigest()
