"""Optin: binds contractor insurance at the moment an assignment is created."""

from importlib.metadata import version

__version__ = version("optin")
