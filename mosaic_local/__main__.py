"""``python -m mosaic_local``: the embedded stack for any function app."""

from mosaic_local.command import app

app(prog_name="python -m mosaic_local")
