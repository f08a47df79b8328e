"""Shards of a job beyond one machine: handed to a Ray cluster behind the calls that also run here.

A job is a pure function over shards: plain values in, plain values out. The caller cuts the shards, always in
the same way, and puts the results in order; so nothing that is written depends on who computed what, or when.
"""

from workbench.cluster.kept_lines import KeptLines
from workbench.cluster.ray_engine import ENGINES, Needs, check_engine, connected, over_ray

__all__ = ["ENGINES", "KeptLines", "Needs", "check_engine", "connected", "over_ray"]
