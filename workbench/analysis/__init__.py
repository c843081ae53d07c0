"""Statistics over the frames of a run: pure functions, no engine, no files, no charts."""
