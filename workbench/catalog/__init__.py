"""Market data in: files of bars, quotes and trades become a nautilus ``ParquetDataCatalog``."""

from __future__ import annotations

__all__: list[str] = []
