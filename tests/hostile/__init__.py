"""Hostile bundles by name: what builds each, and the reason that opening must give."""

from hostile import arrays, graphs, growth, networks, sizes, texts, wires, zips
from hostile.base import CASES, whole

__all__ = ["CASES", "arrays", "graphs", "growth", "networks", "sizes", "texts", "whole", "wires", "zips"]
