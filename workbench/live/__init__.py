"""The live engine: its host, its guardian, and what they leave on disk."""
