// Reads a file with Node's parsers: names and values, in base64, one pair a line. How: json, yaml or
// dotenv (the packages of these names) or core (Node's own for --env-file; without one, dotenv again).
const fs = require("fs");
const util = require("util");

function* flat(prefix, value) {
    if (typeof value === "string") {
        yield [prefix, value];
        return;
    }
    for (const [name, below] of Object.entries(value)) {
        yield* flat(prefix === null ? name : `${prefix}/${name}`, below);
    }
}

const dotenv = (text) => require("dotenv").parse(text);
const yaml = (text) => require("yaml").parse(text);
const parsers = { json: JSON.parse, yaml, dotenv, core: util.parseEnv ?? dotenv };
const [, , file, how] = process.argv;
const read = parsers[how ?? "json"](fs.readFileSync(file, "utf8"));
const base64 = (text) => Buffer.from(text).toString("base64");
fs.writeFileSync(1, [...flat(null, read)].map((pair) => pair.map(base64).join(" ")).join("\n"));
