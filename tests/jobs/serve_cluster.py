"""A server of a cluster's jobs, to be killed: ``python -m tests.jobs.serve_cluster ROOT ADDRESS RESULTS LINK_SECS``."""

from __future__ import annotations

import sys
import threading
from pathlib import Path

from tests.jobs.clusters import serving_cluster
from tests.jobs.walks import wait_until


def main(root: str, address: str, results: str, link_secs: str) -> None:
    """Submit a walk without end; say its id when it has begun."""
    sys.path.insert(0, str(Path(__file__).parent))
    with serving_cluster(Path(root), address, results, link_secs=float(link_secs)) as service:
        job = service.submit("walk", {"steps": 1_000_000}, owner="ann")
        wait_until(lambda: service.get(job.id).progress is not None)
        sys.stdout.write(f"{job.id}\n")
        sys.stdout.flush()
        threading.Event().wait(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
