"""Reads a file with Python's parsers and prints what is in it as JSON, names in order."""

import json
import sys


def read(form, path):
    if form == "json":
        return json.load(open(path, encoding="utf-8"))
    if form == "toml":
        import tomllib

        return tomllib.load(open(path, "rb"))
    if form == "yaml":
        import yaml

        return yaml.safe_load(open(path, encoding="utf-8"))
    import dotenv

    return dict(dotenv.dotenv_values(path, interpolate=False))


print(json.dumps(read(*sys.argv[1:3]), sort_keys=True))
