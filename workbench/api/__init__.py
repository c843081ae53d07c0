"""The server: its routes, who may use them, and its process."""
