"""Inputs unlike the training images."""
