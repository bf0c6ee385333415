"""Optin: binds contractor insurance at the moment an assignment is created."""

import os
from importlib.metadata import version

# gRPC's core writes to stderr what we say ourselves, in one sentence. It reads this when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

__version__ = version("optin")
