"""Drawings: values in, SVG and PNG out."""
