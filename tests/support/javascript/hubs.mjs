// Event Hubs: send, receive, positions, groups, properties, checkpoints. The hub HUB has two partitions and the
// consumer group GROUP; cases share it, and know their own events by a marker.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  EventHubBufferedProducerClient, EventHubConsumerClient, EventHubProducerClient, earliestEventPosition, latestEventPosition,
} from "@azure/event-hubs";
import { EVENT_HUBS, GROUP, HUB, bodies, upTo, withKey } from "./shared.mjs";

const retryOptions = { maxRetries: 0 };
const consumerOf = (group = "$Default", ...more) => new EventHubConsumerClient(group, EVENT_HUBS, HUB, ...more);

/** A producer, and a way to send marked events. */
async function onHub(run) {
  const producer = new EventHubProducerClient(EVENT_HUBS, HUB, { retryOptions });
  const marker = randomUUID();
  const marked = (...all) => all.map((body) => ({ body, properties: { marker } }));
  try {
    await run({ producer, marker, marked, isMine: (event) => event.properties?.marker === marker });
  } finally {
    await producer.close();
  }
}

/** The events that `isMine` as they come, until there are `count`: [{ body, partition, event }]. `begun` runs
 * beside it. */
async function read(consumer, { count, isMine, partition, begun = async () => {}, onEvent = async () => {}, ...options }) {
  const seen = [];
  await new Promise((resolve, reject) => {
    const handlers = {
      processEvents: async (events, context) => {
        for (const event of events.filter(isMine)) {
          seen.push({ body: event.body, partition: context.partitionId, event });
          await onEvent(event, context);
        }
        if (seen.length >= count) resolve();
      },
      processError: async (error) => reject(error),
    };
    const settings = { maxWaitTimeInSeconds: 1, ...options };
    if (partition === undefined) consumer.subscribe(handlers, settings);
    else consumer.subscribe(partition, handlers, settings);
    begun().catch(reject);
  }).finally(() => consumer.close());
  return seen;
}

export const cases = {
  "event hubs": () =>
    onHub(async ({ producer, marked, isMine }) => {
      const consumer = consumerOf();
      assert.deepEqual(await consumer.getPartitionIds(), ["0", "1"]);
      await producer.sendBatch(marked(...upTo(5)), { partitionId: "0" });
      await producer.sendBatch(marked(5, 6, 7, 8, 9), { partitionKey: "k" });
      await producer.sendBatch(marked(10));
      assert.equal((await consumer.getPartitionProperties("0")).isEmpty, false);
      const seen = await read(consumer, { count: 11, isMine, startPosition: earliestEventPosition });
      assert.deepEqual(bodies(seen).sort((a, b) => a - b), upTo(11));
      assert.ok(seen.filter(({ body }) => body < 5).every(({ partition }) => partition === "0"));
      const keyed = seen.filter(({ body }) => body >= 5 && body < 10);
      assert.equal(new Set(keyed.map(({ partition }) => partition)).size, 1);
      assert.deepEqual(bodies(keyed), [5, 6, 7, 8, 9]);
      assert.ok(keyed.every(({ event }) => event.partitionKey === "k"));
    }),

  "hub properties": () =>
    onHub(async ({ producer, marked }) => {
      const consumer = consumerOf();
      for (const client of [producer, consumer]) {
        const told = await client.getEventHubProperties();
        assert.deepEqual([told.name, told.partitionIds], [HUB, ["0", "1"]]);
        assert.ok(told.createdOn instanceof Date && told.createdOn < new Date(Date.now() + 60_000));
      }
      await producer.sendBatch(marked(1), { partitionId: "1" });
      const before = await producer.getPartitionProperties("1");
      await producer.sendBatch(marked(2, 3), { partitionId: "1" });
      const after = await consumer.getPartitionProperties("1");
      assert.deepEqual([after.eventHubName, after.partitionId, after.isEmpty], [HUB, "1", false]);
      assert.equal(after.lastEnqueuedSequenceNumber - before.lastEnqueuedSequenceNumber, 2);
      assert.ok(after.beginningSequenceNumber <= before.lastEnqueuedSequenceNumber);
      assert.ok(Math.abs(after.lastEnqueuedOnUtc - Date.now()) < 60_000);
      await consumer.close();
    }),

  "event batches": () =>
    onHub(async ({ producer, marker, isMine }) => {
      const batch = await producer.createBatch({ partitionId: "1", maxSizeInBytes: 20_000 });
      const properties = { marker, number: 1.5, yes: true };
      while (batch.tryAdd({ body: { text: "ä".repeat(1000) }, properties, contentType: "a/b", correlationId: "c", messageId: "m" }));
      assert.ok(batch.count > 3 && batch.sizeInBytes <= 20_000);
      await producer.sendBatch(batch);
      const seen = await read(consumerOf(), { count: batch.count, isMine, partition: "1", startPosition: earliestEventPosition });
      const { event } = seen[0];
      assert.deepEqual([event.body, event.properties], [{ text: "ä".repeat(1000) }, properties]);
      assert.deepEqual([event.contentType, event.correlationId, event.messageId], ["a/b", "c", "m"]);
      assert.ok(event.enqueuedTimeUtc instanceof Date && typeof event.offset === "string");
      const numbers = seen.map((one) => one.event.sequenceNumber);
      assert.deepEqual(numbers, numbers.map((_, index) => numbers[0] + index));
    }),

  "annotated events": () =>
    onHub(async ({ producer, marker, isMine }) => {
      const sent = {
        bodyType: "value", body: { a: [1, "two"] }, properties: { messageId: "m", subject: "s" },
        applicationProperties: { marker }, messageAnnotations: { "x-mine": 5 },
      };
      await producer.sendBatch([sent], { partitionId: "0" });
      const [{ event }] = await read(consumerOf(), { count: 1, isMine, partition: "0", startPosition: earliestEventPosition });
      const raw = event.getRawAmqpMessage();
      assert.deepEqual([raw.bodyType, raw.body, raw.properties.subject], ["value", { a: [1, "two"] }, "s"]);
      assert.equal(raw.messageAnnotations["x-mine"], 5);
    }),

  positions: () =>
    onHub(async ({ producer, marked, isMine }) => {
      await producer.sendBatch(marked("old"), { partitionId: "0" });
      await new Promise((resolve) => setTimeout(resolve, 20)); // so that times differ
      const enqueuedOn = new Date();
      await producer.sendBatch(marked("a", "b", "c"), { partitionId: "0" });
      const on = { isMine, partition: "0" };
      const all = await read(consumerOf(), { ...on, count: 4, startPosition: earliestEventPosition });
      assert.deepEqual(bodies(all), ["old", "a", "b", "c"]);
      const { sequenceNumber, offset } = all[2].event; // b
      for (const [startPosition, wanted] of [
        [{ sequenceNumber }, ["c"]],
        [{ sequenceNumber, isInclusive: true }, ["b", "c"]],
        [{ offset }, ["c"]],
        [{ offset, isInclusive: true }, ["b", "c"]],
        [{ enqueuedOn }, ["a", "b", "c"]],
      ])
        assert.deepEqual(bodies(await read(consumerOf(), { ...on, count: wanted.length, startPosition })), wanted, JSON.stringify(startPosition));
    }),

  latest: () =>
    onHub(async ({ producer, marked, isMine }) => {
      await producer.sendBatch(marked("before"), { partitionId: "0" });
      let over = false;
      const begun = async () => {
        // A link attaches some time after it was asked for, and nobody tells when.
        for (let number = 0; !over; number++) {
          await producer.sendBatch(marked("after"), { partitionId: "0" });
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      };
      const seen = await read(consumerOf(), { count: 1, isMine, partition: "0", startPosition: latestEventPosition, begun });
      over = true;
      assert.ok(bodies(seen).every((body) => body === "after"));
    }),

  "consumer groups": () =>
    onHub(async ({ producer, marked, isMine }) => {
      await producer.sendBatch(marked(1, 2), { partitionId: "0" });
      await producer.sendBatch(marked(3), { partitionId: "1" });
      const each = await Promise.all(
        ["$Default", GROUP].map((group) => read(consumerOf(group), { count: 3, isMine, startPosition: earliestEventPosition })),
      );
      assert.deepEqual(each.map((seen) => bodies(seen).sort()), [[1, 2, 3], [1, 2, 3]]);
      const unknown = read(consumerOf("nobodys"), { count: 1, isMine, partition: "0", startPosition: earliestEventPosition });
      await assert.rejects(unknown, { code: "MessagingEntityNotFoundError" });
    }),

  "last enqueued": () =>
    onHub(async ({ producer, marked, isMine }) => {
      await producer.sendBatch(marked(...upTo(3)), { partitionId: "1" });
      const told = [];
      const onEvent = async (_, context) => void told.push(context.lastEnqueuedEventProperties);
      const options = { trackLastEnqueuedEventProperties: true, startPosition: earliestEventPosition };
      const seen = await read(consumerOf(), { count: 3, isMine, partition: "1", onEvent, ...options });
      const last = seen.at(-1).event;
      assert.deepEqual([told.at(-1).sequenceNumber, String(told.at(-1).offset)], [last.sequenceNumber, last.offset]);
      assert.ok(told.at(-1).enqueuedOn && told.at(-1).retrievedOn);
    }),

  "owner levels": () =>
    onHub(async ({ producer, marked, isMine }) => {
      await producer.sendBatch(marked(1), { partitionId: "0" });
      const [low, high] = [consumerOf(), consumerOf()];
      const started = withResolvers();
      const lost = withResolvers();
      low.subscribe(
        "0",
        { processEvents: async (events) => void (events.some(isMine) && started.resolve()), processError: async (error) => lost.resolve(error) },
        { startPosition: earliestEventPosition, ownerLevel: 1, maxWaitTimeInSeconds: 1 },
      );
      await started.promise;
      await read(high, { count: 1, isMine, partition: "0", ownerLevel: 2, startPosition: earliestEventPosition });
      assert.equal((await lost.promise).code, "ReceiverDisconnectedError");
      await low.close();
    }),

  checkpoints: () =>
    onHub(async ({ producer, marked, isMine }) => {
      await producer.sendBatch(marked(...upTo(6)), { partitionId: "0" });
      const store = new Store();
      const balanced = { loadBalancingOptions: { strategy: "greedy", updateIntervalInMs: 500 } };
      const options = { isMine, startPosition: earliestEventPosition, maxBatchSize: 1 };
      const onEvent = async (event, context) => {
        if (event.body === 2) await context.updateCheckpoint(event);
      };
      await read(consumerOf("$Default", store, balanced), { count: 4, onEvent, ...options });
      assert.deepEqual(store.checkpoints.map(({ partitionId }) => partitionId), ["0"]);
      assert.deepEqual(store.ownership.map(({ partitionId }) => partitionId).sort(), ["0", "1"]);
      const rest = await read(consumerOf("$Default", store, balanced), { count: 3, ...options });
      assert.deepEqual(bodies(rest), [3, 4, 5]);
    }),

  "buffered producer": () =>
    onHub(async ({ marked, isMine }) => {
      const failed = [];
      const buffered = new EventHubBufferedProducerClient(EVENT_HUBS, HUB, {
        onSendEventsErrorHandler: ({ error }) => failed.push(error), maxWaitTimeInMs: 100,
      });
      await buffered.enqueueEvents(marked(...upTo(20)));
      await buffered.flush();
      await buffered.close();
      assert.deepEqual(failed, []);
      const seen = await read(consumerOf(), { count: 20, isMine, startPosition: earliestEventPosition });
      assert.deepEqual(bodies(seen).sort((a, b) => a - b), upTo(20));
    }),

  "hub refusals": () =>
    onHub(async ({ producer, marked }) => {
      const nowhere = new EventHubProducerClient(EVENT_HUBS, "nowhere", { retryOptions });
      await assert.rejects(nowhere.sendBatch(marked(1)), { code: "MessagingEntityNotFoundError" });
      await nowhere.close();
      await assert.rejects(producer.getPartitionProperties("9"), { code: /ArgumentOutOfRangeError|ArgumentError/ });
      await assert.rejects(producer.sendBatch(marked(1), { partitionId: "9" }), { code: /ArgumentOutOfRangeError|ArgumentError/ });
      const wrong = new EventHubProducerClient(withKey(EVENT_HUBS, "AAAA"), HUB, { retryOptions });
      await assert.rejects(wrong.sendBatch(marked(1)), { code: "UnauthorizedError" });
      await wrong.close();
    }),
};

function withResolvers() {
  const all = {};
  all.promise = new Promise((resolve, reject) => Object.assign(all, { resolve, reject }));
  return all;
}

/** A checkpoint store in memory, as the package's interface asks for it. */
class Store {
  ownership = [];
  checkpoints = [];

  async listOwnership() {
    return this.ownership;
  }

  async claimOwnership(claims) {
    const claimed = claims.map((claim) => ({ ...claim, etag: randomUUID(), lastModifiedTimeInMs: Date.now() }));
    const others = this.ownership.filter((own) => !claims.some(({ partitionId }) => partitionId === own.partitionId));
    this.ownership = [...others, ...claimed];
    return claimed;
  }

  async updateCheckpoint(checkpoint) {
    this.checkpoints = [...this.checkpoints.filter(({ partitionId }) => partitionId !== checkpoint.partitionId), checkpoint];
  }

  async listCheckpoints() {
    return this.checkpoints;
  }
}
