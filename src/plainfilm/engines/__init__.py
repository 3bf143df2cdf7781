"""Where jobs run: in this process, in others on this machine, on machines of a cluster. Knows neither films nor networks."""
