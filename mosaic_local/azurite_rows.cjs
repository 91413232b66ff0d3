"use strict";
/*
 * Rows that Azurite's tables hold when it begins to listen: by its own store, without a request for each. For tests
 * and benchmarks of many rows.
 *
 * The file is of JSON Lines: {"table": name, "row": the body of the request that would insert it}.
 */

const fs = require("node:fs");
const readline = require("node:readline");

/** @param {(name: string) => any} load from Azurite's own files  @param {string} file  @param {string} account */
module.exports = function (load, file, account) {
  const store = load("table/persistence/LokiTableMetadataStore").default.prototype;
  const { NormalizedEntity } = load("table/entity/NormalizedEntity");
  const { newHighPrecisionTimeStamp, newTableEntityEtag } = load("table/utils/utils");
  const { init } = store;

  store.init = async function () {
    await init.call(this);
    const lastModifiedTime = newHighPrecisionTimeStamp(new Date());
    const tables = new Set();
    for await (const line of readline.createInterface({ input: fs.createReadStream(file) })) {
      const { table, row } = JSON.parse(line);
      if (!tables.has(table)) await this.createTable({}, { account, table });
      tables.add(table);
      const { PartitionKey, RowKey } = row;
      const eTag = newTableEntityEtag(lastModifiedTime);
      const entity = { PartitionKey, RowKey, properties: row, lastModifiedTime, eTag };
      new NormalizedEntity(entity).normalize();
      await this.insertTableEntity({}, table, account, entity, "");
    }
  };
};
