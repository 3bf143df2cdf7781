"""The whole way in a browser on this machine: a front to the commands, each of which runs as a process of its own."""
