"""The sample's function: events in, rows out (`notifications`)."""

from __future__ import annotations

import os
from functools import cache

import azure.functions as func
from azure.data.tables import TableClient, TableServiceClient
from notifications import TABLE, tell

app = func.FunctionApp()


@cache
def table() -> TableClient:
    """Made once in a process. By a connection string here; in Azure rather by the app's identity."""
    return TableServiceClient.from_connection_string(os.environ["TablesConnection"]).create_table_if_not_exists(TABLE)


@app.function_name("notify_household")
@app.event_hub_message_trigger(
    arg_name="events",
    event_hub_name="%TelemetryHub%",
    connection="EventHubsConnection",
    consumer_group="%ConsumerGroup%",
    cardinality=func.Cardinality.MANY,
)
@app.retry(
    strategy="exponential_backoff", max_retry_count="-1", minimum_interval="00:00:05", maximum_interval="00:05:00"
)
def notify_household(events: list[func.EventHubEvent]) -> None:
    tell((event.get_body() for event in events), table)
