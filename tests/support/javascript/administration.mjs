// Queues by the administration client.
import assert from "node:assert/strict";
import { ServiceBusAdministrationClient } from "@azure/service-bus";
import { ADMINISTRATION, admin, counts, named, onQueue, upTo, withKey } from "./shared.mjs";

const NOT_FOUND = { code: "MessageEntityNotFoundError" };

export const cases = {
  administration: async () => {
    const name = named();
    assert.ok(["Standard", "Premium"].includes((await admin.getNamespaceProperties()).messagingSku));
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
    await admin.deleteQueue(name);
    assert.equal(await admin.queueExists(name), false);
    await assert.rejects(admin.getQueue(name), NOT_FOUND);
    const wrong = new ServiceBusAdministrationClient(withKey(ADMINISTRATION, "AAAA"));
    await assert.rejects(wrong.getQueue(name), { statusCode: 401 });
  },

  "queue options": async () => {
    const name = named();
    const options = {
      lockDuration: "PT30S", maxDeliveryCount: 3, defaultMessageTimeToLive: "P7D", maxSizeInMegabytes: 1024,
      deadLetteringOnMessageExpiration: true, enableBatchedOperations: true, userMetadata: "<a> & \"b\" ä", status: "Active",
    };
    const made = await admin.createQueue(name, options);
    const got = await admin.getQueue(name.toUpperCase());
    for (const [field, value] of Object.entries(options))
      assert.deepEqual([made[field], got[field]], [value, value], field);
    assert.deepEqual(
      [got.requiresSession, got.requiresDuplicateDetection, got.enablePartitioning, got.availabilityStatus],
      [false, false, false, "Available"],
    );
    for (const wrong of [
      { requiresSession: true }, { requiresDuplicateDetection: true }, { enablePartitioning: true },
    ])
      await assert.rejects(admin.updateQueue({ ...got, ...wrong }), { statusCode: 400 }, JSON.stringify(wrong));
    for (const wrong of [{ lockDuration: "PT6M" }, { maxDeliveryCount: 0 }, { lockDuration: "soon" }])
      await assert.rejects(admin.updateQueue({ ...got, ...wrong }), { statusCode: 400 }, JSON.stringify(wrong));
    const after = await admin.getQueue(name);
    for (const [field, value] of Object.entries(options)) assert.equal(after[field], value, field);
    await admin.deleteQueue(name);
  },

  "runtime properties": () =>
    onQueue(async ({ queue, sender, receiver, one }) => {
      await sender.sendMessages(upTo(4).map((body) => ({ body: `${body}`.repeat(100) })));
      await sender.scheduleMessages({ body: "later" }, new Date(Date.now() + 60_000));
      await receiver.deadLetterMessage(await one());
      const told = await admin.getQueueRuntimeProperties(queue);
      assert.deepEqual(
        [told.name, told.activeMessageCount, told.deadLetterMessageCount, told.scheduledMessageCount, told.totalMessageCount],
        [queue, 3, 1, 1, 5],
      );
      assert.deepEqual([told.transferMessageCount, told.transferDeadLetterMessageCount], [0, 0]);
      assert.ok(told.sizeInBytes > 300);
      for (const when of [told.createdAt, told.modifiedAt, told.accessedAt]) assert.ok(when instanceof Date);
      const listed = [];
      for await (const each of admin.listQueuesRuntimeProperties()) if (each.name === queue) listed.push(each);
      assert.deepEqual(listed.map((each) => each.totalMessageCount), [5]);
    }),

  "pages of queues": async () => {
    const base = named();
    const names = upTo(5).map((number) => `${base}-${number}`);
    for (const name of names) await admin.createQueue(name);
    try {
      const pages = [];
      let more;
      for await (const page of admin.listQueues().byPage({ maxPageSize: 2 })) {
        assert.ok(page.length <= 2);
        pages.push(page.map(({ name }) => name));
        more ??= page.continuationToken;
      }
      assert.deepEqual(pages.flat().filter((name) => names.includes(name)), names);
      const [second] = [(await admin.listQueues().byPage({ maxPageSize: 2, continuationToken: more }).next()).value];
      assert.deepEqual(second.map(({ name }) => name), pages[1]);
      const runtime = [];
      for await (const page of admin.listQueuesRuntimeProperties().byPage({ maxPageSize: 3 }))
        runtime.push(...page.map(({ name }) => name));
      assert.deepEqual(runtime, pages.flat());
    } finally {
      for (const name of names) await admin.deleteQueue(name);
    }
  },

  "bad names": async () => {
    for (const name of ["a b", "a*b", "a@b", "-a", "a-", "/a", "a/", "x".repeat(261)])
      await assert.rejects(admin.createQueue(name), { statusCode: 400 }, name);
    const nested = `${named()}/in.a_folder`;
    await admin.createQueue(nested);
    assert.equal((await admin.getQueue(nested)).name, nested);
    await admin.deleteQueue(nested);
  },

  "unknown queue": async () => {
    const name = named();
    await assert.rejects(admin.getQueue(name), NOT_FOUND);
    await assert.rejects(admin.getQueueRuntimeProperties(name), NOT_FOUND);
    await assert.rejects(admin.deleteQueue(name), NOT_FOUND);
    const other = await admin.createQueue(named());
    await assert.rejects(admin.updateQueue({ ...other, name }), NOT_FOUND);
    await admin.deleteQueue(other.name);
    assert.equal(await admin.queueExists(name), false);
    assert.equal(await admin.topicExists(name), false);
  },
};
