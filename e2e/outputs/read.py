"""Reads a file with Python's parsers: names and values, in base64, one pair a line."""

import base64
import json
import sys
import tomllib


def flat(prefix, value):
    if isinstance(value, dict):
        for name, below in value.items():
            assert isinstance(name, str), f"a name is read as {type(name)}: {name!r}"
            yield from flat(f"{prefix}/{name}" if prefix is not None else name, below)
    else:
        assert isinstance(value, str), f"{prefix!r} is read as {type(value)}: {value!r}"
        yield prefix, value


def read(form, path):
    if form == "json":
        return json.load(open(path, encoding="utf-8"))
    if form == "toml":
        return tomllib.load(open(path, "rb"))
    if form == "yaml":
        import yaml

        return yaml.safe_load(open(path, encoding="utf-8"))
    import dotenv

    return dict(dotenv.dotenv_values(path, interpolate=False))


for name, value in flat(None, read(*sys.argv[1:3])):
    print(*(base64.b64encode(text.encode()).decode() for text in (name, value)))
