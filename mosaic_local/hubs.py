"""Event hubs of the embedded stack beside the product's own: ``name``, ``name:partitions`` or
``name:partitions:group,group``."""

from __future__ import annotations

from pydantic import ValidationError

from mosaic_local.broker.config import EventHubConfig


def declared(text: str) -> EventHubConfig:
    """What ``text`` declares; four partitions and the default consumer group where it says no more. Raises ValueError
    with one line."""
    name, _, rest = text.strip().partition(":")
    partitions, _, groups = rest.partition(":")
    fields: dict[str, object] = {"name": name, "consumer_groups": [one for one in groups.split(",") if one]}
    if partitions:
        fields["partitions"] = partitions
    try:
        return EventHubConfig.model_validate(fields)
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}" for fault in error.errors())
        raise ValueError(f"{text!r} declares no event hub (name:partitions:group,group): {faults}") from None
