"""Reads its configuration from seedcar's volume and takes up each change."""

import os
import time

DIR = os.environ.get("SEEDCAR_DIR", "/seedcar/live")


def generation():
    """The name of what is published: another one with each change."""
    return os.readlink(os.path.join(DIR, "..data"))


def load(name):
    """All values by path, of one generation and never of two mixed."""

    def gone(error):
        raise error

    root, values = os.path.join(DIR, name), {}
    for folder, _, files in os.walk(root, onerror=gone):
        for file in files:
            path = os.path.join(folder, file)
            with open(path, encoding="utf-8") as text:
                values[os.path.relpath(path, root)] = text.read()
    del values["..manifest.json"]
    return values


known = None
while True:
    try:
        newest = generation()
        if newest != known:
            config = load(newest)
            known = newest
            print("greeting:", config["greeting"], flush=True)
    except FileNotFoundError:
        continue  # replaced while it was read: there is a newer one
    time.sleep(1)
