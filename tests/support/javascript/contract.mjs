// The broker by Microsoft's JavaScript clients, unmodified: `node contract.mjs CASE`, with the connection strings in
// SERVICE_BUS, ADMINISTRATION and EVENT_HUBS. Ends with 0 where what Azure promises holds.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from "@azure/event-hubs";
import { ServiceBusAdministrationClient, ServiceBusClient } from "@azure/service-bus";

const { SERVICE_BUS, ADMINISTRATION, EVENT_HUBS } = process.env;
const WAIT = { maxWaitTimeInMs: 3000 };
const admin = new ServiceBusAdministrationClient(ADMINISTRATION);

/** A queue of the case's own, and a client on it. */
async function onQueue(run, options = {}) {
  const queue = `js-${randomUUID()}`;
  await admin.createQueue(queue, options);
  const client = new ServiceBusClient(SERVICE_BUS, { retryOptions: { maxRetries: 0 } });
  try {
    const receiver = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
    const dead = client.createReceiver(queue, { subQueueType: "deadLetter" });
    const one = async (from = receiver) => {
      const [message] = await from.receiveMessages(1, WAIT);
      assert.ok(message, "no message came");
      return message;
    };
    await run({ client, queue, sender: client.createSender(queue), receiver, dead, one });
  } finally {
    await client.close();
    await admin.deleteQueue(queue);
  }
}

const counts = async (queue) => {
  const told = await admin.getQueueRuntimeProperties(queue);
  return [told.activeMessageCount, told.scheduledMessageCount, told.deadLetterMessageCount];
};

const cases = {
  "send and receive": () =>
    onQueue(async ({ sender, receiver }) => {
      const bodies = [{ a: 1 }, "text", 3, null, true, [1, 2], "", "ä€😀"];
      await sender.sendMessages(bodies.map((body) => ({ body })));
      const batch = await sender.createMessageBatch();
      assert.ok(batch.tryAddMessage({ body: "batched", messageId: "own", applicationProperties: { n: 42, s: "ä" } }));
      await sender.sendMessages(batch);
      const seen = await receiver.receiveMessages(bodies.length + 1, WAIT);
      assert.deepEqual(seen.map((message) => message.body), [...bodies, "batched"]);
      assert.deepEqual(seen.at(-1).applicationProperties, { n: 42, s: "ä" });
      assert.equal(seen.at(-1).messageId, "own");
      assert.equal(new Set(seen.map((message) => message.messageId)).size, seen.length);
      for (const message of seen) await receiver.completeMessage(message);
    }),

  "values and sequences": () =>
    onQueue(async ({ sender, receiver }) => {
      const sent = [["value", "text"], ["value", null], ["value", { a: 1 }], ["sequence", [[1, 2]]]];
      for (const [bodyType, body] of sent) await sender.sendMessages({ bodyType, body });
      const seen = await receiver.receiveMessages(sent.length, WAIT);
      assert.deepEqual(seen.map((message) => message.body), sent.map(([, body]) => body));
    }),

  subscribe: () =>
    onQueue(async ({ queue, sender, receiver }) => {
      const seen = [];
      await new Promise((resolve, reject) => {
        receiver.subscribe({
          processMessage: async (message) => {
            seen.push(message.body);
            if (seen.length === 20) resolve();
          },
          processError: async ({ error }) => reject(error),
        });
        sender.sendMessages(Array.from({ length: 20 }, (_, body) => ({ body }))).catch(reject);
      });
      await receiver.close();
      assert.deepEqual(seen.sort((a, b) => a - b), Array.from({ length: 20 }, (_, body) => body));
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    }),

  abandon: () =>
    onQueue(
      async ({ queue, sender, receiver, one, dead }) => {
        await sender.sendMessages({ body: "x", messageId: "m", applicationProperties: { a: 0, kept: "k" } });
        for (let attempt = 0; attempt < 3; attempt++) {
          const message = await one();
          assert.equal(message.deliveryCount, attempt);
          assert.deepEqual(message.applicationProperties, { a: attempt, kept: "k" });
          await receiver.abandonMessage(message, { a: attempt + 1 });
        }
        assert.deepEqual(await counts(queue), [0, 0, 1]);
        assert.equal((await one(dead)).deadLetterReason, "MaxDeliveryCountExceeded");
      },
      { maxDeliveryCount: 3 },
    ),

  "dead letter": () =>
    onQueue(async ({ sender, receiver, one, dead }) => {
      await sender.sendMessages({ body: "x" });
      const told = { deadLetterReason: "R", deadLetterErrorDescription: "D", extra: 1 };
      await receiver.deadLetterMessage(await one(), told);
      let message = await one(dead);
      await dead.deadLetterMessage(message, { deadLetterReason: "again" });
      message = await one(dead);
      assert.deepEqual([message.deadLetterReason, message.deadLetterErrorDescription], ["R", "D"]);
      assert.equal(message.applicationProperties.extra, 1);
      await dead.completeMessage(message);
    }),

  defer: () =>
    onQueue(async ({ sender, receiver, one }) => {
      await sender.sendMessages({ body: "x" });
      const { sequenceNumber } = await one().then(async (message) => {
        await receiver.deferMessage(message, { why: "later" });
        return message;
      });
      const [message] = await receiver.receiveDeferredMessages(sequenceNumber);
      assert.deepEqual([message.state, message.applicationProperties], ["deferred", { why: "later" }]);
      await receiver.completeMessage(message);
      await assert.rejects(receiver.receiveDeferredMessages(sequenceNumber), { code: "MessageNotFound" });
    }),

  schedule: () =>
    onQueue(async ({ queue, sender, one }) => {
      const [first, second] = await sender.scheduleMessages([{ body: 1 }, { body: 2 }], new Date(Date.now() + 60_000));
      assert.deepEqual(await counts(queue), [0, 2, 0]);
      await sender.cancelScheduledMessages([first, second]);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
      await sender.scheduleMessages({ body: "soon" }, new Date(Date.now() + 300));
      assert.equal((await one()).body, "soon");
    }),

  "peek first": () =>
    onQueue(async ({ receiver, dead }) => {
      const [peeked, dug] = await Promise.all([receiver.peekMessages(1), dead.peekMessages(1)]);
      assert.deepEqual([peeked, dug], [[], []]);
    }),

  "schedule first": () =>
    onQueue(async ({ sender, receiver }) => {
      await sender.scheduleMessages({ body: "x", messageId: "m" }, new Date(Date.now() + 60_000));
      assert.deepEqual((await receiver.peekMessages(5)).map(({ messageId, state }) => [messageId, state]), [["m", "scheduled"]]);
    }),

  "lost lock": () =>
    onQueue(
      async ({ sender, receiver, one }) => {
        await sender.sendMessages({ body: "x" });
        const message = await one();
        const again = await one(); // so the first lock is over
        assert.equal(again.deliveryCount, 1);
        for (const operation of ["completeMessage", "renewMessageLock"])
          await assert.rejects(receiver[operation](message), { code: "MessageLockLost" });
        await receiver.completeMessage(again);
      },
      { lockDuration: "PT1S" },
    ),

  "closed receiver": () =>
    onQueue(async ({ client, queue, sender, receiver }) => {
      await sender.sendMessages({ body: "x" });
      const other = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 0 });
      const [message] = await other.receiveMessages(1, WAIT);
      await other.close();
      assert.deepEqual(await receiver.receiveMessages(1, { maxWaitTimeInMs: 300 }), []);
      await receiver.completeMessage(message);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    }),

  sessions: () =>
    onQueue(async ({ client, queue, sender, one }) => {
      await sender.sendMessages({ body: "x", sessionId: "s" });
      assert.equal((await one()).sessionId, "s");
      await assert.rejects(client.acceptNextSession(queue), /sessions are not implemented/);
      await assert.rejects(admin.createQueue(`js-${randomUUID()}`, { requiresSession: true }), /RequiresSession/);
    }),

  refusals: () =>
    onQueue(async ({ client, sender }) => {
      await assert.rejects(client.createSender("nowhere").sendMessages({ body: 1 }), { code: "MessagingEntityNotFound" });
      const large = { body: 1, applicationProperties: { large: "x".repeat(70_000) } };
      await assert.rejects(sender.sendMessages(large), { code: "MessageSizeExceeded" });
    }),

  administration: async () => {
    const name = `js-${randomUUID()}`;
    assert.equal((await admin.getNamespaceProperties()).messagingSku, "Standard");
    const made = await admin.createQueue(name);
    assert.deepEqual(
      [made.name, made.lockDuration, made.maxDeliveryCount, made.deadLetteringOnMessageExpiration],
      [name, "PT1M", 10, false],
    );
    assert.equal(made.defaultMessageTimeToLive, "P10675199DT2H48M5.4775807S");
    await assert.rejects(admin.createQueue(name.toUpperCase()), { code: "MessageEntityAlreadyExistsError" });
    const changes = { maxSizeInMegabytes: 2048, enableBatchedOperations: false, userMetadata: "ours", lockDuration: "PT7S" };
    await admin.updateQueue({ ...made, ...changes, status: "SendDisabled" });
    const changed = await admin.getQueue(name);
    for (const [field, value] of Object.entries(changes)) assert.equal(changed[field], value);
    assert.equal(changed.status, "SendDisabled");
    assert.deepEqual(await counts(name), [0, 0, 0]);
    const listed = [];
    for await (const queue of admin.listQueues()) listed.push(queue.name);
    assert.ok(listed.includes(name));
    await assert.rejects(admin.createQueue("a b"), { statusCode: 400 });
    await admin.deleteQueue(name);
    assert.equal(await admin.queueExists(name), false);
    await assert.rejects(admin.getQueue(name), { code: "MessageEntityNotFoundError" });
    const wrong = new ServiceBusAdministrationClient(ADMINISTRATION.replace(/SharedAccessKey=[^;]+/, "SharedAccessKey=AAAA"));
    await assert.rejects(wrong.getQueue(name), { statusCode: 401 });
  },

  "event hubs": async () => {
    const hub = "readings";
    const producer = new EventHubProducerClient(EVENT_HUBS, hub);
    const consumer = new EventHubConsumerClient("$Default", EVENT_HUBS, hub);
    try {
      assert.deepEqual(await consumer.getPartitionIds(), ["0", "1"]);
      const seen = new Set();
      const marker = randomUUID();
      await new Promise((resolve, reject) => {
        consumer.subscribe(
          {
            processEvents: async (events) => {
              for (const event of events) if (event.properties?.marker === marker) seen.add(event.body);
              if (seen.size === 10) resolve();
            },
            processError: async (error) => reject(error),
          },
          { startPosition: earliestEventPosition },
        );
        const events = Array.from({ length: 5 }, (_, body) => ({ body, properties: { marker } }));
        producer
          .sendBatch(events, { partitionId: "0" })
          .then(() => producer.sendBatch(events.map((event) => ({ ...event, body: event.body + 5 })), { partitionKey: "k" }))
          .catch(reject);
      });
      assert.equal((await consumer.getPartitionProperties("0")).isEmpty, false);
    } finally {
      await consumer.close();
      await producer.close();
    }
  },
};

const name = process.argv[2];
assert.ok(Object.hasOwn(cases, name), `no case ${name}`);
await cases[name]();
