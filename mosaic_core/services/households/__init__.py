"""A household's data as a whole: its erasure, and its export."""
