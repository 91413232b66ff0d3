// What the cases share: clients, and a queue of the case's own.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { ServiceBusAdministrationClient, ServiceBusClient } from "@azure/service-bus";

export const { SERVICE_BUS, ADMINISTRATION, EVENT_HUBS, HUB, GROUP } = process.env;
/** Names of entities begin so: whoever lends the namespace knows what is ours. */
const PREFIX = process.env.PREFIX ?? "js";
/** Seconds: the shortest lock that the back end knows. */
export const LOCK = Number(process.env.SHORTEST_LOCK ?? 1);
export const lockDuration = `PT${LOCK}S`;
export const WAIT = { maxWaitTimeInMs: 3000 + LOCK * 1000 };
export const admin = ADMINISTRATION ? new ServiceBusAdministrationClient(ADMINISTRATION) : undefined;
export const named = () => `${PREFIX}-${randomUUID()}`;
export const upTo = (count) => Array.from({ length: count }, (_, number) => number);
export const inAnHour = () => new Date(Date.now() + 3_600_000);
export const bodies = (messages) => messages.map((message) => message.body);
export const withKey = (connection, key) => connection.replace(/SharedAccessKey=[^;]+/, `SharedAccessKey=${key}`);

/** A queue of the case's own, and a client on it. */
export async function onQueue(run, options = {}) {
  const queue = named();
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

/** [active, scheduled, dead-lettered] */
export const counts = async (queue) => {
  const told = await admin.getQueueRuntimeProperties(queue);
  return [told.activeMessageCount, told.scheduledMessageCount, told.deadLetterMessageCount];
};

/** Subscribes until `finished(messages so far)`; what `process` raises, and what is told, are in `errors`. */
export async function subscribed(receiver, finished, process = async () => {}, options = {}) {
  const seen = [];
  const errors = [];
  await new Promise((resolve) => {
    receiver.subscribe(
      {
        processMessage: async (message) => {
          seen.push(message);
          try {
            await process(message, seen.length);
          } finally {
            if (finished(seen)) setImmediate(resolve);
          }
        },
        processError: async ({ error }) => void errors.push(error),
      },
      options,
    );
  });
  await receiver.close();
  return { seen, errors };
}
