"""``./mosaic ops``: a deployment, or the embedded stack, as an operator sees and handles it.

- ``main``       where to (options that hold for every verb), then the verb;
- ``here``       the application, and what every verb is given;
- ``glance``, ``runs``, ``signals``, ``deadletters``, ``told``   the verbs: ask, show, say how it is by the exit code;
- ``app``        all of them, put together;
- ``target``     what is operated, and by which token;
- ``api``, ``queues``, ``telemetry``   the ways in: the operators' routes, peeking receivers, the stack's files;
- ``diagnosis``  from a code to what it says and the next safe step;
- ``show``, ``words``   tables and JSON, and how things are said in them.

Nothing here writes past the API, and nothing receives a message.
"""
