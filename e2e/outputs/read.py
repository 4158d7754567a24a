"""Reads a file with Python's parsers: names and values, in base64, one pair a line."""

import base64
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from parsers import read


def flat(prefix, value):
    if isinstance(value, dict):
        for name, below in value.items():
            assert isinstance(name, str), f"a name is read as {type(name)}: {name!r}"
            yield from flat(f"{prefix}/{name}" if prefix is not None else name, below)
    else:
        assert isinstance(value, str), f"{prefix!r} is read as {type(value)}: {value!r}"
        yield prefix, value


for name, value in flat(None, read(*sys.argv[1:3])):
    print(*(base64.b64encode(text.encode()).decode() for text in (name, value)))
