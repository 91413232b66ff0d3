"""``./mosaic ops evidence``: the release checklist's four drills, and a bundle that proves them.

`drills` makes them happen and keeps what was seen, `claims` says what that proves (pure, and the same when a bundle is
checked), `report` shows it, `bundle` writes and verifies it.
"""
