"""The parts of the siege, one module each: `run(told) -> Row`."""
