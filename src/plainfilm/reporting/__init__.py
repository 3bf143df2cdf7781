"""Files and pages for people: draws and writes, computes nothing."""
