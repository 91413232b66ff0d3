"use strict";
/*
 * Azurite's tables, looked up by partition as Table Storage looks them up.
 *
 * Azurite keeps a table as one list of entities. A range filters and sorts all of them; a point look-up (also that of
 * each insert, for a duplicate) goes through an index of row keys alone, so that of a table whose rows are all called
 * "run" it looks at every one; and a removal renumbers both of its indices. At 100,000 rows each of these takes
 * tenths of a second, where Table Storage takes the same few milliseconds at any size.
 *
 * Loaded before Azurite, this module keeps beside each list a map of partition key → row key → entity, and answers
 * from it what names both keys; a range is given the entities of its partitions and rows alone, in order. What decides
 * stays Azurite's: its filter is applied to each candidate, its own function pages and makes the continuation, and
 * whatever is not understood here takes Azurite's own path. What is stored and when it is saved is left as it is.
 */

const KEYS = ["PartitionKey", "RowKey"];

/** The entities of one table, by partition key and row key. True as long as Loki tells of each change. */
class Partitions {
  constructor(collection) {
    this.collection = collection;
    this.rows = new Map();
    this.keys = new Order();
    this.usable = true;
    for (const entity of collection.data) this.add(entity);
    if (!this.usable) return;
    // Nothing asks Loki's indices any more, and each removal would renumber them.
    collection.binaryIndices = {};
    collection.on("insert", (entity) => this.add(entity));
    collection.on("delete", (entity) => this.remove(entity));
    collection.on("update", (entity, before) => {
      this.remove(before);
      this.add(entity);
    });
  }

  one(partitionKey, rowKey) {
    return this.rows.get(partitionKey)?.entities.get(rowKey) ?? null;
  }

  add(entity) {
    if (!this.usable) return;
    const { PartitionKey, RowKey } = entity;
    let partition = this.rows.get(PartitionKey);
    // Two entities of one key, in a file that something else wrote, are Azurite's to make sense of.
    if (typeof PartitionKey !== "string" || typeof RowKey !== "string" || partition?.entities.has(RowKey)) {
      this.giveUp();
      return;
    }
    if (partition === undefined) {
      partition = { entities: new Map(), keys: new Order() };
      this.rows.set(PartitionKey, partition);
      this.keys.add(PartitionKey);
    }
    partition.entities.set(RowKey, entity);
    partition.keys.add(RowKey);
  }

  remove({ PartitionKey, RowKey }) {
    const partition = this.rows.get(PartitionKey);
    if (!this.usable || !partition?.entities.delete(RowKey)) return;
    partition.keys.remove(RowKey);
    if (partition.entities.size > 0) return;
    this.rows.delete(PartitionKey);
    this.keys.remove(PartitionKey);
  }

  giveUp() {
    this.usable = false;
    this.rows.clear();
    for (const key of KEYS) this.collection.ensureIndex(key, true);
  }

  /** The entities whose keys are within the bounds, from `next` on, by partition key and then row key. */
  *within(partitions, rows, next) {
    const ahead = partitions.and(new Bounds(next.partitionKey, undefined));
    for (const partitionKey of this.keys.within(ahead, this.rows)) {
      const { entities, keys } = this.rows.get(partitionKey);
      const left = partitionKey === next.partitionKey ? rows.and(new Bounds(next.rowKey, undefined)) : rows;
      for (const rowKey of keys.within(left, entities)) yield entities.get(rowKey);
    }
  }
}

/** The keys of a map in JavaScript's order of strings, which is Azurite's. Sorted when first asked, then kept so. */
class Order {
  constructor() {
    this.sorted = null;
  }

  add(key) {
    this.sorted?.splice(this.place(key), 0, key);
  }

  remove(key) {
    this.sorted?.splice(this.place(key), 1);
  }

  /** How many keys come before `key`. */
  place(key) {
    let [low, high] = [0, this.sorted.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.sorted[middle] < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  *within({ from, end }, map) {
    if (from !== undefined && end === after(from)) {
      if (map.has(from)) yield from;
      return;
    }
    this.sorted ??= [...map.keys()].sort();
    for (let at = from === undefined ? 0 : this.place(from); at < this.sorted.length; at++) {
      if (end !== undefined && !(this.sorted[at] < end)) return;
      yield this.sorted[at];
    }
  }
}

/** The string that comes next after this one. */
const after = (key) => key + "\0";

/** From `from` until before `end`, either undefined where there is none. */
class Bounds {
  constructor(from, end) {
    this.from = from;
    this.end = end;
  }

  and({ from, end }) {
    return new Bounds(
      from === undefined || this.from > from ? this.from : from,
      end === undefined || this.end < end ? this.end : end,
    );
  }
}

const ALL = new Bounds(undefined, undefined);
const BOUNDS = {
  eq: (key) => new Bounds(key, after(key)),
  ge: (key) => new Bounds(key, undefined),
  gt: (key) => new Bounds(after(key), undefined),
  le: (key) => new Bounds(undefined, after(key)),
  lt: (key) => new Bounds(undefined, key),
};
const MIRRORED = { eq: "eq", ge: "le", gt: "lt", le: "ge", lt: "gt" };

/** What Azurite does with the entities of a table, with the words of Loki's Resultset: of entities in order. */
class Candidates {
  constructor(entities) {
    this.entities = entities;
    this.conditions = [];
    this.most = Infinity;
  }

  chain() {
    return this;
  }

  where(condition) {
    this.conditions.push(condition);
    return this;
  }

  sort() {
    return this;
  }

  limit(most) {
    this.most = most;
    return this;
  }

  data() {
    const found = [];
    for (const entity of this.entities) {
      if (found.length >= this.most) break;
      if (this.conditions.every((condition) => condition(entity) === true)) found.push(entity);
    }
    return found;
  }
}

/** Reads a `$filter` into bounds of both keys that hold for all that it lets through; null where Azurite has to. */
function reader(load) {
  const nodes = "table/persistence/QueryInterpreter/QueryNodes";
  const parse = load("table/persistence/QueryInterpreter/QueryParser").default;
  const [And, Identifier, Constant, BigNumber] = ["AndNode", "IdentifierNode", "ConstantNode", "BigNumberNode"].map(
    (name) => load(`${nodes}/${name}`).default,
  );

  // An Int64 in a filter fails on a row where that property is none: on which rows it is tried has to be Azurite's.
  const mayFail = (node) =>
    node instanceof BigNumber || [node.left, node.right].some((part) => part !== undefined && mayFail(part));

  function of(node, key) {
    if (node instanceof And) return of(node.left, key).and(of(node.right, key));
    const { name, left, right } = node;
    const isOf = (one, other) => one instanceof Identifier && one.identifier === key && other instanceof Constant;
    if (isOf(left, right) && typeof right.value === "string") return BOUNDS[name]?.(right.value) ?? ALL;
    if (isOf(right, left) && typeof left.value === "string") return BOUNDS[MIRRORED[name]]?.(left.value) ?? ALL;
    return ALL;
  }

  return (filter) => {
    if (filter === undefined || filter === "") return [ALL, ALL];
    let tree;
    try {
      tree = parse(filter);
    } catch {
      return null; // Azurite says what is wrong with it
    }
    return mayFail(tree) ? null : KEYS.map((key) => of(tree, key));
  };
}

function install(store, read) {
  const indices = new WeakMap();
  const { getEntityCollection, queryTableEntities } = store;

  store.getEntityCollection = function (...names) {
    const collection = getEntityCollection.apply(this, names);
    if (indices.has(collection)) return collection;
    const partitions = new Partitions(collection);
    const { findOne } = collection;
    collection.findOne = function (query) {
      const { PartitionKey, RowKey, ...others } = query;
      const isPoint = typeof PartitionKey === "string" && typeof RowKey === "string";
      if (!partitions.usable || !isPoint || Object.keys(others).length > 0) return findOne.call(this, query);
      return partitions.one(PartitionKey, RowKey);
    };
    indices.set(collection, partitions);
    return collection;
  };

  store.queryTableEntities = async function (context, account, table, options, nextPartitionKey, nextRowKey) {
    const partitions = indices.get(this.getEntityCollection(account, table, context));
    const bounds = partitions.usable ? read(options.filter) : null;
    let asked = this;
    if (bounds !== null) {
      const next = {
        partitionKey: this.decodeContinuationHeader(nextPartitionKey),
        rowKey: this.decodeContinuationHeader(nextRowKey),
      };
      const candidates = partitions.within(bounds[0], bounds[1], next);
      asked = Object.create(this, { getEntityCollection: { value: () => new Candidates(candidates) } });
    }
    return queryTableEntities.call(asked, context, account, table, options, nextPartitionKey, nextRowKey);
  };
}

/** @param {(name: string) => any} load from Azurite's own files, before its start script is loaded */
module.exports = function (load) {
  const store = load("table/persistence/LokiTableMetadataStore").default.prototype;
  for (const name of ["getEntityCollection", "queryTableEntities", "decodeContinuationHeader"]) {
    if (typeof store[name] !== "function") throw new Error(`has no ${name}`);
  }
  install(store, reader(load));
};
