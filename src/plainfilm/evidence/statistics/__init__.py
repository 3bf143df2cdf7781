"""Estimates with intervals: arrays in, numbers out."""
