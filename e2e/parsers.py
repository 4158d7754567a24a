"""Reads a file with Python's parsers."""

import json


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
