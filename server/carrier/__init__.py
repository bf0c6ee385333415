"""Carriers: who issues the policies."""
