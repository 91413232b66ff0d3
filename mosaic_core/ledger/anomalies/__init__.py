"""What in a household's ledger a person should look at: eight kinds of finding, by robust statistics. Pure.

``find_anomalies`` is the sweep lane's and the evaluation's one entrance; ``finding_key`` gives the identity under which
a finding is raised once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import date
from typing import Final

from mosaic_core.domain.transactions import Finding, FindingKind, Transaction
from mosaic_core.ledger.anomalies.ledgerview import LedgerView
from mosaic_core.ledger.anomalies.purchases import amount_outliers, card_testing, duplicate_charges, first_time_large
from mosaic_core.ledger.anomalies.rhythms import missed, new_recurring, price_rises
from mosaic_core.ledger.recurring import find_series
from mosaic_core.ledger.rows import rows_of

KINDS: Final = tuple(FindingKind)


def find_anomalies(transactions: Iterable[Transaction], *, as_of: date, lookback_days: int) -> list[Finding]:
    """All findings that became evident within ``lookback_days`` up to ``as_of``, oldest first.

    Everything given up to ``as_of`` serves as history; later rows are ignored. The order of the input does not matter,
    and the same input gives the same findings. Amounts are compared within one currency only.
    """
    rows = [row for row in rows_of(transactions, as_of) if row.measurable]
    if not rows:
        return []
    view = LedgerView.of(rows, find_series(rows), as_of)
    evident = [*duplicate_charges(view), *card_testing(view), *price_rises(view), *missed(view), *new_recurring(view)]
    taken = {
        (tx_id)
        for found in evident
        if found.finding.kind in (FindingKind.CARD_TESTING, FindingKind.NEW_RECURRING)
        for tx_id in found.finding.transaction_ids
    }
    evident += [found for found in amount_outliers(view) if taken.isdisjoint(found.finding.transaction_ids)]
    evident += [found for found in first_time_large(view) if taken.isdisjoint(found.finding.transaction_ids)]
    since = as_of.toordinal() - lookback_days
    findings = [found.finding for found in evident if since < found.evident_day <= as_of.toordinal()]
    return sorted(findings, key=lambda f: (f.date, KINDS.index(f.kind), f.transaction_ids, f.series or ""))


def finding_key(household_id: str, finding: Finding) -> str:
    """The finding's identity, 32 hex digits: the same in a later sweep with more data, another for another finding."""
    rests_on = finding.anchor or ",".join(finding.transaction_ids)
    text = "\x1f".join((household_id, finding.kind, rests_on))
    return hashlib.sha256(text.encode()).hexdigest()[:32]


__all__ = ["KINDS", "find_anomalies", "finding_key"]
