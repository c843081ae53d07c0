"""The real guardian, of a fake host, with limits that a test can wait for."""

from __future__ import annotations

import sys
from pathlib import Path

from workbench.live.guardian import main
from workbench.live.pulse import Limits

if __name__ == "__main__":
    host = (sys.executable, "-P", str(Path(__file__).with_name("fake_host.py")))
    sys.exit(
        main(host=host, limits=Limits(liquidate_secs=2.5, start_secs=3.0, hung_secs=2.0, report_secs=1.2))
    )
