"use strict";
/*
 * Loaded before Azurite's start script: it finds rows by partition (azurite_partitions.cjs), and is spared what our
 * start never uses, which is most of what it loads.
 *
 * Another version of Azurite than the one this was tried with starts unchanged, with a line that says so.
 */

const Module = require("node:module");
const path = require("node:path");

const VERSION = "3.37.0";

/** Azurite gets an empty module in place of this one. */
function leaveOut(file) {
  const empty = new Module(file);
  empty.exports = { __esModule: true };
  empty.loaded = true;
  require.cache[file] = empty;
}

/** @param {string} script Azurite's start script */
module.exports = function (script) {
  try {
    const folder = path.dirname(script);
    const load = (name) => require(path.join(folder, name));
    const { version } = load("../../package.json");
    if (version !== VERSION) throw new Error(`is version ${version}, not ${VERSION}`);
    // The exporters of Microsoft's usage telemetry, which --disableTelemetry leaves unused: two thirds of the start.
    if (process.argv.includes("--disableTelemetry")) leaveOut(Module.createRequire(script).resolve("applicationinsights"));
    // Blobs' metadata in a database server, and with it an object-relational mapper.
    if (process.env.AZURITE_DB === undefined) leaveOut(require.resolve(path.join(folder, "blob/SqlBlobServer")));
    require("./azurite_partitions.cjs")(load);
    const [rows, [account]] = [process.env.MOSAIC_AZURITE_ROWS, process.env.AZURITE_ACCOUNTS?.split(":") ?? []];
    if (rows !== undefined) require("./azurite_rows.cjs")(load, rows, account);
  } catch (error) {
    console.error(`Azurite starts as it is, because it ${error.message}`);
  }
};
