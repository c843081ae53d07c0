"""A service in a process of its own, to be killed: ``python -m tests.jobs.serve_walks ROOT``."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.jobs.walks import running_service
from workbench.errors import WorkbenchError


def main(root: Path) -> None:
    """Submit walks for ever, with some of them held, some cancelled; say the id of each."""
    sys.path.insert(0, str(Path(__file__).parent))
    with running_service(root, slots=3) as service:
        number = 0
        while True:
            number += 1
            steps = 1_000_000 if number % 4 == 0 else number % 7 * 10 + 1
            job = service.submit("walk", {"steps": steps}, owner="ann")
            sys.stdout.write(f"{job.id}\n")
            sys.stdout.flush()
            for found in service._scheduler.active:
                try:
                    if found.record.spec["steps"] == 1_000_000:
                        (service.pause if number % 8 else service.cancel)(found.record.id)
                except WorkbenchError:  # It has ended meanwhile
                    continue


if __name__ == "__main__":
    main(Path(sys.argv[1]))
