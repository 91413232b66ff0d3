"""One delivery of one command, line by line: the delivery protocol (`docs/protocol.md`).

Service Bus delivers at least once; this makes the effects happen once. Each line of the protocol is one function from a
frozen state to the next state, or to the settlement that ends the delivery; `steps` is the table of them. Any line may
be the last thing that this process does: they are ordered so that whoever comes next finds its way from what is stored.

Lost races come back as values. An answer that never came is treated the same way: read what is there, then decide.

    states    what a delivery may have come to, and what it holds then
    gate      0           whose command is it?
    reserve   1           insert the key and the run; the key exists; taking over; reading the key again
    run                   at the run
    lane      2           the lane, its lease renewed meanwhile
    finish    3 to 6      stages, outcome, signals, the commit
    ending                storage away, a step that fails, the 24 hours, the last delivery
    telling               events, dead letters, copies
    steps                 the lines in order, and what becomes of one that fails
"""

from mosaic_core.services.delivery.steps import deliver, end, end_at_last

__all__ = ["deliver", "end", "end_at_last"]
