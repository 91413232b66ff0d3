"""docs/protocol.md as a program: a model small enough to explore every interleaving of, and the checks of what is promised.

    python -m tests.model.protocol                      every default scenario; exit 1 on a violation, with the shortest trace
    python -m tests.model.protocol --list               scenarios and breaks
    python -m tests.model.protocol --scenario overlap   one scenario (repeatable)
    python -m tests.model.protocol --deep               larger bounds, and the scenarios that are too large for every day
    python -m tests.model.protocol --break NAME         one rule of the protocol removed: must end in a violation (exit 1)
    python -m tests.model.protocol --all-breaks         every break in turn; exit 1 where one is not caught

Modelled. Deliveries and the reconciler, one request at a time: a request is atomic at its server, its sender may die before or after it,
may lose its answer, may time out before it got there, or after which it lands at any later moment. A process may stand still for any time:
locks and leases run out while it goes on. The broker: lock, redelivery, delivery limit, scheduled copies, dead letters; a settlement
without the lock does nothing. Tables: insert fails where the row is, update fails without the current ETag. An ETag is one bit per process and row:
"what I hold is still current". Time has no length: whatever may run out, runs out at any moment; for a live owner that costs one fault of
the scenario's budget, otherwise it is free. A scheduled copy becomes due when what it waits for is over (earlier costs a fault).
Other commands are there only as what they do to this one: they kill its process wherever it is not alone in it, or are in its lane's way.
What a copy says of an owner that K may still name is forgotten as soon as K can no longer come to name it.

The gate (0) is one step with the receipt: C never changes once it is there, and a delivery that reads it later is one that received later.
The forger sends under the command's id at any moment: another request, or the very same one, before and after the API has recorded it.
An operator asks for the command's end at any moment: reads K and R in one step, since what it does next fails where either has moved on; waits
for as long or as short as it likes; may ask again, and two may ask at once. A renewal finds the mark at any moment of the lane, or never.

Not modelled: producers past the API, decoding, telemetry, review signals, the cursor of the dead-letter peek (every dead letter is looked at until it has been dealt with),
how long anything takes (so no clocks, no beginning of an outage), sizes, failed steps other than reading R, a Reserved key deleted by hand. The limits
of attempts and of failed steps are 2 (in the text 5), the delivery limit 1 where the broker's own dead letters are the subject (in the text 10),
otherwise none.

Checked in every state: what "Promised, and not" lists. Checked once a scenario is explored: with no further fault every path ends (the graph
of fault-free steps has no cycle), and ends well (key terminal or expired, queue empty, a rejected command's message is a dead letter).
"""

from __future__ import annotations

import argparse
import gc
import sys
import time
from array import array
from collections.abc import Iterator
from typing import Any, NamedTuple

# ---------------------------------------------------------------------------------------------------------------- rows and processes

SUCCEEDED = ("succeeded", "succeeded_review")
FINISH = ("stages", "outcome", "signal", "commit", "settle")  # 3, 4, 5, 6, 7
ROLL_FORWARD = ("signal", "commit", "settle")  # 5, 6, 7


class Key(NamedTuple):
    status: str  # Reserved, Completed, Rejected
    hash: str
    attempt: int
    excused: int
    token: int  # the process whose present delivery owns it; NOBODY where that delivery has ended
    live: bool  # the lease, by the storage clock
    ahead: bool  # NextAttemptAtUtc is in the future
    seq: int  # the message it was last taken for
    released: bool = False  # LeaseSeconds 0: the last owner was heard of
    solo: int = 0  # 1: the attempt before this one is suspected; 2: a process killer
    mark: int = 0  # CancelReason is set: the attempt that it was written at

    @property
    def counted(self) -> int:
        return self.attempt - self.excused - (self.solo == 1)


class Run(NamedTuple):
    hash: str
    attempt: int
    outcome: str  # "" (Running), succeeded, succeeded_review, failed
    final: bool
    cancelled: bool = False  # failed with cancelled_by_operator


class Signal(NamedTuple):
    open: bool
    attempt: int


class Message(NamedTuple):
    id: int  # sequence number
    hash: str
    where: str  # active, locked, scheduled, backoff, dead
    holder: int = -1  # process that has the lock; NOBODY where it died
    deliveries: int = 0
    reason: str = ""
    ended: tuple[int, ...] = ()  # storageEnded: owner tokens of attempts that were heard of, though K may not say so
    failed: int = 0  # failedSteps


class Process(NamedTuple):
    kind: str  # delivery, reconciler, operator, late (a request under way whose sender has given up)
    tok: int  # what it writes as its owner token
    at: str = "idle"
    msg: int = -1
    hash: str = ""
    n: int = 0  # my attempt
    count: int = 0  # type: ignore[assignment]  # counted(K) at it
    solo: int = 0  # K's Solo at it: other than 0, the lane runs alone in its process
    mark: bool = False  # ... its CancelReason
    out: str = ""  # the outcome in hand
    fin: bool = False  # ... is final
    etag_k: bool = False
    etag_r: bool = False
    etag_f: bool = False
    etag_x: bool = False
    got_k: str = ""  # step 1: "", new, there
    got_r: str = ""
    todo: tuple[str, ...] = ()
    reason: str = ""
    conflict: bool = False  # I am at the run because of a 409, a 412 or a lost answer
    sure: bool = False  # reconciler: no delivery was under way when I decided
    ended: tuple[int, ...] = ()  # what my message says, as far as K may still name it
    failed: int = 0
    closing: str = ""  # day, steps: the command is brought to its end without another attempt


NOBODY = -1
DEAD = 200  # from here on: tokens of deliveries that have ended, where some message still names them


class State(NamedTuple):
    c: str  # RequestHash of row C, "" where there is none
    k: Key | None
    r: Run | None
    f: Signal | None
    stages: tuple[tuple[int, str], ...]  # attempt, what its terminal stage says
    first: int  # kind 1: attempt that landed first, 0 for none
    keyed: int  # kind 2: attempts that wrote, one bit each
    x: int  # kind 3: attempt that the shared row names, 0 for none
    x_applied: int  # kind 3: attempts applied, one bit each
    msgs: tuple[Message, ...]
    procs: tuple[Process, ...]
    left: int  # faults left
    ran: int  # attempts begun, one bit each
    excused: int  # attempts that K excused
    was_completed: bool
    bad: str = ""
    suspect: int = 0  # the attempt that Solo 1 is about
    heard: bool = False  # K's attempt ended for a reason that is not its own: storage, busy, a failed step
    unsent: bool = False  # the API has recorded the command and not yet sent its message
    odd: str = ""  # R cannot be read: "while", "ever"
    blind: bool = False  # ... and the command was closed all the same
    gave_up: bool = False  # 24 h of outage
    removed: bool = False  # a message was taken out of the queue by hand
    asked: bool = False  # an operator has asked for the end
    closed: bool = False  # ... and resolved F


Step = tuple[int, str, State, bool]  # process, label, next state, is it a fault


class Scenario(NamedTuple):
    name: str
    about: str
    messages: tuple[str, ...] = ("a",)  # hashes; "a" is the API's, recorded before the start where there is one
    workers: int = 1
    faults: str = ""  # kinds that may happen
    budget: int = 2  # ... how many in all
    deep_budget: int = 3
    outcomes: tuple[str, ...] = ("succeeded", "failed")
    reconcilers: int = 0
    operators: int = 0
    limit: int = 2  # attempts
    deliveries: int = 0  # max delivery count, 0 for none
    effects: bool = False
    ungated: bool = (
        False  # as by a worker of an earlier version, which runs beside this one: the other rules hold alone
    )
    blameless: bool = False  # nothing that happens is the lane's fault: it must not be rejected
    deep_only: bool = False


FAULTS = {
    "crash": "a process dies before its next step",
    "lost": "a write lands, its answer is lost",
    "unsent": "a write does not land, no answer",
    "late": "no answer, the write lands at any later time",
    "lock": "the message lock of a living process runs out",
    "lease": "the lease of a living owner runs out, or a living delivery outlasts functionTimeout + 150 s",
    "drain": "the worker drains during the lane",
    "outage": "tables away at a request",
    "blobs": "what only the lane needs is away",
    "day": "... for 24 h",
    "busy": "another command is at work on what the lane needs",
    "unreadable": "R becomes one that this version cannot read, for a while or for ever",
    "full": "the lane is full, or a suspect waits too long to be alone",
    "neighbour": "another command kills the process (as often as it likes, not charged to the budget)",
    "send": "a scheduled copy cannot be sent",
    "early": "a scheduled copy is due before what it waits for is over",
    "purge": "a final key past ExpiresAtUtc is deleted",
    "stuck": "StuckAfter passes although a message is still in the queue",
    "remove": "somebody takes a message that waits out of the queue by hand",
    "resend": "the client sends the command again",
    "cancel": "an operator asks for the command's end",
    "forge": "somebody sends another request, or the same one, under the command's id",
}

WRITES = {
    "take",
    "insert_run",
    "adopt",
    "raise",
    "stages",
    "outcome",
    "signal_write",
    "commit",
    "foreign",
    "drain",
    "excuse",
    "x_write",
    "first",
    "mark",
    "resolve",
}
TABLES = WRITES | {"reserve", "key", "reread", "run", "signal", "keyed", "x_read", "tell"}
LANE = {"lane", "first", "keyed", "x_read", "x_write"}
ENDING = ("reconciler", "operator")  # who runs no lane


class Model:
    def __init__(self, scenario: Scenario, budget: int, broken: str = "") -> None:
        self.sc = scenario
        self.budget = budget
        self.broken = broken
        self.kinds = frozenset(scenario.faults.split())
        self.evidence = bool(self.kinds & {"outage", "blobs", "busy", "unreadable"})
        self.plan = FINISH
        if broken == "settle-before-commit":
            self.plan = ("stages", "outcome", "signal", "settle", "commit")
        if broken == "run-final-before-stages":
            self.plan = ("outcome", "stages", "signal", "commit", "settle")
        if broken == "signals-before-run":
            self.plan = ("stages", "signal", "outcome", "commit", "settle")
        if broken == "key-before-run":
            self.plan = ("stages", "commit", "outcome", "signal", "settle")

    def start(self) -> State:
        sc = self.sc
        msgs = tuple(Message(i, h, "active") for i, h in enumerate(sc.messages))
        procs = tuple(Process("delivery", self.token(i)) for i in range(sc.workers))
        procs += tuple(Process("reconciler", 100 + i) for i in range(sc.reconcilers))
        procs += tuple(Process("operator", 150 + i) for i in range(sc.operators))
        return State(
            "a" if "a" in sc.messages else "", None, None, None, (), 0, 0, 0, 0, msgs, procs, self.budget, 0, 0, False,
        )  # fmt: skip

    def token(self, i: int) -> int:
        return 0 if self.broken == "token-per-worker" else i

    # ------------------------------------------------------------------------------------------------------------ writing

    def put(self, s: State, i: int, p: Process, row: str, value: Any) -> State:
        """Row k, r, f or x becomes `value`, written by process i, which then is `p`: its ETag is current, everybody else's is not."""
        flag = "etag_" + row
        current: dict[str, Any] = {flag: value is not None}
        stale: dict[str, Any] = {flag: False}
        procs = tuple(
            (p._replace(**current) if j == i else (q._replace(**stale) if getattr(q, flag) else q))
            for j, q in enumerate(s.procs)
        )
        bad = s.bad
        if row == "k" and s.k is not None and s.k.status != "Reserved" and value is not None:
            bad = "a terminal key was changed"
        if row == "k" and s.k is not None and s.k.mark and value is not None and not value.mark:
            bad = "a marked key was unmarked"
        if row == "r" and s.r is not None and s.r.final:
            bad = "a final run was changed"
        return s._replace(**{row: value, "procs": procs, "bad": bad})

    @staticmethod
    def be(s: State, i: int, p: Process) -> State:
        return s._replace(procs=(*s.procs[:i], p, *s.procs[i + 1 :]))

    def end(self, s: State, i: int) -> State:
        """Process i is done (or dead): its token is nobody's now, a lock that it still has is a dead one's."""
        p = s.procs[i]
        if p.kind == "late":
            return s._replace(procs=s.procs[:i] + s.procs[i + 1 :])
        s = self.retire(self.be(s, i, Process(p.kind, p.tok)), p.tok)
        procs, k, msgs = s.procs, s.k, s.msgs
        if any(m.where == "locked" and m.holder == i for m in msgs):
            msgs = tuple(m._replace(holder=NOBODY) if m.where == "locked" and m.holder == i else m for m in msgs)
        return s._replace(procs=procs, k=k, msgs=msgs)

    def retire(self, s: State, token: int) -> State:
        """No delivery has this token any more: NOBODY's, or a dead one's where a message names it."""
        named = self.evidence and (any(token in m.ended for m in s.msgs) or any(token in q.ended for q in s.procs))
        new = max(DEAD, *(q.tok + 1 for q in s.procs), s.k.token + 1 if s.k else 0) if named else NOBODY
        k = s.k
        if k is not None and k.token == token and self.broken != "token-per-worker":
            k = k._replace(token=new)
        procs = tuple(q._replace(tok=new) if q.kind == "late" and q.tok == token else q for q in s.procs)
        s = s._replace(k=k, procs=procs)
        return self.rename(s, {token: new}) if named else s

    @staticmethod
    def rename(s: State, names: dict[int, int]) -> State:
        """Other names for tokens wherever a message names them; what becomes NOBODY is left out."""

        def renamed(ended: tuple[int, ...]) -> tuple[int, ...]:
            return tuple(sorted({names.get(t, t) for t in ended} - {NOBODY}))

        return s._replace(
            msgs=tuple(m._replace(ended=renamed(m.ended)) if m.ended else m for m in s.msgs),
            procs=tuple(q._replace(ended=renamed(q.ended)) if q.ended else q for q in s.procs),
        )

    def tidy(self, s: State) -> State:
        """Tokens that K can no longer come to name are forgotten, dead ones numbered anew: equal states look equal."""
        k = s.k
        named = {t for m in s.msgs for t in m.ended} | {t for q in s.procs for t in q.ended}
        if not named and (k is None or k.token < DEAD) and all(q.tok < DEAD for q in s.procs):
            return s
        late = [q.tok for q in s.procs if q.kind == "late"]
        held = [*([k.token] if k is not None and k.status == "Reserved" else []), *late]
        names = dict.fromkeys(named | set(late) | set(held), NOBODY)
        for t in held:
            if t < DEAD:
                names[t] = t
            elif t in named and names[t] == NOBODY:
                names[t] = DEAD + sum(n >= DEAD for n in names.values())
        names |= {q.tok: q.tok for q in s.procs if q.kind != "late"}
        if k is not None and names.get(k.token, k.token) != k.token:
            s = s._replace(k=k._replace(token=names[k.token]))
        if any(names[t] != t for t in late):
            s = s._replace(procs=tuple(q._replace(tok=names[q.tok]) if q.kind == "late" else q for q in s.procs))
        return self.rename(s, names) if any(names[t] != t for t in named) else s

    def next(self, p: Process, **more: Any) -> Process:
        """On to what is left of steps 3 to 7."""
        p = p._replace(at=p.todo[0], todo=p.todo[1:], conflict=False, **more)
        # a plain success of the first attempt has no signal to write
        if p.at == "signal" and p.out in SUCCEEDED and p.n == 1:
            return self.next(p)
        return p

    def conflict(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        if self.broken == "blind-after-412" and p.todo:
            return [("412, goes on", self.be(s, i, self.next(p)))]
        return [("412", self.be(s, i, p._replace(at="reread")))]

    @staticmethod
    def settling(p: Process, at: str, reason: str = "", *ended: int) -> Process:
        q = Process(p.kind, p.tok, at, p.msg, p.hash, reason=reason)
        if at in ("copy", "away"):  # what a copy carries
            q = q._replace(ended=tuple(sorted({*p.ended, *ended})), failed=p.failed)
        return q

    def excuse(self, s: State, *attempts: int) -> State:
        """K says of these attempts that they do not count."""
        for n in attempts:
            if s.excused >> n & 1:
                s = s._replace(bad="the same attempt was excused twice")
            s = s._replace(excused=s.excused | 1 << n)
        return s

    def release(self, s: State, k: Key, excused: bool) -> tuple[State, Key]:
        """K as its owner lets go of it: heard of. Where its lane had begun, whoever was suspected before is acquitted."""
        began = bool(s.ran >> k.attempt & 1)
        acquits = k.solo == 1 and (began or self.broken == "acquitted-before-the-lane")
        if acquits and not began:
            s = s._replace(bad="a suspect was acquitted by an attempt whose lane never began")
        attempts = [*([k.attempt] if excused else []), *([s.suspect] if acquits else [])]
        if self.broken == "no-acquittal":
            attempts = [n for n in attempts if n != s.suspect]
        solo = k.solo if self.broken == "acquit-twice" or not began else 0
        k = k._replace(live=False, released=True, excused=k.excused + len(attempts), solo=solo)
        return self.excuse(s, *attempts)._replace(suspect=s.suspect if solo else 0), k

    @staticmethod
    def copies(s: State, hash_: str = "") -> bool:
        """Is there a copy in the queue (active, locked or scheduled)? Of any hash where none is given."""
        return any(m.where != "dead" and (m.hash == hash_ or not hash_) for m in s.msgs)

    # ------------------------------------------------------------------------------------------------------------ One delivery

    def gate(self, s: State, p: Process) -> Process:
        """0: read C. What is not recorded, or as another request, is a dead letter and touches nothing."""
        if s.c == p.hash or self.sc.ungated or self.broken == "gate-skipped":
            return p._replace(at="reserve")
        return self.settling(p, "deadletter", "idempotency_hash_mismatch" if s.c else "not_recorded")

    def at_reserve(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """1: insert K and R, in any order; both answers are waited for.

        Where both are there, the answers and the read of K that follows are one step.
        """
        out = []
        if not p.got_k and s.k is not None and (p.got_r or s.r is not None) and p.kind != "late":
            return self.at_key(s, i, p._replace(got_k="there", got_r=p.got_r or "there"))
        if not p.got_k and s.k is None:
            q = p._replace(got_k="new", n=1, count=1, solo=0, ended=())
            k = Key("Reserved", p.hash, 1, 0, p.tok, True, False, p.msg)
            out.append(("1 insert K", self.reserved(self.put(s, i, q, "k", k), i)))
        if not p.got_r and s.r is None:
            q = p._replace(got_r="new")
            out.append(("1 insert R", self.reserved(self.put(s, i, q, "r", Run(p.hash, 1, "", False)), i)))
        elif not p.got_r and p.got_k:
            out.append(("1 insert R: there", self.reserved(self.be(s, i, p._replace(got_r="there")), i)))
        return out or [("1 nothing to insert", s)]

    def reserved(self, s: State, i: int) -> State:
        p = s.procs[i]
        if not (p.got_k and p.got_r) or p.kind == "late":
            return s
        if p.got_k == "there":
            return self.be(s, i, p._replace(at="key"))
        return self.mine(s, i, p)

    def mine(self, s: State, i: int, p: Process) -> State:
        """K is new and mine."""
        p = (
            p._replace(got_k="", got_r="", conflict=False, todo=())
            if p.got_r == "new"
            else p._replace(at="run_exists", got_k="", got_r="")
        )
        if p.at == "run_exists":
            return self.be(s, i, p)
        return self.begin(s, i, p)

    def begin(self, s: State, i: int, p: Process) -> State:
        """R says Running, n, and I wrote that: run the lane; or, over the limit and for the reconciler, reject without."""
        if self.rejects(p):
            return self.be(s, i, p._replace(at="outcome", out="failed", fin=True, todo=ROLL_FORWARD, conflict=False))
        if p.mark and p.kind != "late" and self.broken != "mark-found-runs-the-lane":
            return self.be(s, i, self.next(p._replace(out="failed", fin=True, todo=self.plan)))
        at = "first" if self.sc.effects else "lane"
        p = p._replace(at=at, out="", fin=False, todo=(), conflict=False)
        if p.kind == "late":
            return self.be(s, i, p)
        if not s.c:
            s = s._replace(bad="the lane began of a command that nobody recorded")
        if s.k is not None and s.k.mark and p.n > s.k.mark:
            s = s._replace(bad="a lane began after an operator had asked for the end")
        s = s._replace(ran=s.ran | 1 << p.n)
        # a suspected attempt does not count yet; but of a lane that only ever dies no more than the limit are begun
        pending = s.k is not None and s.k.solo == 1 and s.ran >> s.suspect & 1 and self.sc.outcomes != ("dies",)
        if (s.ran & ~s.excused).bit_count() - pending > self.sc.limit:
            s = s._replace(bad="more attempts begun than allowed, excused ones not counted")
        return self.be(s, i, p)

    def rejects(self, p: Process) -> bool:
        """At the run: no further attempt, only an end."""
        return p.kind in ENDING or bool(p.closing) or p.count > self.sc.limit

    def at_key(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """The key exists: read it; first line that fits."""
        k = s.k
        if k is None:  # deleted meanwhile (it was final): from 1
            return [("read K: gone", self.be(s, i, p._replace(at="reserve", got_k="", got_r="", ended=())))]
        if p.got_k == "there" and k.token == p.tok and k.status == "Reserved":
            q = p._replace(etag_k=True, n=k.attempt, count=k.counted, solo=k.solo, mark=bool(k.mark), ended=())
            return [("read K: my own token", self.mine(s, i, q))]
        p = p._replace(got_k="", got_r="", etag_r=False)
        if p.kind in ENDING:
            return [("read K: there, leaves it", self.leave(s, i))]
        other = ("read K: another hash", self.be(s, i, self.settling(p, "deadletter", "idempotency_hash_mismatch")))
        if k.hash != p.hash and self.broken != "hash-after-status":
            return [other]
        if k.status == "Completed":
            return [("read K: Completed", self.be(s, i, self.settling(p, "complete", "duplicate")))]
        if k.status == "Rejected":
            reason = "processing_failed" if k.seq == p.msg else "idempotency_rejected"
            return [("read K: Rejected", self.be(s, i, self.settling(p, "deadletter", reason)))]
        if k.hash != p.hash:
            return [other]
        ignored = self.broken == "lease-ignored" or (self.broken == "evidence-frees-live-lease" and k.token in p.ended)
        if (k.live and not ignored) or k.ahead:
            why = "lease live" if k.live else "not yet due"
            if self.broken == "evidence-dropped-while-waiting":
                p = p._replace(ended=())
            return [(f"read K: {why}", self.be(s, i, self.settling(p, "copy", "scheduled")))]
        return [("read K: free", self.be(s, i, p._replace(at="take", etag_k=True, todo=())))]

    def at_take(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """5 of the key exists: take it over."""
        if not p.etag_k or s.k is None:
            return self.conflict(s, i, p)
        k = s.k
        n = k.attempt + 1
        seq = k.seq if p.msg < 0 else p.msg
        t, excused, solo = self.last_owner(s, k, p)
        mark = 0 if self.broken == "mark-dropped-by-takeover" else k.mark
        k_new = Key("Reserved", k.hash, n, excused, p.tok, True, False, seq, solo=solo, mark=mark)
        count = k_new.counted + (excused if self.broken == "drains-count" else 0)
        q = p._replace(at="run", n=n, count=count, solo=solo, mark=bool(k.mark), etag_r=False, ended=())
        if self.broken == "takeover-without-run":
            q = q._replace(etag_r=True)
        t = self.put(t, i, q, "k", k_new)
        t = t._replace(heard=p.kind == "late")
        if k.live and k.token != p.tok:
            t = t._replace(bad="a key was taken over while another's lease was live")
        if p.kind == "reconciler" and p.hash and p.hash != k.hash:
            t = t._replace(bad="a dead letter of another hash had the first's key taken over")
        if self.broken == "takeover-without-run":
            t = self.begin(t, i, q._replace(etag_k=True))
        return [(f"takes K over: attempt {n}" + (", alone" if solo else ""), t)]

    def last_owner(self, s: State, k: Key, p: Process) -> tuple[State, int, int]:
        """Was the last owner heard of? K's Excused and Solo for the next attempt."""
        if k.released:
            return s, k.excused, k.solo  # other than 0: the lane that was to tell has not begun yet
        if k.token in p.ended or (p.ended and self.broken == "evidence-of-another-attempt"):
            if not s.heard:
                s = s._replace(bad="an attempt was excused that neither storage nor another command had ended")
            # whether its lane had begun nobody knows: it acquits nobody
            return self.excuse(s, k.attempt), k.excused + 1, k.solo
        if (k.solo and self.broken != "silent-never-counts") or self.broken == "silent-always-counts":
            return s._replace(suspect=0), k.excused, 2
        return s._replace(suspect=k.attempt), k.excused, 1

    # ------------------------------------------------------------------------------------------------------------ At the run

    def at_run(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Owner of K with attempt n: read R."""
        r = s.r
        if r is None:
            return [("read R: missing", self.be(s, i, p._replace(at="insert_run")))]
        if s.odd:
            return [self.unreadable(s, i, p)]
        p = p._replace(etag_r=True)
        if r.final and self.broken != "adopt-final-run":
            # a run of another hash is never rolled forward into my key as if it were mine
            if r.hash != p.hash and p.hash and self.broken != "final-run-any-hash":
                return [("read R: final, another hash", self.be(s, i, p._replace(at="foreign", out=r.outcome)))]
            return [(f"read R: final {r.outcome}", self.roll(s, i, p, r))]
        if p.conflict and r.attempt == p.n and r.outcome == "failed" and not p.closing:
            todo = self.plan[self.plan.index("outcome") + 1 :]
            return [
                ("read R: my own failure", self.be(s, i, self.next(p._replace(out="failed", fin=False, todo=todo))))
            ]
        if p.conflict and p.out and r.attempt == p.n and not r.outcome and self.broken != "lane-twice-in-one-attempt":
            # the lane has run in this attempt; its result is kept, never a second run with the same number
            if p.closing:
                return [
                    (
                        "read R: Running, mine",
                        self.be(s, i, p._replace(at="outcome", todo=ROLL_FORWARD, conflict=False)),
                    )
                ]
            return [("read R: Running, mine", self.be(s, i, self.next(p._replace(todo=self.plan))))]
        if r.attempt <= p.n:
            if self.rejects(p):
                q = p._replace(at="outcome", out="failed", fin=True, todo=ROLL_FORWARD, conflict=False)
                return [(f"read R: attempt {r.attempt}, to be rejected", self.be(s, i, q))]
            return [(f"read R: attempt {r.attempt}", self.be(s, i, p._replace(at="adopt", out="", fin=False, todo=())))]
        return [(f"read R: attempt {r.attempt}, ahead of me", self.be(s, i, p._replace(at="ahead")))]

    def roll(self, s: State, i: int, p: Process, r: Run) -> State:
        """Roll forward: 5 and 6 with R's own outcome, then settle. F of a failure carries the attempt that failed."""
        n = r.attempt if r.outcome == "failed" else p.n
        return self.be(s, i, self.next(p._replace(out=r.outcome, fin=True, n=n, todo=ROLL_FORWARD)))

    def unreadable(self, s: State, i: int, p: Process) -> tuple[str, State]:
        """A step that fails is counted on the message; the last one, and the reconciler, end the command without R."""
        if p.closing or p.kind in ENDING or p.failed + 1 >= self.sc.limit:
            q = p._replace(out="failed", fin=True, todo=("signal", "commit", "settle"), closing=p.closing or "steps")
            return "cannot read R: closes without", self.be(s._replace(blind=True), i, self.next(q))
        failed = 0 if self.broken == "unreadable-run-goes-round" else p.failed + 1
        return "cannot read R: failed step", self.let_go(s, i, p._replace(failed=failed), "step")

    def at_insert_run(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        if s.r is not None:
            return self.conflict(s, i, p)
        t = self.put(s, i, p, "r", Run(p.hash or self.key_hash(s), p.n, "", False))
        return [("insert R", self.begin(t, i, t.procs[i]))]

    @staticmethod
    def key_hash(s: State) -> str:
        return s.k.hash if s.k else ""

    def at_adopt(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Adopt R: Running, my attempt, my hash, no AttemptOutcome."""
        if not p.etag_r or s.r is None:
            return self.conflict(s, i, p)
        hash_ = s.r.hash if self.broken == "adopt-keeps-hash" else p.hash
        outcome = s.r.outcome if self.broken == "adopt-keeps-outcome" else ""
        s = s._replace(stages=tuple(row for row in s.stages if row[0] >= p.n))  # nobody looks at earlier ones
        t = self.put(s, i, p, "r", Run(hash_, p.n, outcome, False))
        return [(f"adopts R: attempt {p.n}", self.begin(t, i, t.procs[i]))]

    def at_ahead(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """R.Attempt > n: re-read K."""
        if s.k is not None and s.k.status == "Reserved" and s.k.token == p.tok:
            return [("reads K: mine", self.be(s, i, p._replace(at="raise", etag_k=True, mark=bool(s.k.mark))))]
        return self.not_mine(s, i, p)

    def at_raise(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        if not p.etag_k or s.k is None or s.r is None:
            return self.conflict(s, i, p)
        n = s.r.attempt + 1
        k = s.k._replace(attempt=n)
        return [(f"K: attempt {n}", self.put(s, i, p._replace(at="run", n=n, count=k.counted), "k", k))]

    def at_run_exists(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """The run exists, K new and mine: the same lines as at the run (final and another hash: see at_foreign)."""
        r = s.r
        if r is not None and r.final and r.hash != p.hash and not s.odd:
            return [
                ("read R: final, another hash", self.be(s, i, p._replace(at="foreign", out=r.outcome, etag_r=False)))
            ]
        return self.at_run(s, i, p)

    def at_foreign(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """K becomes terminal with the run's hash and outcome; this message is a mismatch."""
        if not p.etag_k or s.k is None or s.r is None:
            return self.conflict(s, i, p)
        status = "Rejected" if p.out == "failed" else "Completed"
        t = self.put(s, i, p, "k", self.terminal(s.k, status)._replace(hash=s.r.hash, token=NOBODY))
        done = t.was_completed or status == "Completed"
        t = t._replace(was_completed=done, ran=0, excused=0, suspect=0, heard=False)
        return [
            (
                f"6 K {status} with the run's hash",
                self.be(t, i, self.settling(p, "deadletter", "idempotency_hash_mismatch")),
            )
        ]

    @staticmethod
    def terminal(k: Key, status: str) -> Key:
        # what a terminal key says of attempts matters no more
        return k._replace(status=status, attempt=0, excused=0, live=False, ahead=False, released=True, solo=0)

    # ------------------------------------------------------------------------------------------------------------ After any 409 or 412

    def at_reread(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """After any 409 or 412 later than 1, and after an answer that never came."""
        k = s.k
        if k is not None and k.status == "Reserved" and k.token == p.tok:
            q = p._replace(
                at="run", etag_k=True, n=k.attempt, count=k.counted, solo=k.solo, mark=bool(k.mark), ended=()
            )
            q = q._replace(conflict=True, todo=())
            return [("re-reads K: still mine", self.be(s, i, q))]
        return self.not_mine(s, i, p)

    def not_mine(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        p = Process(p.kind, p.tok, "key", p.msg, p.hash, ended=p.ended, failed=p.failed)
        if p.kind in ENDING:
            return [("re-reads K: not mine", self.leave(s, i))]
        return [("re-" + text, t) for text, t in self.at_key(s, i, p)]

    # ------------------------------------------------------------------------------------------------------------ 2: the lane

    def at_first(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Kind 1, an insert: the first to land wins. (A lane may also fail before it.)"""
        done = [("2 effect, kind 1", self.be(s._replace(first=s.first or p.n), i, p._replace(at="keyed")))]
        return [*done, ("2 lane: failed", self.be(s, i, self.next(p._replace(out="failed", todo=self.plan))))]

    def at_keyed(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Kind 2, keyed by run and attempt."""
        return [("2 effect, kind 2", self.be(s._replace(keyed=s.keyed | 1 << p.n), i, p._replace(at="x_read")))]

    def at_x_read(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Kind 3, a shared row: read it."""
        named = 0 if self.broken == "shared-row-names-nobody" else s.x
        if named > p.n:
            return [("2 shared row: a later attempt's, stops", self.be(s, i, p._replace(at="reread")))]
        if named == p.n:
            return [("2 shared row: already mine", self.be(s, i, p._replace(at="lane")))]
        return [("2 reads the shared row", self.be(s, i, p._replace(at="x_write", etag_x=True)))]

    def at_x_write(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        if not p.etag_x:
            return [("2 shared row: 412, again", self.be(s, i, p._replace(at="x_read")))]
        t = self.put(s, i, p._replace(at="lane"), "x", p.n)
        if s.x_applied >> p.n & 1:
            t = t._replace(bad="an effect of kind 3 was applied twice by one attempt")
        if s.x > p.n:
            t = t._replace(bad="an effect of kind 3 of a lower attempt overwrote a later one's")
        return [("2 effect, kind 3", t._replace(x_applied=t.x_applied | 1 << p.n))]

    def at_lane(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        p = p._replace(etag_x=False)
        last = p.count >= self.sc.limit or p.mark
        return [
            (
                f"2 lane: {out}",
                self.end(s, i)
                if out == "dies"
                else self.be(s, i, self.next(p._replace(out=out, fin=out != "failed" or last, todo=self.plan))),
            )
            for out in self.sc.outcomes
        ]

    # ------------------------------------------------------------------------------------------------------------ 3 to 6

    def at_stages(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """3: inserts. Rows of this attempt that are there are my own (a 409 here is no conflict), an attempt has one owner."""
        if any(n == p.n for n, _ in s.stages):
            if self.broken == "lane-twice-in-one-attempt":
                return self.conflict(s, i, p)
            return [("3 stages: there", self.be(s, i, self.next(p)))]
        rows = (*s.stages, (p.n, p.out))
        t = s._replace(stages=tuple(sorted(row for row in rows if s.r is None or row[0] >= s.r.attempt)))
        return [("3 stages", self.be(t, i, self.next(p)))]

    def at_outcome(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """4: R becomes the outcome."""
        unconditional = self.broken in ("unconditional-run-update", "takeover-without-run")
        if (not p.etag_r and not unconditional) or s.r is None:
            return self.conflict(s, i, p)
        fin = p.fin or (p.out == "failed" and (p.mark or p.count >= self.sc.limit))
        cancelled = p.out == "failed" and not p.closing and (p.mark or p.kind == "operator")
        hash_ = s.r.hash if self.broken == "adopt-keeps-hash" else p.hash or self.key_hash(s)
        q = self.next(p._replace(fin=fin))
        t = self.put(s, i, q, "r", Run(hash_, p.n, p.out, fin, cancelled))
        counted = p.n - (s.excused & (1 << p.n) - 1).bit_count() - (p.solo == 1)
        if (
            p.out == "failed"
            and fin
            and p.kind == "delivery"
            and not (p.closing or cancelled)
            and counted < self.sc.limit
        ):
            t = t._replace(bad="rejected with attempts left: excused ones were counted")
        if p.kind == "reconciler" and s.unsent:
            t = t._replace(bad="rejected before its own message was sent")
        if p.out == "failed" and p.kind == "reconciler" and p.sure and self.copies(s, hash_):
            t = t._replace(bad="rejected while a copy in the queue could still have run it")
        return [(f"4 R {p.out}{', final' if fin else ''}", t)]

    def at_signal(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """5: read F. Open and resolved alike carry the writer's attempt; never reopened by the same or a lower one."""
        opens = p.out == "failed"
        f = s.f
        skip = f is not None and (
            (opens and f.attempt >= p.n and self.broken != "reopen-by-lower-attempt")
            or (not opens and not f.open and f.attempt >= p.n)
        )
        if not opens and f is None and self.broken == "no-resolve-where-none":
            skip = True
        if skip:
            return [("5 F: nothing to write", self.be(s, i, self.next(p)))]
        return [("5 read F", self.be(s, i, p._replace(at="signal_write", etag_f=f is not None)))]

    def at_signal_write(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        insert_lost = not p.etag_f and s.f is not None
        if insert_lost and self.broken != "reopen-by-lower-attempt":
            return self.conflict(s, i, p)
        opens = p.out == "failed"
        t = self.put(s, i, self.next(p), "f", Signal(opens, p.n))
        return [(f"5 F {'open' if opens else 'resolved'}", t)]

    def at_commit(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """6: K, the commit point of a success."""
        held = s.k
        if not p.etag_k or held is None:
            return self.conflict(s, i, p)
        if p.out == "failed" and not p.fin:
            s, k = self.release(s, held, excused=False)
            k = k._replace(ahead=True)
        else:
            k = self.terminal(held, "Rejected" if p.out == "failed" else "Completed")
        t = self.put(s, i, p, "k", k)
        if k.status != "Reserved":
            t = t._replace(
                was_completed=t.was_completed or k.status == "Completed", ran=0, excused=0, suspect=0, heard=False
            )
        q = self.next(p) if p.todo else p._replace(at="over")
        return [(f"6 K {k.status}", self.be(t, i, q))]

    def at_over(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        return [("ends", self.end(s, i))]

    def at_settle(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """7: settle as the outcome says. Under the break that settles first, the commit follows."""
        if p.kind in ENDING:
            return [("ends", self.leave(s, i))]
        if p.out in SUCCEEDED:
            q = self.settling(p, "complete", "done")
        elif p.fin:
            q = self.settling(p, "deadletter", "store_unreachable" if p.closing == "day" else "processing_failed")
        else:
            q = self.settling(p, "copy", "scheduled")
        if self.broken == "settle-before-commit" and p.todo:
            t = self.settled(s, i, p.msg, None) if p.out in SUCCEEDED else s
            return [("7 settles too early", self.be(t, i, self.next(p)))]
        if self.broken == "copy-after-complete" and q.at == "copy":
            t = self.settled(s, i, p.msg, None)
            return [("completes", self.be(t, i, q))]
        return [(text, t) for text, t in getattr(self, "at_" + q.at)(s, i, q)]

    # ------------------------------------------------------------------------------------------------------------ settlements

    @staticmethod
    def settled(s: State, i: int, msg: int, now: Message | None, **changes: Any) -> State:
        """Completed (now None) or changed; without the lock nothing happens."""
        if not any(m.id == msg and m.where == "locked" and m.holder == i for m in s.msgs):
            return s
        if now is None and not changes:
            return s._replace(msgs=tuple(m for m in s.msgs if m.id != msg))
        return s._replace(msgs=tuple(m._replace(**changes) if m.id == msg else m for m in s.msgs))

    def at_complete(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        t = self.settled(s, i, p.msg, None)
        if t is not s and p.reason in ("done", "duplicate"):
            mine = s.k.hash if s.k is not None else s.r.hash if s.r is not None else ""
            if p.hash != mine:
                t = t._replace(bad="a message with another hash was completed as if it had been done")
        return [("completes" if t is not s else "completes: lock lost", self.end(t, i))]

    def at_deadletter(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        t = self.settled(s, i, p.msg, None, where="dead", holder=NOBODY, deliveries=0, reason=p.reason)
        return [(f"dead-letters {p.reason}" + ("" if t is not s else ": lock lost"), self.end(t, i))]

    def at_abandon(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        lock = any(m.id == p.msg and m.where == "locked" and m.holder == i for m in s.msgs)
        t = self.unlock(s, p.msg) if lock else s
        return [("abandons" if lock else "abandons: lock lost", self.end(t, i))]

    def unlock(self, s: State, msg: int) -> State:
        """Active again, or the broker's own dead letter."""
        msgs = tuple(
            m
            if m.id != msg
            else m._replace(where="active", holder=NOBODY)
            if m.deliveries < self.sc.deliveries or not self.sc.deliveries
            else m._replace(where="dead", holder=NOBODY, deliveries=0, reason="broker")
            for m in s.msgs
        )
        return s._replace(msgs=msgs)

    def at_copy(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """A scheduled copy (of the message as received), then the completion."""
        t = self.send(s, Message(0, p.hash, p.reason, ended=p.ended, failed=p.failed))
        if self.broken == "copy-after-complete":
            return [("sends a copy", self.end(t, i))]
        return [("sends a copy", self.be(t, i, self.settling(p, "complete", "copied")))]

    @staticmethod
    def send(s: State, m: Message) -> State:
        used = {o.id for o in s.msgs} | {q.msg for q in s.procs} | ({s.k.seq} if s.k else set())
        id_ = next(n for n in range(100) if n not in used)
        return s._replace(msgs=tuple(sorted((*s.msgs, m._replace(id=id_)))))

    def at_away(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        return self.at_copy(s, i, p._replace(at="copy", reason="backoff"))

    def at_hold(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """The copy could not be sent: sent after all; or its time comes and this delivery goes on as it would; or abandoned."""
        if self.broken == "hold-loses-the-message":
            return self.at_complete(s, i, p)
        out = [*self.at_copy(s, i, p), *self.at_abandon(s, i, p)]
        if p.reason == "backoff" or self.due(s):
            t = self.retire(s, p.tok)
            p = t.procs[i]
            q = Process(p.kind, p.tok, "", p.msg, p.hash, ended=p.ended, failed=p.failed)
            out.append(("goes on in place", self.be(t, i, self.gate(t, q))))
        return out

    @staticmethod
    def due(s: State) -> bool:
        """What a scheduled copy waits for is over."""
        return s.k is None or s.k.status != "Reserved" or not (s.k.live or s.k.ahead)

    def at_drain(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Drain: lease released, Excused + 1, abandon. The abandon follows whatever the answer."""
        q = self.settling(p, "abandon")
        if not p.etag_k or s.k is None:
            return [("drain: 412", self.be(s, i, q))]
        t, k = self.release(s, s.k, excused=True)
        return [("drain: lease released, excused", self.put(t, i, q, "k", k))]

    # ------------------------------------------------------------------------------------------------------------ An outage is no attempt

    def let_go(self, s: State, i: int, p: Process, why: str) -> State:
        """My attempt ends for a reason that is not its own: K is to say so."""
        if s.k is not None and s.k.token == p.tok:
            s = s._replace(heard=True)
        q = Process(p.kind, p.tok, "excuse" if p.n else "tell", p.msg, p.hash, p.n, p.count, p.solo)
        return self.be(s, i, q._replace(etag_k=p.etag_k, reason=why, ended=p.ended, failed=p.failed))

    def at_excuse(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """K: lease released, Excused + 1; then the copy."""
        if not p.etag_k or s.k is None:
            return [("excuse: 412", self.be(s, i, p._replace(at="tell")))]
        counts = {"outage-counts": "outage", "busy-counts": "busy"}.get(self.broken) == p.reason
        t, k = self.release(s, s.k, excused=not counts)
        return [(f"K released, excused ({p.reason})", self.put(t, i, self.settling(p, "away", "told"), "k", k))]

    def at_tell(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Re-read K: did the excusing write land?"""
        k = s.k
        if k is None or k.status != "Reserved" or k.token != p.tok:
            return [("re-reads K: not mine", self.be(s, i, self.settling(p, "away", "told")))]
        if k.released and self.broken != "excuse-twice-after-lost-answer":
            return [("re-reads K: it landed", self.be(s, i, self.settling(p, "away", "told")))]
        return [("re-reads K: mine, not released", self.be(s, i, p._replace(at="excuse", etag_k=True, ended=())))]

    def untold(self, p: Process) -> Process:
        """K could not be told: the copy names whom K may name."""
        if self.broken == "evidence-of-the-last-only":
            p = p._replace(ended=())
        return self.settling(p, "away", "", p.tok)

    def outage(self, s: State, i: int, p: Process) -> State:
        """Storage does not answer this request."""
        if p.closing == "day":
            return self.be(s, i, self.settling(p, "deadletter", "store_unreachable"))
        if p.at == "drain":
            return self.be(s, i, self.settling(p, "abandon"))
        if p.at == "key" or (p.at == "reserve" and p.got_k != "new"):
            return self.be(s, i, self.settling(p, "away"))
        if p.at in ("excuse", "tell"):
            return self.be(s, i, self.untold(p))
        return self.let_go(s, i, p, "outage")

    def give_up(self, s: State, i: int, p: Process) -> State:
        """24 h of it: where K is mine, to its end as far as storage answers; else the message only."""
        s = s._replace(gave_up=True)
        if p.at == "away" or self.broken == "give-up-leaves-running":
            return self.be(s, i, self.settling(p, "deadletter", "store_unreachable"))
        return self.be(s, i, p._replace(at="run", closing="day", reason=""))

    # ------------------------------------------------------------------------------------------------------------ Reconciler

    def ticks(self, s: State) -> Iterator[Step]:
        """Ticks that would do something. A tick whose conditions fail changes nothing, so it is left out."""
        at = next((i for i, p in enumerate(s.procs) if p.kind == "reconciler" and p.at == "idle"), None)
        if at is None or (s.unsent and self.broken != "reconciler-before-it-is-sent"):
            return  # what the outbox announces is still to come, whatever dead letter somebody else's message has left
        p = s.procs[at]
        k = s.k
        busy = any(q.kind == "delivery" and q.at != "idle" for q in s.procs)
        alone = not self.copies(s)
        dead = [m for m in s.msgs if m.where == "dead"]
        if k is None:
            # with the check for other copies, too
            if (
                not s.was_completed
                and self.broken != "keyless-ignored"
                and (alone or self.broken == "keyless-without-copy-check")
            ):
                for m in dead:
                    gated = m.hash == s.c or self.sc.ungated or self.broken == "gate-skipped"
                    if gated and m.reason in ("broker", "store_unreachable") and not (s.r is not None and s.r.final):
                        q = p._replace(at="peek", msg=m.id, hash=m.hash, sure=not busy, todo=("reserve",))
                        yield at, f"dead letter {m.id}: no key", self.be(s, at, q), False
                ended = s.r is not None and s.r.final
                if s.c and s.removed and not (busy or ended) and self.broken != "keyless-waits-for-ever":
                    q = p._replace(at="peek", msg=NOBODY, hash=s.c, sure=True, todo=("reserve",))
                    yield at, "stuck, without a key", self.be(s, at, q), False
            return
        if k.status != "Reserved" or k.live:
            return
        eligible = [m for m in dead if self.eligible(m, k)]
        if alone or self.broken == "reconciler-without-copy-check":
            for m in eligible:
                if not busy or s.left and "lease" in self.kinds:  # K older than functionTimeout + 150 s
                    left = s.left - busy
                    q = p._replace(at="peek", msg=m.id, hash=m.hash, sure=not busy, etag_k=True, todo=("take",))
                    yield at, f"dead letter {m.id}: K is free", self.be(s._replace(left=left), at, q), busy
        quiet = alone and not busy and not eligible
        if quiet or (s.left and "stuck" in self.kinds):
            t = s if quiet else s._replace(left=s.left - 1)
            q = p._replace(at="take", msg=-1, hash="", etag_k=True)
            yield at, "stuck", self.be(t, at, q), not quiet

    def eligible(self, m: Message, k: Key) -> bool:
        """The same hash as K's."""
        if m.reason not in ("broker", "store_unreachable"):
            return False
        if self.broken == "reconciler-any-dead-letter":
            return True
        if self.broken == "sequence-number-condition":
            return m.reason == "broker" and k.seq == m.id
        return k.hash == m.hash

    def at_peek(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """The peek of the queue for another copy (of the same id, whatever its hash)."""
        unchecked = self.broken == "reconciler-without-copy-check" or (
            p.todo != ("take",) and self.broken == "keyless-without-copy-check"
        )
        if self.copies(s) and not unchecked:
            return [("peek: another copy", self.end(s, i))]
        return [("peek: no other copy", self.be(s, i, p._replace(at=p.todo[0], todo=())))]

    # ------------------------------------------------------------------------------------------------------------ Cancelling

    def asks(self, s: State) -> Iterator[Step]:
        at = next((i for i, p in enumerate(s.procs) if p.kind == "operator" and p.at == "idle"), None)
        if at is not None and s.left and s.c and "cancel" in self.kinds:
            t = self.be(s._replace(left=s.left - 1, asked=True), at, s.procs[at]._replace(at="look", hash=s.c))
            yield at, "an operator asks for the end", t, True

    def leave(self, s: State, i: int) -> State:
        """Not mine to end, or ended: the reconciler's tick is over, an operator looks again."""
        p, t = s.procs[i], self.end(s, i)
        return t if p.kind != "operator" else self.be(t, i, t.procs[i]._replace(at="look", hash=s.c))

    def at_look(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """Reads K and R: ended, free, or somebody is at work on it."""
        k, r = s.k, s.r
        if s.odd or (k is not None and k.status == "Reserved" and k.hash != p.hash):
            return [("reads K and R: none that it can end", self.end(s, i))]
        if k is None and not (r is not None and r.final):
            return [("reads K: none", self.be(s, i, p._replace(at="reserve", got_k="", got_r="")))]
        if k is None or k.status != "Reserved":
            return [("reads K and R: ended", self.answer(s, i, p))]
        if not k.live or self.broken == "cancel-takes-a-live-lease":
            return [("reads K: free", self.be(s, i, p._replace(at="take", etag_k=True)))]
        at = "watch" if k.mark else "mark"
        return [(f"reads K: live{', marked' if k.mark else ''}", self.be(s, i, p._replace(at=at, etag_k=True)))]

    def at_mark(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """K: CancelReason set (If-Match), still its owner's."""
        if s.k is None or not (p.etag_k or self.broken == "mark-without-if-match"):
            at = "watch" if self.broken == "asked-without-a-mark" else "look"
            return [("marks K: 412", self.be(s, i, Process(p.kind, p.tok, at, hash=p.hash)))]
        t = self.put(s, i, Process(p.kind, p.tok, "watch", hash=p.hash), "k", s.k._replace(mark=s.k.attempt))
        return [("marks K", t)]

    def at_watch(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        """For its owner to see the mark; not for ever."""
        t = self.end(s, i)
        if s.k is not None and not s.k.mark:
            t = t._replace(bad="an operator was told that its mark is there, and it is not")
        out = [("has waited for long enough: requested", t)]
        if s.k is None or s.k.status != "Reserved" or not s.k.live:
            out.append(("looks again", self.be(s, i, Process(p.kind, p.tok, "look", hash=p.hash))))
        return out

    def answer(self, s: State, i: int, p: Process) -> State:
        """What it came to; as cancelled, once F is resolved."""
        if s.r is None or not s.r.cancelled:
            return self.end(s, i)
        if s.f is not None and s.f.open:
            if self.broken != "cancelled-leaves-its-signal":
                return self.be(s, i, Process(p.kind, p.tok, "resolve", hash=p.hash, etag_f=True))
            s = s._replace(bad="an operator was told that the command is cancelled, its failure signal is open")
        return self.end(s, i)

    def at_resolve(self, s: State, i: int, p: Process) -> list[tuple[str, State]]:
        if not p.etag_f or s.f is None:
            return [("resolves F: 412", self.be(s, i, p._replace(at="look", etag_f=False)))]
        t = self.put(s, i, Process(p.kind, p.tok, "look", hash=p.hash), "f", s.f._replace(open=False))
        return [("resolves F", t._replace(closed=True))]

    def sees_mark(self, s: State, i: int, p: Process) -> Iterator[tuple[str, State]]:
        """A renewal finds the mark: stops the lane where no effect is written, otherwise lets it go on to its end."""
        p = p._replace(etag_k=True, mark=True)
        begun = p.at != "first"  # without effects of its own the lane is one step: both may be
        if not (begun and self.sc.effects) or self.broken == "mark-cuts-an-effect":
            t = self.be(s, i, self.next(p._replace(out="failed", fin=True, todo=self.plan, etag_x=False)))
            if s.first == p.n or s.x_applied >> p.n & 1:
                t = t._replace(bad="a lane was stopped by an operator after it had written an effect")
            yield "renews: marked, stops the lane", t
        if begun:
            yield "renews: marked, goes on to its end", self.be(s, i, p)

    # ------------------------------------------------------------------------------------------------------------ all steps

    def steps(self, s: State) -> Iterator[Step]:
        if not self.evidence or self.broken == "evidence-of-another-attempt":
            yield from self.every(s)
            return
        for who, text, t, fault in self.every(s):
            yield who, text, self.tidy(t), fault

    def every(self, s: State) -> Iterator[Step]:
        idle = None
        for i, p in enumerate(s.procs):
            if p.at == "idle":
                if p.kind == "delivery" and idle is None:
                    idle = i
                continue
            for text, t in getattr(self, "at_" + p.at)(s, i, p):
                if p.kind == "late":
                    yield i, text, t._replace(procs=t.procs[:i] + t.procs[i + 1 :]), False
                    continue
                yield i, text, t, False
                if s.left and "lost" in self.kinds and (p.at in WRITES or p.at == "reserve"):
                    yield from self.lost(s, i, p, text, t)
            if p.kind != "late" and s.left:
                yield from self.mishaps(s, i, p)
            if "neighbour" in self.kinds and p.n and (not p.solo or self.broken == "suspect-not-alone"):
                yield i, "dies with its neighbour", self.end(s, i), True
            k = s.k
            mine = k is not None and p.etag_k and k.token == p.tok
            if k is not None and mine and not k.live and not k.released and p.at in OWNER and p.kind != "late":
                yield i, "renews the lease", self.put(s, i, p, "k", k._replace(live=True)), False
            if k is not None and k.mark and not p.mark and k.token == p.tok and p.at in LANE and p.kind == "delivery":
                for text, t in self.sees_mark(s, i, p):
                    yield i, text, t, False
        if idle is not None:
            for m in s.msgs:
                if m.where == "active":
                    msgs = tuple(
                        o._replace(where="locked", holder=idle, deliveries=o.deliveries + (self.sc.deliveries > 0))
                        if o is m
                        else o
                        for o in s.msgs
                    )
                    q = s.procs[idle]._replace(msg=m.id, hash=m.hash, ended=m.ended, failed=m.failed)
                    q = self.gate(s, q)
                    yield idle, f"receives {m.id} ({m.hash})", self.be(s._replace(msgs=msgs), idle, q), False
        yield from self.ticks(s)
        yield from self.asks(s)
        yield from self.clock(s)

    def lost(self, s: State, i: int, p: Process, text: str, t: State) -> Iterator[Step]:
        """The write landed, its answer was lost."""
        left = s.left - 1
        if p.at == "reserve":
            q = t.procs[i]
            if t.k is not s.k and q.at != "key":  # the client sends the insert again: it is there
                r = p._replace(got_k="there", got_r=q.got_r or p.got_r)
                yield i, text + ", answer lost", self.reserved(self.be(t._replace(left=left), i, r), i), True
            elif t.r is not s.r:
                r = p._replace(got_r="there")
                yield i, text + ", answer lost", self.reserved(self.be(t._replace(left=left), i, r), i), True
            return
        if t.k is s.k and t.r is s.r and t.f is s.f and t.stages is s.stages and t.x == s.x:
            return
        q = self.no_answer(p)
        if t.k is not s.k:
            q = q._replace(etag_k=False)
        if t.r is not s.r:
            q = q._replace(etag_r=False)
        if t.f is not s.f:
            q = q._replace(etag_f=False)
        if t.x != s.x:
            q = q._replace(etag_x=False)
        yield i, text + ", answer lost", self.be(t._replace(left=left), i, q), True

    def no_answer(self, p: Process) -> Process:
        if p.at == "excuse":
            return p._replace(at="tell")
        if p.at in ("mark", "resolve"):
            return Process(p.kind, p.tok)  # the operator is told that storage does not answer
        if p.closing == "day":
            return self.settling(p, "deadletter", "store_unreachable")
        if p.at == "drain" and self.broken != "drain-rereads":
            return self.settling(p, "abandon")
        if p.at == "x_write":
            return p._replace(at="x_read", etag_x=False)
        if self.broken == "blind-after-412" and p.todo:
            return self.next(p)
        return p._replace(at="reread")

    def mishaps(self, s: State, i: int, p: Process) -> Iterator[Step]:
        t = s._replace(left=s.left - 1)
        kinds = self.kinds
        if "crash" in kinds:
            yield i, "dies", self.end(t, i), True
        if p.at in WRITES and p.at not in ("first", "drain"):
            if "unsent" in kinds:
                yield i, f"{p.at}: no answer, not landed", self.be(t, i, self.no_answer(p)), True
            if "late" in kinds and p.kind == "delivery":
                late = p._replace(kind="late")
                u = self.be(t, i, self.no_answer(p))
                yield i, f"{p.at}: no answer, still under way", u._replace(procs=(*u.procs, late)), True
        if p.kind != "delivery":
            return
        if "outage" in kinds and p.at in TABLES:
            yield i, f"{p.at}: tables away", self.outage(t, i, p), True
            if "late" in kinds and p.at == "reserve":
                u = self.outage(t, i, p)
                yield i, "1: tables away, still under way", u._replace(procs=(*u.procs, p._replace(kind="late"))), True
        if "blobs" in kinds and p.at in LANE:
            yield i, "2 lane: storage away", self.let_go(t, i, p, "outage"), True
        if "busy" in kinds and p.at in LANE:
            yield i, "2 lane: busy", self.let_go(t, i, p, "busy"), True
        if "day" in kinds and (p.at, p.reason) in (("away", ""), ("excuse", "outage")):
            yield i, "24 h of it", self.give_up(t, i, p), True
        if "send" in kinds and p.at in ("copy", "away") and self.broken != "copy-after-complete":
            reason = "backoff" if p.at == "away" else p.reason
            yield i, "the copy cannot be sent", self.be(t, i, p._replace(at="hold", reason=reason)), True
        if "full" in kinds:
            waits = p.at == "take" and s.k is not None and self.last_owner(s, s.k, p)[2]
            if waits or (p.at == "reserve" and not p.got_k and not p.got_r):
                yield i, "waits: others are running", self.be(t, i, self.settling(p, "away")), True
        if "drain" in kinds and p.at in ("lane", "first", "x_read"):
            yield i, "drains", self.be(t, i, p._replace(at="drain")), True

    def clock(self, s: State) -> Iterator[Step]:
        """What time does."""
        k = s.k
        left = s._replace(left=s.left - 1)
        if k is not None and k.live:
            alive = any(q.tok == k.token and q.at != "idle" and q.kind != "late" for q in s.procs)
            if not alive:
                yield -1, "the lease is over", s._replace(k=k._replace(live=False)), False
            elif s.left and "lease" in self.kinds:
                yield -1, "the lease is over, its owner alive", left._replace(k=k._replace(live=False)), True
        if k is not None and k.ahead:
            yield -1, "NextAttemptAtUtc is reached", s._replace(k=k._replace(ahead=False)), False
        if k is not None and k.status != "Reserved" and s.left and "purge" in self.kinds:
            t = self.put(left, -1, s.procs[0], "k", None)
            yield -1, "K expires and is deleted", t, True
        due = self.due(s)
        if s.odd == "while":
            yield -1, "R can be read again", s._replace(odd=""), False
        if s.left and "unreadable" in self.kinds and s.r is not None and not s.odd:
            t = left._replace(procs=tuple(p._replace(etag_r=False) for p in s.procs))
            yield -1, "R cannot be read for a while", t._replace(odd="while"), True
            yield -1, "R cannot be read any more", t._replace(odd="ever"), True
        for m in s.msgs:
            if m.where == "locked":
                if m.holder == NOBODY:
                    yield -1, f"the lock of {m.id} runs out", self.unlock(s, m.id), False
                elif s.left and "lock" in self.kinds:
                    yield -1, f"the lock of {m.id} runs out, its holder alive", self.unlock(left, m.id), True
            elif m.where in ("scheduled", "backoff"):
                now = tuple(o._replace(where="active") if o is m else o for o in s.msgs)
                if due or m.where == "backoff":
                    yield -1, f"copy {m.id} is due", s._replace(msgs=now), False
                elif s.left and "early" in self.kinds:
                    yield -1, f"copy {m.id} is due early", left._replace(msgs=now), True
        if s.left and "remove" in self.kinds:
            for m in s.msgs:
                if m.where in ("active", "scheduled", "backoff"):
                    msgs = tuple(o for o in s.msgs if o is not m)
                    yield -1, f"somebody removes {m.id}", left._replace(msgs=msgs, removed=True), True
        if s.left and "resend" in self.kinds:
            t = self.send(left, Message(0, "a", "active"))
            yield -1, "the client sends again", t._replace(procs=tuple(p._replace(sure=False) for p in t.procs)), True
        if s.left and "forge" in self.kinds:
            for hash_ in "ab":
                t = self.send(left, Message(0, hash_, "active"))
                t = t._replace(procs=tuple(p._replace(sure=False) for p in t.procs))
                yield -1, f"somebody sends {hash_} under the id", t, True
        if not s.c:
            yield -1, "the API records the command", s._replace(c="a", unsent=True), False
        if s.unsent:
            t = self.send(s._replace(unsent=False), Message(0, "a", "active"))
            yield -1, "the API sends it", t._replace(procs=tuple(p._replace(sure=False) for p in t.procs)), False

    # ------------------------------------------------------------------------------------------------------------ Promised

    def broken_promise(self, s: State) -> str:
        if s.bad:
            return s.bad
        k, r, f = s.k, s.r, s.f
        if not s.c and not (k is None and r is None and f is None):
            return "a row of a command that nobody recorded"
        if k is not None:
            if k.status == "Completed":
                if r is None or not r.final or r.outcome not in SUCCEEDED or r.hash != k.hash:
                    return "key Completed, run not final and succeeded with its hash"
                if (r.attempt, r.outcome) not in s.stages:
                    return "key Completed, the run's attempt has no such terminal stage"
                if self.sc.effects and not (s.first and s.keyed >> r.attempt & 1 and s.x == r.attempt):
                    return "key Completed, effects missing or not those of the run's attempt"
            elif k.status == "Rejected":
                cancelled = r is not None and r.cancelled
                if self.sc.blameless and not s.gave_up and not cancelled:
                    return "rejected, though its lane never failed and never killed its process"
                if not s.blind and (r is None or not r.final or r.outcome != "failed" or r.hash != k.hash):
                    return "key Rejected, run not final and failed with its hash"
                if f is None or not (f.open or s.blind or (cancelled and s.closed)):
                    return "key Rejected, no open failure signal"
            else:
                # (a finished command's key may come again after its expiry, without a message: the stuck rule rolls it forward)
                if not (s.was_completed or s.unsent or s.removed) and not any(m.hash == k.hash for m in s.msgs):
                    return "key Reserved, no message left that could bring it to its end"
                if not self.sc.ungated and k.hash != s.c:
                    return "a key with another hash than the command's"
            if k.excused != s.excused.bit_count() and not s.was_completed:
                return "K excuses another number of attempts than were excused"
            if k.attempt > 2 * self.sc.limit + 3 * self.budget + 2:
                return "taken over more often than limit and faults explain: it may go on for ever"
        if (
            not (s.gave_up or s.blind)
            and r is not None
            and r.outcome
            and any(n == r.attempt and out != r.outcome for n, out in s.stages)
        ):
            return "the run's outcome is not what the stage of the same attempt says"
        if s.was_completed and f is not None and f.open and not s.blind:
            return "open failure signal on a completed command"
        if r is not None and r.cancelled and not (s.asked and r.final):
            return "cancelled, but not final or not by anybody"
        if s.closed and f is not None and f.open:
            return "the failure signal of a cancelled command was opened again"
        owners = [q for q in s.procs if q.at in OWNER and k is not None and q.tok == k.token and q.kind != "late"]
        if len(owners) > 1:
            return "two deliveries hold the same owner token"
        return ""

    def bad_end(self, s: State) -> str:
        """No step is left that is not a fault."""
        if any(m.where != "dead" for m in s.msgs) or any(p.at != "idle" for p in s.procs):
            return "stands still with work left"
        if s.k is None and not (s.r is not None and s.r.final):
            return "no key, and nothing left that would bring the command to its end"
        if s.k is not None and s.k.status == "Reserved":
            return "key Reserved, and nothing left that would bring the command to its end"
        own = s.r.hash if s.r is not None else s.c
        dead = {(m.hash, m.reason) for m in s.msgs}
        if (
            s.r is not None
            and s.r.outcome == "failed"
            and not s.removed
            and not any(h == own and why != "not_recorded" for h, why in dead)
        ):
            return "rejected, its message is not among the dead letters"
        for h, reason in dead:
            ended = s.r is not None and s.r.outcome in SUCCEEDED
            harmless = ("broker", "store_unreachable", "not_recorded")
            if h == own and ended and reason not in harmless and not (self.sc.ungated or s.blind):
                return f"succeeded, but its message is a dead letter {reason}"
            if h != own and reason not in ("idempotency_hash_mismatch", *harmless):
                return f"a message with another hash is a dead letter {reason}"
        if any(h != own for h in self.sc.messages) and not any(h != own for h, _ in dead):
            return "a message with another hash vanished"
        return ""


OWNER = frozenset("lane first keyed x_read x_write stages outcome signal signal_write commit adopt insert_run".split())


# ---------------------------------------------------------------------------------------------------------------- exploring


class Found(NamedTuple):
    what: str
    trace: list[str]


def show(s: State) -> str:
    k = (
        "–"
        if s.k is None
        else f"{s.k.status} {s.k.attempt}-{s.k.excused}{' live' if s.k.live else ''}{' wait' if s.k.ahead else ''}"
        + (" marked" if s.k.mark else "")
    )
    r = "–" if s.r is None else f"{s.r.attempt} {s.r.outcome or 'Running'}{' final' if s.r.final else ''} {s.r.hash}"
    r += " cancelled" if s.r is not None and s.r.cancelled else ""
    f = "–" if s.f is None else f"{'open' if s.f.open else 'resolved'} {s.f.attempt}"
    return f"K {k} | R {r} | F {f} | " + " ".join(
        f"{m.id}{m.hash}:{m.where}{m.reason and '=' + m.reason}" for m in s.msgs
    )


def explore(model: Model, most: int) -> tuple[int, Found | None]:
    """Breadth first over every state: the first violation found is one with the fewest steps."""
    start = model.start()
    ids: dict[State, int] = {start: 0}
    order = [start]
    parent, said = array("q", [-1]), [(-1, "")]
    edges_to, edges_at = array("q"), array("q", [0])  # steps that are no faults, per state
    names = [*"ABCDEFG"[: model.sc.workers], *(["reconciler", "reconciler 2"][: model.sc.reconcilers])]
    names += ["operator", "operator 2"][: model.sc.operators]

    def trace(at: int, what: str) -> Found:
        lines = []
        while at >= 0:
            who, text = said[at]
            name = "" if who < 0 else names[who] + ": " if who < len(names) else "late request: "
            lines.append(f"{name + text:62} {show(order[at])}" if at else f"{'start':62} {show(start)}")
            at = int(parent[at])
        return Found(what, lines[::-1])

    here = 0
    while here < len(order):
        s = order[here]
        moves = 0
        for who, text, t, fault in model.steps(s):
            there = ids.get(t)
            if there is None:
                there = len(order)
                ids[t] = there
                order.append(t)
                parent.append(here)
                said.append((who, text))
                what = model.broken_promise(t)
                if what:
                    return len(order), trace(there, what)
            if not fault:
                moves += 1
                edges_to.append(there)
        edges_at.append(len(edges_to))
        if not moves:
            what = model.bad_end(s)
            if what:
                return len(order), trace(here, what)
        here += 1
        if len(order) > most:
            return len(order), Found(f"gave up after {most} states", [])
    loop = cycle(edges_at, edges_to)
    if loop:
        found = trace(min(loop), "a cycle of steps without any fault: it may go on for ever")
        at = loop.index(min(loop))
        for n in loop[at + 1 :] + loop[: at + 1]:
            found.trace.append(f"{'... then':62} {show(order[n])} {[p.at for p in order[n].procs]}")
        return len(order), found
    return len(order), None


def cycle(at: array[int], to: array[int]) -> list[int]:
    """The states of a cycle of fault-free steps, in order; empty where there is none (then every path ends)."""
    count = len(at) - 1
    into = array("q", bytes(8 * count))
    for t in to:
        into[t] += 1
    free = [n for n in range(count) if not into[n]]
    while free:
        n = free.pop()
        into[n] = -1
        for t in to[at[n] : at[n + 1]]:
            into[t] -= 1
            if not into[t]:
                free.append(t)
    # what is left has a step into it from something left: walk backwards until a state comes again
    before = {t: n for n in range(count) if into[n] > 0 for t in to[at[n] : at[n + 1]]}
    walk: list[int] = []
    n = next((n for n in range(count) if into[n] > 0), -1)
    while n >= 0 and n not in walk:
        walk.append(n)
        n = before[n]
    return walk[walk.index(n) :][::-1] if walk else []


# ---------------------------------------------------------------------------------------------------------------- scenarios

A, B = "a", "b"
SCENARIOS = (
    Scenario(
        "crashes",
        "one delivery at a time, dies anywhere",
        faults="crash",
        budget=3,
        deep_budget=4,
        outcomes=(*SUCCEEDED, "failed"),
    ),
    Scenario(
        "answers",
        "answers lost, requests not landed or landing late",
        faults="lost unsent late crash",
        budget=3,
        deep_budget=4,
    ),
    Scenario("overlap", "two workers, lock and lease run out", workers=2, faults="lock lease crash"),
    Scenario("overlap-answers", "the same, with lost answers", workers=2, faults="lock lease lost unsent", budget=2),
    Scenario("overlap-late", "the same, with requests that land late", workers=2, faults="lock lease late"),
    Scenario("three", "three workers, one message", workers=3, faults="lock lease", budget=2, deep_budget=4),
    Scenario("duplicates", "two copies of one message", (A, A), 2, "crash lease", 1, 2),
    Scenario("other-hash", "a second message, same id, another hash", (A, B), 2, "crash lease lock lost", 1, 2),
    Scenario("forger", "forged at any moment", (), 1, "forge lost unsent", 3, 4, ("succeeded",), blameless=True),
    Scenario("forger-crash", "the same, dies anywhere", (), 1, "forge crash", 2, 3),
    Scenario("forger-overlap", "the same, two workers", (), 2, "forge lease", 2, 3, ("succeeded",)),
    Scenario("forger-outage", "the same, tables away", (), 1, "forge outage day", 2, 3, reconcilers=1),
    Scenario(
        "forger-reconciler", "the broker's own dead letters", (), 1, "forge crash", 2, 3, reconcilers=1, deliveries=1
    ),
    Scenario("ungated", "another hash, let by by an earlier version", (A, B), 2, "crash lease", 1, 2, ungated=True),
    Scenario(
        "purge", "the final key is deleted while the message is left", (A,), 2, "purge crash lock", 2, 3, reconcilers=1
    ),
    Scenario(
        "purge-copies", "the same, with two copies", (A, A), 2, "purge crash", 2, 2, reconcilers=1, deep_only=True
    ),
    Scenario("purge-ungated", "and another hash is let by", (A, B), 1, "purge crash", 2, 3, ungated=True),
    Scenario("drain", "drains", workers=1, faults="drain lost crash", budget=3, deep_budget=4),
    Scenario("outage", "tables away", workers=1, faults="outage late send day", budget=3, deep_budget=4, reconcilers=1),
    Scenario(
        "resend", "tables away for a day, the client sends again", faults="outage day resend", budget=3, reconcilers=1
    ),
    Scenario("outages", "outages of any shape", (A,), 1, "outage lost unsent", 7, 8, ("succeeded",), blameless=True),
    Scenario("busy", "busy, and step by step away", (A,), 1, "busy blobs outage", 6, 8, ("succeeded",), blameless=True),
    Scenario("give-up", "the lane's storage away for a day", (A,), 1, "blobs day crash", 3, 4, ("succeeded",)),
    Scenario("give-up-answers", "with lost answers", (A,), 1, "blobs day lost unsent late", 3, 4, reconcilers=1),
    Scenario("give-up-copies", "the same, with copies", (A, A), 1, "blobs day crash lock", 3, 3, deep_only=True),
    Scenario("killer", "the lane always dies", (A,), 1, "outage drain full", 3, 5, ("dies",)),
    Scenario("killer-copies", "the same, with copies", (A, A), 2, "lease outage", 1, 2, ("dies",)),
    Scenario("mixed", "the lane dies or fails", (A,), 1, "drain lost outage", 2, 4, ("dies", "failed", "succeeded")),
    Scenario(
        "innocent", "beside a killer", (A,), 1, "neighbour drain busy blobs lost", 3, 5, ("succeeded",), blameless=True
    ),
    Scenario(
        "innocent-outage",
        "the same, tables away",
        (A,),
        1,
        "neighbour busy outage lost",
        2,
        4,
        ("succeeded",),
        blameless=True,
    ),
    Scenario("unreadable-only", "a run that cannot be read", (A,), 1, "unreadable send", 2, 3),
    Scenario("unreadable", "the same, step by step away", (A,), 1, "unreadable outage lost crash", 2, 3, reconcilers=1),
    Scenario("unreadable-copies", "the same, with copies", (A, A), 1, "unreadable crash", 1, 2),
    Scenario("send", "copies cannot be sent, or come early", (A,), 1, "send early lock crash full", 3, 4),
    Scenario(
        "reconciler", "the broker's own dead letters", (A,), 1, "crash lock lease", 3, 4, reconcilers=1, deliveries=1
    ),
    Scenario(
        "reconciler-answers", "with lost answers", (A,), 1, "crash lost unsent", 3, 4, reconcilers=1, deliveries=1
    ),
    Scenario("reconciler-copies", "with copies", (A, A), 1, "crash lock stuck", 2, 3, reconcilers=1, deliveries=1),
    Scenario(
        "reconciler-other",
        "with another hash",
        (A, B),
        1,
        "crash",
        3,
        4,
        reconcilers=1,
        deliveries=1,
        ungated=True,
    ),
    Scenario("reconcilers", "two at once", (A,), 1, "crash lock lease", 3, 3, reconcilers=2, deliveries=1),
    Scenario("removed", "messages taken out of the queue", (A,), 1, "remove crash send lost", 3, 4, reconcilers=1),
    Scenario(
        "removed-copies",
        "the same, with two, and the broker's own dead letters",
        (A, A),
        1,
        "remove crash",
        3,
        3,
        reconcilers=1,
        deliveries=1,
    ),
    Scenario("effects", "effects of all kinds", (A,), 2, "lock lease lost", 2, 3, effects=True),
    Scenario("effects-drain", "effects, drains", (A,), 1, "lease drain crash", 2, 3, effects=True),
    Scenario("cancel", "an operator ends it at any moment", (), 1, "cancel crash lease drain", 2, 3, operators=1),
    Scenario("cancel-answers", "the same, with lost answers", (), 1, "cancel lost unsent late", 3, 4, operators=1),
    Scenario("cancel-overlap", "beside a second worker", (A,), 2, "cancel lock lease", 2, 3, operators=1),
    Scenario(
        "cancel-second-owner",
        "while a second worker holds the lease",
        (A, A),
        2,
        "cancel lease",
        2,
        2,
        ("succeeded",),
        operators=1,
    ),
    Scenario(
        "cancel-effects", "between effects of all kinds", (A,), 1, "cancel lease crash", 2, 3, operators=1, effects=True
    ),
    Scenario("cancel-outage", "tables away", (A,), 1, "cancel outage busy send", 3, 4, operators=1),
    Scenario("cancels", "two operators at once", (A,), 1, "cancel lost crash", 2, 3, operators=2),
    Scenario(
        "cancel-reconciler",
        "beside the reconciler",
        (A,),
        1,
        "cancel crash lease",
        3,
        4,
        reconcilers=1,
        operators=1,
        deliveries=1,
    ),
)

BREAKS = {  # name: the scenario that is tried first, what is removed
    "settle-before-commit": ("crashes", "the message is completed before K is"),
    "run-final-before-stages": ("crashes", "4 before 3"),
    "signals-before-run": ("overlap", "5 before 4"),
    "key-before-run": ("crashes", "6 before 4"),
    "takeover-without-run": ("crashes", "after a takeover straight to the lane"),
    "adopt-final-run": ("crashes", "a final run is adopted like any other"),
    "hash-after-status": ("ungated", "the key exists: status first, then hash"),
    "blind-after-412": ("overlap", "409, 412 and lost answers are ignored from 3 on"),
    "token-per-worker": ("crashes", "one owner token for all deliveries of a worker"),
    "no-resolve-where-none": ("overlap", "success after a retry writes no resolved signal where there is none"),
    "reopen-by-lower-attempt": ("overlap", "F is written whatever attempt it carries, as an upsert"),
    "reconciler-any-dead-letter": (
        "reconciler-other",
        "the reconciler takes any dead letter of that id, whoever it belongs to",
    ),
    "reconciler-without-copy-check": ("reconciler-copies", "the reconciler does not look for another copy"),
    "unconditional-run-update": ("overlap", "4 without If-Match"),
    "lease-ignored": ("crashes", "taken over while the lease is live"),
    "drains-count": ("drain", "Excused is left out of the limit"),
    "copy-after-complete": ("crashes", "the scheduled copy is sent after the completion"),
    "keyless-waits-for-ever": ("removed", "a command without a key or a message is never stuck"),
    "keyless-ignored": ("reconciler", "the reconciler ignores dead letters without a key"),
    "keyless-without-copy-check": ("reconciler-copies", "... rejects them without looking for another copy"),
    "lane-twice-in-one-attempt": ("answers", "after a conflict at 3 or 4 the lane is run again with the same number"),
    "final-run-any-hash": ("purge-ungated", "at the run: a final run of another hash is rolled forward"),
    "adopt-keeps-hash": ("ungated", "adopting leaves RequestHash as it is"),
    "adopt-keeps-outcome": ("crashes", "adopting leaves AttemptOutcome as it is"),
    "drain-rereads": ("drain", "a drain whose answer was lost is treated as any other"),
    "shared-row-names-nobody": ("effects", "kind 3: the row does not name run and attempt"),
    "outage-counts": ("outages", "an attempt that storage ended is released, but not excused"),
    "busy-counts": ("busy", "... that another command was in the way of"),
    "excuse-twice-after-lost-answer": (
        "outages",
        "after a lost answer the excusing write is made again, released or not",
    ),
    "evidence-frees-live-lease": ("outages", "a live lease is taken away where the message names its owner"),
    "evidence-of-another-attempt": ("killer", "what the message names is not compared with K's token"),
    "evidence-dropped-while-waiting": ("outages", "the copy that waits for the lease names nobody any more"),
    "evidence-of-the-last-only": ("outages", "after an unanswered takeover the copy names this delivery only"),
    "silent-always-counts": ("innocent", "the first silent attempt counts at once"),
    "silent-never-counts": ("killer", "a silent attempt is suspected for ever, never counted"),
    "suspect-not-alone": ("innocent", "the attempt after a silent one does not run alone"),
    "no-acquittal": ("innocent", "a suspected attempt stays counted when the next one ends heard"),
    "acquitted-before-the-lane": (
        "mixed",
        "a suspect is acquitted by an attempt that storage ended before its lane began",
    ),
    "acquit-twice": ("mixed", "the acquittal leaves Solo as it is"),
    "give-up-leaves-running": ("give-up", "24 h of outage: only the message is dead-lettered"),
    "unreadable-run-goes-round": ("unreadable-only", "copies do not carry failedSteps"),
    "gate-skipped": ("forger", "the record is not read"),
    "reconciler-before-it-is-sent": (
        "forger-reconciler",
        "the reconciler acts on a forger's dead letter while the command is recorded and not yet sent",
    ),
    "mark-dropped-by-takeover": ("cancel", "a takeover writes K without the mark"),
    "mark-found-runs-the-lane": ("cancel", "who takes a marked K over runs the lane all the same"),
    "mark-without-if-match": ("cancel", "the mark is written without If-Match"),
    "mark-cuts-an-effect": ("cancel-effects", "a renewal that finds the mark stops the lane between its effects"),
    "asked-without-a-mark": ("cancel", "who lost the race for the mark is told that it is there"),
    "cancel-takes-a-live-lease": ("cancel", "an operator takes K over although its lease is live"),
    "cancelled-leaves-its-signal": ("cancel", "the failure signal of what was cancelled stays open"),
    "hold-loses-the-message": ("send", "the message is completed although the copy could not be sent"),
}
VARIANTS = {
    "sequence-number-condition": (
        "reconciler",
        "the text's condition in place of the hash: safe, but leaves retry copies and store_unreachable to StuckAfter",
    )
}


def main() -> int:
    gc.disable()  # states hold no cycles, and looking for some among millions costs a sixth of the time
    cli = argparse.ArgumentParser(description="explores protocol.md")
    cli.add_argument("--scenario", action="append", metavar="NAME")
    cli.add_argument("--break", dest="broken", default="", metavar="NAME")
    cli.add_argument("--all-breaks", action="store_true")
    cli.add_argument("--deep", action="store_true")
    cli.add_argument("--list", action="store_true")
    cli.add_argument("--most", type=int, default=3_000_000, help="states per scenario")
    args = cli.parse_args()
    if args.list:
        for sc in SCENARIOS:
            print(f"{sc.name:20} {sc.about}: {sc.budget} of {sc.faults}{' (--deep)' if sc.deep_only else ''}")
        print()
        for kind, what in FAULTS.items():
            print(f"{kind:20} {what}")
        print()
        for name, (first, about) in (BREAKS | VARIANTS).items():
            print(f"--break {name:30} {about} ({first})")
        return 0
    chosen = [sc for sc in SCENARIOS if (sc.name in args.scenario if args.scenario else args.deep or not sc.deep_only)]
    if args.broken and args.broken not in BREAKS | VARIANTS:
        cli.error(f"no such break: {args.broken}")
    if args.all_breaks:
        return max(run(ordered(chosen, name), name, args.deep, args.most, quiet=True) for name in BREAKS)
    if args.broken and not args.scenario:
        chosen = ordered(chosen, args.broken)
    return run(chosen, args.broken, args.deep, args.most)


def ordered(chosen: list[Scenario], broken: str) -> list[Scenario]:
    return sorted(chosen, key=lambda sc: sc.name != (BREAKS | VARIANTS)[broken][0])


def run(chosen: list[Scenario], broken: str, deep: bool, most: int, quiet: bool = False) -> int:
    total, began, bad = 0, time.monotonic(), 0
    for sc in chosen:
        t = time.monotonic()
        states, found = explore(Model(sc, sc.deep_budget if deep else sc.budget, broken), most)
        total += states
        if not quiet:
            print(
                f"{sc.name:20} {states:9} states {time.monotonic() - t:6.1f} s  {'violation' if found else 'ok'}",
                flush=True,
            )
        if found is None:
            continue
        bad = 1
        if quiet and not found.trace:
            continue
        if quiet:
            print(f"{broken:32} caught in {sc.name}, {len(found.trace) - 1} steps: {found.what}", flush=True)
            return 0
        print(f"  {found.what}")
        for line in found.trace:
            print("    " + line)
        if broken:
            break
    if quiet:
        print(f"{broken:32} NOT CAUGHT")
        return 1
    print(f"{total} states in {time.monotonic() - began:.0f} s")
    return bad


if __name__ == "__main__":
    sys.exit(main())
