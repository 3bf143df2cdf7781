"""Answers that are watched: whether scores, refusals and images are still those of the training, and what outcomes say."""
