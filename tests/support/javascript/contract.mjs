// The broker by Microsoft's JavaScript clients, unmodified: `node contract.mjs CASE`, with the connection strings in
// SERVICE_BUS, ADMINISTRATION and EVENT_HUBS, and a hub in HUB and GROUP. Ends with 0 where what Azure promises holds.
import assert from "node:assert/strict";
import { cases as administration } from "./administration.mjs";
import { cases as hubs } from "./hubs.mjs";
import { cases as queues } from "./queues.mjs";

const cases = { ...queues, ...administration, ...hubs };
const name = process.argv[2];
if (name === undefined) console.log(JSON.stringify(Object.keys(cases)));
else {
  assert.ok(Object.hasOwn(cases, name), `no case ${name}`);
  await cases[name]();
}
