"""What a message asks to be done: its words (`request_reading`), and the actions of `domain.policy` that come of them
(`proposing`). Nothing is done here, and nothing of it makes anything safe: what is not read is asked back."""

from __future__ import annotations

from mosaic_core.agents.offline.requests.request_reading import MOST, is_free, read

__all__ = ["MOST", "is_free", "read"]
