"""Reads a file with Python's parsers and prints what is in it as JSON, names in order."""

import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).parent.parent))
from parsers import read

print(json.dumps(read(*sys.argv[1:3]), sort_keys=True))
