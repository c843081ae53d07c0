from __future__ import annotations

import os
from pathlib import Path

from workbench.live.output_log import bound_output, find_size, open_output, read_output_end


def test_open_output_is_private_and_appends(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    for word in (b"one\n", b"two\n"):
        with open_output(path) as descriptor:
            os.write(descriptor, word)
    assert path.read_bytes() == b"one\ntwo\n"
    assert path.stat().st_mode & 0o777 == 0o600


def test_read_output_end_gives_the_last_lines_since_a_place(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    assert read_output_end(path) == []
    assert find_size(path) == 0
    path.write_bytes(b"one\n\ntwo\n\xff three\n")
    assert read_output_end(path) == ["one", "two", "� three"]
    assert read_output_end(path, 5, lines=1) == ["� three"]
    assert read_output_end(path, 5) == ["two", "� three"]
    # Cut meanwhile: what is there is new.
    assert read_output_end(path, 10_000, lines=2) == ["two", "� three"]


def test_bound_output_keeps_the_end_and_those_who_write_go_on(tmp_path: Path) -> None:
    path = tmp_path / "output.log"
    with open_output(path) as descriptor:
        os.write(descriptor, b"x" * 7_999_999)
        bound_output(path)
        assert find_size(path) == 7_999_999
        os.write(descriptor, b"the end\n")
        bound_output(path)
        assert find_size(path) == 0
        os.write(descriptor, b"more\n")
    assert path.read_bytes() == b"more\n"
    kept = path.with_name("output.log.1").read_bytes()
    assert kept.endswith(b"the end\n")
    assert len(kept) == 1_000_000
