"""Evaluations of the agents: predictions on anyone's data, labelled packs, and the baseline that they are held to."""

from mosaic_ops.evaluations.command import app

__all__ = ["app"]
