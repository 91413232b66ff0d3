"""``./mosaic check``: everything that can be said about the source without running it.

``command`` lists the parts and runs them; the other modules are the parts that no tool brings along:
``concurrency`` (no work that outlives its caller), ``leaks`` (secrets, hard-coded endpoints), ``tracked`` (what git
holds), ``pins``, ``platforms`` and ``advisories`` (dependencies), ``infra`` (templates, ``azure.yaml``, workflows).
A part returns the list of what is wrong, a line each, and nothing else; ``advisories`` also says what it could not see.
"""
