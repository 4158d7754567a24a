// Reads a JSON file with Node's parser: names and values, in base64, one pair a line.
const fs = require("fs");

function* flat(prefix, value) {
    if (typeof value === "string") {
        yield [prefix, value];
        return;
    }
    for (const [name, below] of Object.entries(value)) {
        yield* flat(prefix === null ? name : `${prefix}/${name}`, below);
    }
}

const read = JSON.parse(fs.readFileSync(process.argv[2], "utf8"));
const lines = [...flat(null, read)].map((pair) => pair.map((text) => Buffer.from(text).toString("base64")).join(" "));
fs.writeSync(1, lines.join("\n"));
