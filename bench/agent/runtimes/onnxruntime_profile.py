"""Where the nodes of a graph really ran, from ONNX Runtime's own profile of the first run.

The profile is switched off after it. Its file is the one place in which all versions tell which
execution provider ran a node.
"""

import json
import os
import tempfile
import time

NODE_SUFFIX = "_kernel_time"
COPIES = ("MemcpyToHost", "MemcpyFromHost")
"""Nodes that ONNX Runtime adds where the provider changes."""


class Profile(object):
    """A profile into a folder of its own, which goes when it has been read, or with the process."""

    def __init__(self, session_options):
        self._folder = tempfile.TemporaryDirectory(prefix="bench-profile-")
        session_options.enable_profiling = True
        session_options.profile_file_prefix = os.path.join(self._folder.name, "nodes")

    def end(self, session):
        """``{provider: nodes}`` of what has run so far, without the copies between providers."""
        with open(session.end_profiling(), encoding="utf-8") as stream:
            events = json.load(stream)
        self._folder.cleanup()
        return placement(events)


class FirstRun(object):
    """``run`` of a session whose first run is profiled; later ones go straight to it.

    ``finish(facts)`` is called with ``nodes`` and ``first_s``, the seconds of the run alone.
    """

    def __init__(self, run, session, profile, finish):
        self._run = run
        self._session = session
        self._profile = profile
        self._finish = finish
        self.take_split = run.take_split

    def __call__(self, output_names, feed):
        if self._profile is None:
            return self._run(output_names, feed)
        began = time.monotonic()
        arrays = self._run(output_names, feed)
        first_s = time.monotonic() - began
        nodes = self._profile.end(self._session)
        self._profile = None
        self._finish({"first_s": first_s, "nodes": nodes})
        return arrays


def placement(events):
    """``{provider: number of nodes}`` of a profile's events."""
    ran = [
        (event["name"], event["args"])
        for event in events
        if event.get("cat") == "Node" and event["name"].endswith(NODE_SUFFIX)
    ]
    nodes = {(name, said["provider"]) for name, said in ran if said["op_name"] not in COPIES}
    counts = {}
    for _, provider in nodes:
        counts[provider] = counts.get(provider, 0) + 1
    return counts
