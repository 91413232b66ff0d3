"""An AMQP 1.0 broker with the semantics of Azure Service Bus queues and Azure Event Hubs, for development and tests.

It runs as a process of its own (`python -m mosaic_local.broker --config FILE`) and is spoken to by the unmodified
azure-servicebus and azure-eventhub SDKs, with `UseDevelopmentEmulator=true` in the connection string, by Microsoft's
JavaScript clients, and by AMQP 1.0 clients of other makers. It listens on loopback by default and is never deployed.

Imitated, Service Bus
    Send: single, batch, several at once; scheduled, by `schedule_messages` and by the message's own annotation; cancel.
    Receive: peek-lock and receive-and-delete; complete, abandon (with properties), dead-letter (reason, description),
    defer and receive by sequence number, renew; settlement by disposition and by `$management`. Released deliveries
    count nothing; modified ones count, whether or not the client says that the delivery failed.
    A message without an id is given one when it is taken in. Time to live and expiry are the queue's where those are
    shorter. Bodies of every kind, or none, and properties pass as the bytes that they came as, 64 KB of properties at
    most. A session id on a queue is one more property.
    Locks outlive what took them: closing a receiver, or losing its connection, leaves its locked messages locked until
    the lock runs out, as in Azure. A lock that ran out counts one delivery; a settlement by it is refused with
    `com.microsoft:message-lock-lost`. At the maximum delivery count a message moves to `$DeadLetterQueue` with
    `MaxDeliveryCountExceeded`, at the end of its time to live with `TTLExpiredException`; a dead letter keeps its
    sequence number, has no time to live and no delivery limit, and keeps its first reason. A scheduled message gets a
    new sequence number when it falls due.
    Peek shows everything: active, locked, deferred, scheduled; in the dead-letter queue too.
    Names are case-insensitive; 256 KiB a message (Standard tier), refused with `amqp:link:message-size-exceeded`.
    Administration (ATOM over HTTPS): get, list, create, update, delete queues, with Azure's defaults; runtime
    properties. Size, batched operations and user metadata are kept and given back, and do nothing. `ReceiveDisabled`,
    `SendDisabled` and `Disabled` detach the links in question and refuse new ones with `com.microsoft:entity-disabled`.
    Settlement of what is already locked, peeking, and the dead-letter queue stay usable under `ReceiveDisabled`.

Imitated, Event Hubs
    Send single events and batches, by partition id, partition key (a stable hash) or round robin; hub and partition
    properties; receive from an offset, a sequence number, an enqueued time, `-1` or `@latest`, for any number of
    consumers and consumer groups at once; owner levels (epochs); the last enqueued event with each event, for
    consumers that ask. Offsets are sequence numbers written as text.
    Retention is by count and size for each partition, not by time.

Imitated, security
    `$cbs` put-token; SASL ANONYMOUS, and PLAIN with the key's name and the key, which opens everything. A token for an
    entity's `$management` opens that alone; one for an entity that is not there is refused with 404. Where the config
    names `sasKeyName` and `sasKey`, tokens are verified (name, HMAC, expiry) and a link needs a valid one that covers
    its entity; without them every token is taken. A link is not cut when its token ends later on.

Refused, loudly (`amqp:not-implemented`, over HTTPS 400 with the reason)
    Sessions (session receivers, queues that require them), transactions, duplicate
    detection, auto-forwarding, auto-delete on idle, partitioned queues, topics, subscriptions, rules, batch deletion.

State
    With a state folder, everything acknowledged survives a restart and `kill -9` (not a power cut): messages of all
    states with their counts, sequence numbers, schedules, dead letters, event logs. Locks do not survive: what was
    locked is active (or deferred) again, its count kept. Nothing leaves the broker before what caused it is committed.
    Queues that an administrator created survive too; for those in the config, the config decides, except for their
    status.
"""
