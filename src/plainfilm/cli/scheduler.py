"""`plainfilm scheduler`."""

from plainfilm.cli.options import Certificates


def scheduler(*, host: str = "127.0.0.1", port: int = 8786, certificates: Certificates = None) -> None:
    """Hand the jobs of commands with --cluster to workers. Ctrl-C stops.

    Parameters
    ----------
    host
        Address to listen at; any but this machine's own needs certificates: plainfilm cluster certificate DIR.
    port
        Port to listen at; 0 for any that is free.
    """
    from plainfilm.cli import terminal
    from plainfilm.engines import addresses
    from plainfilm.extras import EXTRAS, require

    scheme = "tcp" if addresses.is_loopback(host) and certificates is None else "tls"
    require("a scheduler", *EXTRAS["cluster"])
    from plainfilm.engines.dask import nodes

    def started(address: str) -> None:
        terminal.say(f"Scheduler at {address}. Ctrl-C stops.", f"On each machine: plainfilm worker {address}")

    nodes.run_scheduler(
        f"{scheme}://{addresses.bracketed(host)}:{port}", certificates=certificates or "", started=started
    )
