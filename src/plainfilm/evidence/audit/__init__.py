"""Whether an accuracy could come from anything but disease."""
