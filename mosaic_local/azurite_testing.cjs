"use strict";
/*
 * Time and faults of Azurite, for tests. Loaded only where a stack was started for tests; nothing happens until asked.
 *
 * On both ports, with `Authorization: Bearer <the account's key>`: PUT /$testing/faults {"rules": [...], "seed": n},
 * GET /$testing/faults, both answered by {"struck": {fault: times}}; PUT /$testing/clock {"advanceSeconds": n},
 * answered by {"now": milliseconds since 1970}. What a rule says, mosaic_local/storage_faults.py has.
 */

const { randomUUID } = require("node:crypto");

const ANSWERS = {
  busy: [503, "ServerBusy", "The server is currently unable to receive requests. Please retry your request."],
  throttled: [429, "TooManyRequests", "The request is throttled. Please retry your request."],
  timed_out: [500, "OperationTimedOut", "The operation could not be completed within the permitted time."],
};

// ---------------------------------------------------------------------------------------------------------- time

let ahead = 0;

/** In place of Date: what asks for the present is told the moved one. */
const MovedDate = new Proxy(Date, {
  construct: (real, given, asked) => Reflect.construct(real, given.length ? given : [real.now() + ahead], asked),
  apply: (real) => new real(real.now() + ahead).toString(),
  get: (real, name) => (name === "now" ? () => real.now() + ahead : Reflect.get(real, name)),
});

// -------------------------------------------------------------------------------------------------------- faults

/** The plan, and what is left of it. One seed and one order of requests give one order of faults. */
class Faults {
  follow({ rules, seed }) {
    this.rules = rules.map((rule) => ({ ...rule, left: rule.times ?? Infinity, path: rule.path && glob(rule.path) }));
    this.state = seed;
    this.struck = {};
  }

  /** Of the rules that meet this request, each that holds back and the first other; they are used up by that. */
  meeting(request) {
    const found = [];
    for (const rule of this.rules) {
      const isSecond = rule.fault !== "slow" && found.some(({ fault }) => fault !== "slow");
      if (isSecond || rule.left === 0 || !meets(rule, request) || this.chance() >= rule.probability) continue;
      rule.left -= 1;
      this.struck[rule.fault] = (this.struck[rule.fault] ?? 0) + 1;
      found.push(rule);
    }
    return found;
  }

  /** From 0 to 1: mulberry32, since Math.random takes no seed. */
  chance() {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), this.state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }
}

function meets(rule, { service, operations }) {
  if (rule.service !== null && rule.service !== service) return false;
  return operations.some(({ method, path }) => {
    const entity = path.split(/[/(]/, 1)[0].toLowerCase();
    return (
      (rule.method === null || rule.method === method) &&
      (rule.entity === null || rule.entity.toLowerCase() === entity) &&
      (rule.path === null || rule.path.test(path))
    );
  });
}

/** `*` is any text, `?` any sign, in any case. */
function glob(pattern) {
  const signs = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&").replaceAll("*", ".*").replaceAll("?", ".");
  return new RegExp(`^${signs}$`, "is");
}

/** Method and path, without the account's name, of a request or of what is in a batch. */
function operation(method, target) {
  const path = decodeURIComponent(new URL(target, "http://localhost").pathname);
  return { method, path: path.split("/").slice(2).join("/") };
}

async function operationsOf(request) {
  const own = operation(request.method, request.url);
  if (own.path !== "$batch") return [own];
  const inside = (await peek(request)).matchAll(/^(POST|PUT|MERGE|PATCH|DELETE|GET) (\S+) HTTP\/1\.1\r?$/gm);
  return [own, ...Array.from(inside, ([, method, target]) => operation(method, target))];
}

/** The body, which whoever reads the request finds as it was. */
async function peek(request) {
  const chunks = [];
  const length = Number(request.headers["content-length"] ?? 0);
  let there = 0;
  while (there < length) {
    const chunk = request.read();
    if (chunk === null) {
      if (request.destroyed) return "";
      await new Promise((resolve) => request.once("readable", resolve).once("close", resolve));
    } else {
      chunks.push(chunk);
      there += chunk.length;
    }
  }
  const body = Buffer.concat(chunks);
  if (there > 0) request.unshift(body);
  return body.toString();
}

async function meet(faults, service, request, response, handle) {
  const rules = faults.meeting({ service, operations: await operationsOf(request) });
  for (const { milliseconds } of rules.filter(({ fault }) => fault === "slow")) {
    await new Promise((resolve) => setTimeout(resolve, milliseconds));
  }
  const rule = rules.find(({ fault }) => fault !== "slow");
  if (rule?.fault === "cut") request.socket.resetAndDestroy();
  else if (rule?.fault === "silent") request.resume();
  else if (rule?.fault in ANSWERS) refuse(rule, service, request, response);
  else {
    if (rule !== undefined) loseAnswer(rule.fault === "half_answered", request.socket, response);
    handle();
  }
}

/** As the service does: XML from blobs, what was asked for from tables, nothing but headers to a HEAD. */
function refuse({ fault, retry_after_seconds: retryAfter }, service, request, response) {
  request.resume();
  const [status, code, text] = ANSWERS[fault];
  const id = randomUUID();
  const message = `${text}\nRequestId:${id}\nTime:${new Date().toISOString()}`;
  const asked = /application\/json(;odata=\w+)?/.exec(request.headers.accept ?? "")?.[0];
  const isJson = service === "table" && asked !== undefined;
  response.statusCode = status;
  response.setHeader("x-ms-error-code", code);
  response.setHeader("x-ms-request-id", id);
  response.setHeader("x-ms-version", request.headers["x-ms-version"] ?? "2019-02-02");
  response.setHeader("Content-Type", isJson ? `${asked};streaming=true;charset=utf-8` : "application/xml");
  if (retryAfter !== null) response.setHeader("Retry-After", String(retryAfter));
  response.end(
    isJson
      ? JSON.stringify({ "odata.error": { code, message: { lang: "en-US", value: message } } })
      : `<?xml version="1.0" encoding="utf-8"?><Error><Code>${code}</Code><Message>${message}</Message></Error>`,
  );
}

/** What is asked for happens; of the answer nothing is sent, or `half` of it, and the connection ends. */
function loseAnswer(half, socket, response) {
  const chunks = [];
  const keep = (chunk, encoding) => {
    if (chunk != null && typeof chunk !== "function") chunks.push(Buffer.from(chunk, encoding));
  };
  response.write = (chunk, encoding, done) => {
    keep(chunk, typeof encoding === "string" ? encoding : undefined);
    (typeof encoding === "function" ? encoding : done)?.();
    return true;
  };
  response.end = (chunk, encoding) => {
    keep(chunk, typeof encoding === "string" ? encoding : undefined);
    if (!half) {
      socket.resetAndDestroy();
      return response;
    }
    const body = Buffer.concat(chunks);
    const { "transfer-encoding": _, ...others } = response.getHeaders();
    const headers = { ...others, "content-length": body.length };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    const head = Buffer.from(`HTTP/1.1 ${response.statusCode} \r\n${lines.join("")}\r\n`);
    // An answer of a head alone ends in its first line: what ends later, some clients take for the whole.
    const sent = body.length > 0 ? head.length + (body.length >> 1) : "HTTP/1.1 2".length;
    socket.end(Buffer.concat([head, body]).subarray(0, sent));
    return response;
  };
}

// ------------------------------------------------------------------------------------------------------- control

async function control(faults, key, request, response) {
  const answer = (status, body) => {
    response.statusCode = status;
    response.setHeader("Content-Type", "application/json");
    response.end(JSON.stringify(body));
  };
  if (request.headers.authorization !== `Bearer ${key}`) {
    request.resume();
    answer(401, { error: "the account's key is missing" });
    return;
  }
  const text = await peek(request);
  request.resume();
  const [what, isPut] = [request.url.slice("/$testing/".length), request.method === "PUT"];
  if (what === "clock" && isPut) {
    const { advanceSeconds } = JSON.parse(text);
    const isForward = Number.isFinite(advanceSeconds) && advanceSeconds >= 0;
    if (isForward) ahead += Math.round(advanceSeconds * 1000);
    answer(isForward ? 200 : 400, isForward ? { now: Date.now() } : { error: "time goes forward only" });
  } else if (what === "faults") {
    if (isPut) faults.follow(JSON.parse(text));
    answer(200, { struck: faults.struck });
  } else answer(404, { error: "there is no such thing" });
}

/** @param {(name: string) => any} load from Azurite's own files */
module.exports = function (load) {
  const [, key] = process.env.AZURITE_ACCOUNTS.split(":");
  const faults = new Faults();
  faults.follow({ rules: [], seed: 0 });
  globalThis.Date = MovedDate;
  for (const [service, name] of Object.entries({ blob: "BlobRequestListenerFactory", table: "TableRequestListenerFactory" })) {
    const factory = load(`${service}/${name}`).default.prototype;
    const { createRequestListener } = factory;
    factory.createRequestListener = function () {
      const handle = createRequestListener.call(this);
      return (request, response) => {
        const failed = (error) => {
          console.error(`a fault failed: ${error.stack}`);
          request.socket.destroy();
        };
        if (request.url.startsWith("/$testing/")) void control(faults, key, request, response).catch(failed);
        else if (faults.rules.length === 0) handle(request, response);
        else void meet(faults, service, request, response, () => handle(request, response)).catch(failed);
      };
    };
  }
};
