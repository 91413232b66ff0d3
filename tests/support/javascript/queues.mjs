// Queues: send, receive, settle, peek, schedule.
import assert from "node:assert/strict";
import { ServiceBusClient } from "@azure/service-bus";
import {
  LOCK, SERVICE_BUS, WAIT, admin, bodies, counts, inAnHour, lockDuration, named, onQueue, subscribed, upTo, withKey,
} from "./shared.mjs";

export const cases = {
  "send and receive": () =>
    onQueue(async ({ sender, receiver }) => {
      const sent = [{ a: 1 }, "text", 3, null, true, [1, 2], "", "ä€😀"];
      await sender.sendMessages(sent.map((body) => ({ body })));
      const batch = await sender.createMessageBatch();
      assert.ok(batch.tryAddMessage({ body: "batched", messageId: "own", applicationProperties: { n: 42, s: "ä" } }));
      await sender.sendMessages(batch);
      const seen = await receiver.receiveMessages(sent.length + 1, WAIT);
      assert.deepEqual(bodies(seen), [...sent, "batched"]);
      assert.deepEqual(seen.at(-1).applicationProperties, { n: 42, s: "ä" });
      assert.equal(seen.at(-1).messageId, "own");
      assert.equal(new Set(seen.map((message) => message.messageId)).size, seen.length);
      for (const message of seen) await receiver.completeMessage(message);
    }),

  "one message": () =>
    onQueue(async ({ queue, sender, one, receiver }) => {
      const properties = {
        messageId: "m", correlationId: "c", contentType: "application/json", subject: "s", to: "t", replyTo: "r",
        replyToSessionId: "rs", partitionKey: "p", timeToLive: 60_000,
        applicationProperties: { text: "ä", number: 1.5, yes: true, none: null },
      };
      const before = Date.now();
      await sender.sendMessages({ body: Buffer.from([0, 255]), ...properties });
      const seen = await one();
      assert.deepEqual([...seen.body], [0, 255]);
      for (const [name, value] of Object.entries(properties)) assert.deepEqual(seen[name], value, name);
      assert.deepEqual([seen.state, seen.deliveryCount], ["active", 0]);
      assert.ok(seen.sequenceNumber.gt(0));
      assert.ok(Math.abs(seen.enqueuedTimeUtc - before) < 10_000);
      assert.ok(Math.abs(seen.expiresAtUtc - seen.enqueuedTimeUtc - 60_000) < 1000);
      assert.ok(seen.lockedUntilUtc > seen.enqueuedTimeUtc);
      await receiver.completeMessage(seen);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    }),

  "a full batch": () =>
    onQueue(async ({ sender, receiver }) => {
      const batch = await sender.createMessageBatch({ maxSizeInBytes: 10_000 });
      while (batch.tryAddMessage({ body: "x".repeat(2000) }));
      assert.ok(batch.count >= 3 && batch.sizeInBytes <= 10_000);
      await sender.sendMessages(batch);
      const seen = await receiver.receiveMessages(batch.count, WAIT);
      for (const message of seen) await receiver.completeMessage(message);
      assert.equal(seen.length, batch.count);
      const large = await sender.createMessageBatch();
      assert.ok(large.maxSizeInBytes >= 256 * 1024);
      assert.equal(large.tryAddMessage({ body: "x".repeat(large.maxSizeInBytes) }), false);
    }),

  "values and sequences": () =>
    onQueue(async ({ sender, receiver }) => {
      const sent = [["value", "text"], ["value", null], ["value", { a: 1 }], ["sequence", [[1, 2]]]];
      for (const [bodyType, body] of sent) await sender.sendMessages({ bodyType, body });
      const seen = await receiver.receiveMessages(sent.length, WAIT);
      assert.deepEqual(bodies(seen), sent.map(([, body]) => body));
    }),

  "annotated messages": () =>
    onQueue(async ({ sender, receiver, one }) => {
      const sent = {
        bodyType: "data",
        body: Buffer.from("annotated"),
        header: { priority: 7, durable: true },
        properties: { messageId: "m", subject: "s", groupId: "g" },
        messageAnnotations: { "x-mine": "a" },
        deliveryAnnotations: { "x-hop": "d" },
        footer: { "x-sum": 5 },
        applicationProperties: { a: 1 },
      };
      await sender.sendMessages([sent, { body: "plain", messageId: "after" }]);
      const message = await one();
      const { _rawAmqpMessage: seen } = message;
      assert.equal(message.body.toString(), "annotated");
      assert.deepEqual([seen.bodyType, seen.header.priority, seen.header.durable], ["data", 7, true]);
      assert.deepEqual([seen.properties.messageId, seen.properties.subject, seen.properties.groupId], ["m", "s", "g"]);
      assert.equal(seen.messageAnnotations["x-mine"], "a");
      assert.deepEqual(seen.footer, { "x-sum": 5 });
      assert.deepEqual([message.applicationProperties, message.subject], [{ a: 1 }, "s"]);
      await receiver.completeMessage(message);
      assert.equal((await one()).messageId, "after");
    }),

  "receive and delete": () =>
    onQueue(async ({ client, queue, sender, receiver }) => {
      await sender.sendMessages(upTo(3).map((body) => ({ body })));
      const taking = client.createReceiver(queue, { receiveMode: "receiveAndDelete" });
      const seen = await taking.receiveMessages(3, WAIT);
      assert.deepEqual(bodies(seen), [0, 1, 2]);
      await assert.rejects(taking.completeMessage(seen[0]), /peekLock|receiveAndDelete/i);
      await taking.close();
      assert.deepEqual(await counts(queue), [0, 0, 0]);
      assert.deepEqual(await receiver.receiveMessages(1, { maxWaitTimeInMs: 200 }), []);
    }),

  iterator: () =>
    onQueue(async ({ queue, sender, receiver }) => {
      await sender.sendMessages(upTo(5).map((body) => ({ body })));
      const seen = [];
      for await (const message of receiver.getMessageIterator()) {
        seen.push(message.body);
        await receiver.completeMessage(message);
        if (seen.length === 3) await sender.sendMessages({ body: "later" });
        if (seen.length === 6) break;
      }
      assert.deepEqual(seen, [0, 1, 2, 3, 4, "later"]);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    }),

  subscribe: () =>
    onQueue(async ({ queue, sender, receiver }) => {
      await sender.sendMessages(upTo(20).map((body) => ({ body })));
      const { seen, errors } = await subscribed(receiver, (all) => all.length === 20, undefined, { maxConcurrentCalls: 4 });
      assert.deepEqual(errors, []);
      assert.deepEqual(bodies(seen).sort((a, b) => a - b), upTo(20));
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    }),

  "subscribe and fail": () =>
    onQueue(
      async ({ queue, sender, receiver, one, dead }) => {
        await sender.sendMessages([{ body: "bad" }, { body: "good" }]);
        const failing = async ({ body }) => {
          if (body === "bad") throw new Error("no");
        };
        const { seen, errors } = await subscribed(receiver, (all) => all.length === 4, failing);
        assert.deepEqual(bodies(seen).filter((body) => body === "bad").length, 3);
        assert.deepEqual(errors.map(({ message }) => message), ["no", "no", "no"]);
        const gone = await one(dead);
        assert.deepEqual([gone.body, gone.deadLetterReason], ["bad", "MaxDeliveryCountExceeded"]);
        assert.deepEqual(await counts(queue), [0, 0, 1]);
      },
      { maxDeliveryCount: 3 },
    ),

  "subscribe and settle": () =>
    onQueue(async ({ queue, sender, receiver, dead }) => {
      const how = ["completeMessage", "abandonMessage", "deadLetterMessage", "deferMessage", "completeMessage"];
      await sender.sendMessages(how.slice(0, 4).map((body) => ({ body })));
      const settle = (message, number) => receiver[how[number - 1]](message);
      const { seen, errors } = await subscribed(receiver, (all) => all.length === 5, settle, { autoCompleteMessages: false });
      assert.deepEqual(errors, []);
      assert.equal(new Set(bodies(seen)).size, 4); // the abandoned one twice
      assert.equal((await dead.peekMessages(5)).length, 1);
      assert.deepEqual((await counts(queue)).slice(1), [0, 1]);
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

  "dead-letter queue": () =>
    onQueue(async ({ client, queue, sender, receiver, one, dead }) => {
      await sender.sendMessages(upTo(4).map((body) => ({ body, applicationProperties: { body } })));
      for (const message of await receiver.receiveMessages(4, WAIT))
        await receiver.deadLetterMessage(message, { deadLetterReason: `r${message.body}` });
      assert.deepEqual(await counts(queue), [0, 0, 4]);
      const [peeked] = await dead.peekMessages(1);
      assert.deepEqual([peeked.body, peeked.deadLetterReason], [0, "r0"]);
      const again = await one(dead);
      await sender.sendMessages({ body: again.body, applicationProperties: again.applicationProperties });
      await dead.completeMessage(again);
      await receiver.completeMessage(await one());
      await dead.abandonMessage(await one(dead));
      const { seen } = await subscribed(dead, (all) => all.length === 3);
      assert.deepEqual(bodies(seen).sort(), [1, 2, 3]);
      const taking = client.createReceiver(queue, { subQueueType: "deadLetter", receiveMode: "receiveAndDelete" });
      assert.deepEqual(await taking.receiveMessages(1, { maxWaitTimeInMs: 200 }), []);
      assert.deepEqual(await counts(queue), [0, 0, 0]);
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

  "deferred and settled": () =>
    onQueue(async ({ queue, sender, receiver, dead }) => {
      await sender.sendMessages(upTo(4).map((body) => ({ body })));
      const taken = await receiver.receiveMessages(4, WAIT);
      for (const message of taken) await receiver.deferMessage(message);
      const numbers = taken.map(({ sequenceNumber }) => sequenceNumber);
      const [completed, abandoned, deferred, buried] = await receiver.receiveDeferredMessages(numbers);
      await receiver.completeMessage(completed);
      await receiver.abandonMessage(abandoned, { a: 1 });
      await receiver.deferMessage(deferred);
      await receiver.deadLetterMessage(buried, { deadLetterReason: "R", deadLetterErrorDescription: "D" });
      assert.deepEqual(bodies(await receiver.receiveDeferredMessages(numbers.slice(1, 3))), [1, 2]);
      const [dug] = await dead.receiveMessages(1, WAIT);
      assert.deepEqual([dug.body, dug.deadLetterReason, dug.deadLetterErrorDescription], [3, "R", "D"]);
      assert.deepEqual(bodies(await receiver.receiveMessages(1, { maxWaitTimeInMs: 200 })), []);
      assert.deepEqual(await counts(queue), [2, 0, 1]);
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

  "schedule by property": () =>
    onQueue(async ({ queue, sender, receiver }) => {
      const due = new Date(Date.now() + 700);
      await sender.sendMessages([{ body: "by property", scheduledEnqueueTimeUtc: due }, { body: "now" }]);
      const [number] = await sender.scheduleMessages({ body: "never" }, inAnHour());
      const seen = await receiver.receiveMessages(1, WAIT);
      seen.push(...(await receiver.receiveMessages(1, WAIT)));
      assert.deepEqual(bodies(seen), ["now", "by property"]);
      assert.ok(seen[1].enqueuedTimeUtc >= due && seen[1].scheduledEnqueueTimeUtc.getTime() === due.getTime());
      await sender.cancelScheduledMessages(number);
      await assert.rejects(sender.cancelScheduledMessages(number), { code: "MessageNotFound" });
      assert.equal((await counts(queue))[1], 0);
    }),

  peek: () =>
    onQueue(async ({ sender, receiver, one }) => {
      await sender.sendMessages(upTo(6).map((body) => ({ body })));
      await sender.scheduleMessages({ body: "scheduled" }, inAnHour());
      await receiver.deferMessage(await one()); // 0
      const locked = await one(); // 1
      const all = await receiver.peekMessages(10, { fromSequenceNumber: (await receiver.peekMessages(1))[0].sequenceNumber });
      assert.deepEqual(all.map(({ body, state }) => [body, state]), [
        [0, "deferred"], ...[1, 2, 3, 4, 5].map((body) => [body, "active"]), ["scheduled", "scheduled"],
      ]);
      assert.equal(all[1].sequenceNumber.toString(), locked.sequenceNumber.toString());
      const from = { fromSequenceNumber: all[3].sequenceNumber };
      assert.deepEqual(bodies(await receiver.peekMessages(2, from)), [3, 4]);
      assert.deepEqual(bodies(await receiver.peekMessages(9)), [5, "scheduled"]); // it goes on where it was
      assert.deepEqual(await receiver.peekMessages(9), []);
      await assert.rejects(receiver.completeMessage(all[2]));
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
      { lockDuration },
    ),

  "renewed lock": () =>
    onQueue(
      async ({ client, queue, sender, receiver, one }) => {
        await sender.sendMessages({ body: "x" });
        const message = await one();
        const before = message.lockedUntilUtc;
        await new Promise((resolve) => setTimeout(resolve, LOCK * 600));
        const until = await receiver.renewMessageLock(message);
        assert.ok(until - before >= LOCK * 500, `${before} ${until}`);
        assert.equal(message.lockedUntilUtc.getTime(), until.getTime());
        const other = client.createReceiver(queue);
        assert.deepEqual(await other.receiveMessages(1, { maxWaitTimeInMs: Math.max(0, before - Date.now()) + LOCK * 200 }), []);
        await receiver.completeMessage(message);
        assert.deepEqual(await counts(queue), [0, 0, 0]);
      },
      { lockDuration },
    ),

  "renewed while processed": () =>
    onQueue(
      async ({ client, queue, sender }) => {
        await sender.sendMessages({ body: "x" });
        const renewing = client.createReceiver(queue, { maxAutoLockRenewalDurationInMs: 60_000 });
        const slow = () => new Promise((resolve) => setTimeout(resolve, LOCK * 2500));
        const { seen, errors } = await subscribed(renewing, (all) => all.length === 1, slow);
        await client.close(); // waits for the settlement
        assert.deepEqual([seen.length, seen[0].deliveryCount, errors], [1, 0, []]);
        assert.deepEqual(await counts(queue), [0, 0, 0]);
      },
      { lockDuration },
    ),

  "time to live": () =>
    onQueue(
      async ({ queue, sender, one, dead }) => {
        await sender.sendMessages({ body: "old", timeToLive: 300 });
        const gone = await one(dead);
        assert.deepEqual([gone.body, gone.deadLetterReason, gone.deliveryCount], ["old", "TTLExpiredException", 0]);
        await sender.sendMessages({ body: "bounded", timeToLive: 86_400_000 });
        const bounded = await one();
        assert.ok(Math.abs(bounded.timeToLive - 3_600_000) < 60_000, bounded.timeToLive); // the queue's own is shorter
        assert.deepEqual((await counts(queue)).slice(2), [1]);
      },
      { deadLetteringOnMessageExpiration: true, defaultMessageTimeToLive: "PT1H" },
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

  "two receivers": () =>
    onQueue(async ({ client, queue, sender }) => {
      await sender.sendMessages(upTo(30).map((body) => ({ body })));
      const seen = [];
      const enough = () => seen.length >= 30;
      const keep = async ({ body }) => void seen.push(body);
      // Whichever of them sees the last message: the other waits on for one of its own.
      await Promise.race([1, 2].map(() => subscribed(client.createReceiver(queue), enough, keep)));
      await client.close();
      assert.deepEqual(seen.sort((a, b) => a - b), upTo(30));
      assert.deepEqual(await counts(queue), [0, 0, 0]);
    }),

  sessions: () =>
    onQueue(async ({ client, queue, sender, one }) => {
      await sender.sendMessages({ body: "x", sessionId: "s" });
      assert.equal((await one()).sessionId, "s");
      await assert.rejects(client.acceptNextSession(queue), /sessions are not implemented/);
      await assert.rejects(client.acceptSession(queue, "s"), { code: "SessionCannotBeLocked" });
      await assert.rejects(admin.createQueue(named(), { requiresSession: true }), /RequiresSession/);
    }),

  refusals: () =>
    onQueue(async ({ client, queue, sender, receiver }) => {
      const nowhere = { code: "MessagingEntityNotFound" };
      await assert.rejects(client.createSender(named()).sendMessages({ body: 1 }), nowhere);
      await assert.rejects(client.createReceiver(named()).receiveMessages(1, WAIT), nowhere);
      await assert.rejects(client.createReceiver(named()).peekMessages(1), nowhere);
      const large = { body: 1, applicationProperties: { large: "x".repeat(70_000) } };
      await assert.rejects(sender.sendMessages(large), { code: "MessageSizeExceeded" });
      await assert.rejects(sender.sendMessages({ body: "x".repeat(300_000) }), { code: "MessageSizeExceeded" });
      await sender.sendMessages({ body: "the link lives on" });
      assert.deepEqual(bodies(await receiver.receiveMessages(1, WAIT)), ["the link lives on"]);
      const wrong = new ServiceBusClient(withKey(SERVICE_BUS, "AAAA"), { retryOptions: { maxRetries: 0 } });
      await assert.rejects(wrong.createSender(queue).sendMessages({ body: 1 }), { code: "UnauthorizedAccess" });
      await wrong.close();
    }),

  "disabled queue": () =>
    onQueue(async ({ queue, sender, receiver }) => {
      const disabled = { code: "MessagingEntityDisabled" };
      const turn = async (status) => admin.updateQueue({ ...(await admin.getQueue(queue)), status });
      await turn("SendDisabled");
      await assert.rejects(sender.sendMessages({ body: 1 }), disabled);
      await turn("ReceiveDisabled");
      await assert.rejects(receiver.receiveMessages(1, WAIT), disabled);
      await sender.sendMessages({ body: "kept" });
      await turn("Active");
      assert.deepEqual(bodies(await receiver.receiveMessages(1, WAIT)), ["kept"]);
    }),
};
