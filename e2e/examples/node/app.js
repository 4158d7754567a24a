// Reads its configuration from seedcar's volume and takes up each change.
const fs = require("node:fs");
const path = require("node:path");

const dir = process.env.SEEDCAR_DIR ?? "/seedcar/live";

let shown;

function load() {
  const config = JSON.parse(fs.readFileSync(path.join(dir, "app.json"), "utf8"));
  if (config.greeting !== shown) {
    shown = config.greeting;
    console.log(`greeting: ${shown}`);
  }
}

// The directory, not the file: a new generation comes by a rename of the link ..data.
fs.watch(dir, (_, name) => {
  if (name === "..data") load();
});
load();
