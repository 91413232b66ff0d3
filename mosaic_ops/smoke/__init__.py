"""``./mosaic smoke``: whether a deployment, or the running embedded stack, does what the package says.

`target` knows where everything is, `doors` opens it, `parts` are the checks, `workspace` asks Log Analytics, `command`
reads the command line and reports.
"""
