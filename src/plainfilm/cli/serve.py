"""`plainfilm serve`."""

import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from plainfilm import NOTICE
from plainfilm.cli.options import AsJson, OnDevice, ShowText, Signed
from plainfilm.cli.output import print_document
from plainfilm.errors import UsageError
from plainfilm.extras import EXTRAS, require
from plainfilm.harmless import harmless
from plainfilm.workflows.parsing import a_choice

_TITLE = "PLAINFILM"


def serve(
    *bundle: Path,
    host: str = "127.0.0.1",
    port: int = 8000,
    allow_host: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006 - read only
    token_file: Annotated[Path | None, Parameter(negative="")] = None,
    tokens: Annotated[Path | None, Parameter(negative="")] = None,
    root_path: str = "",
    proxy: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006 - read only
    certificate: Annotated[Path | None, Parameter(negative="")] = None,
    key: Annotated[Path | None, Parameter(negative="")] = None,
    require_signature: Signed = None,
    site: str | None = None,
    device: OnDevice = None,
    dicom_port: int | None = None,
    dicom_model: str | None = None,
    dicom_by: Annotated[Literal["study"] | None, a_choice] = None,
    dicom_wait: Annotated[float | None, Parameter(metavar="SECONDS")] = None,
    ae_title: str = _TITLE,
    spool: Path | None = None,
    peer: Annotated[list[str], Parameter(negative="")] = [],  # noqa: B006 - read only
    answer_to: str | None = None,
    poll: str | None = None,
    dicom_tls_cert: Annotated[Path | None, Parameter(negative="")] = None,
    dicom_tls_key: Annotated[Path | None, Parameter(negative="")] = None,
    dicom_tls_ca: Annotated[Path | None, Parameter(negative="")] = None,
    log_answers: Annotated[Path | None, Parameter(negative="")] = None,
    log_names: Annotated[bool, Parameter(negative="", show_default=False)] = False,
    show_text: ShowText = False,
    quiet: Annotated[bool, Parameter(help="Log warnings and errors alone.", negative="", show_default=False)] = False,
    as_json: AsJson = False,
) -> None:
    """Serve bundles: a page for people, an API for programs and, with --dicom-port, a node for the PACS.

    Parameters
    ----------
    bundle
        A model.plainfilm of `plainfilm train`, or several; NAME=PATH names one. The first answers whoever names none.
    host
        Address to bind to. Any but this machine's own needs a token: PLAINFILM_TOKEN, --token-file, or --tokens.
    port
        Port of the page and the API; 0 for any that is free.
    allow_host
        A further name by which the server may be called, such as a proxy's; again for more.
    token_file
        A file with the token that the API asks for.
    tokens
        A file of named tokens, each with its rights and its models; see docs/serve.md.
    root_path
        The path under which a proxy shows the server, such as /xray.
    proxy
        Address of a proxy before the server, whose X-Forwarded-For says who the client is; again for more.
    certificate
        PEM file, to serve HTTPS.
    key
        PEM file with the certificate's key.
    site
        The hospital whose calibration is used, by the name that evaluate --recalibrate --site kept it under.
    dicom_port
        Port of the DICOM node; without it there is none.
    dicom_model
        The name of the bundle that answers for the node; by default the first.
    dicom_by
        study: the node sends one report a study, joined as training chose, instead of a report and a picture an image.
    dicom_wait
        With --dicom-by, seconds without another image after which a study is answered; by default 30.
    ae_title
        Application entity title of the node.
    spool
        Folder of what the node has received and not yet answered; by default ~/.local/state/plainfilm/spool.
    peer
        Who may send and is answered: NAME=HOST:PORT (DICOM), NAME=tls://HOST:PORT (DICOM over TLS) or NAME=URL (DICOMweb); again for more.
    answer_to
        The peer that gets all answers; by default whoever sent.
    poll
        A peer with a URL that is asked for new radiographs.
    dicom_tls_cert
        PEM file of the node's certificate: it then listens over TLS alone.
    dicom_tls_key
        PEM file with that certificate's key.
    dicom_tls_ca
        PEM file of the authority whose certificates peers must have, who call and who are called.
    log_answers
        A file that each answer is appended to, without names: time, hashes of bundle and image, answer, verdict; see docs/drift.md.
    log_names
        Keep the name that each file was sent under there too, as its id: where it tells nobody who somebody is.
    """
    require("serving", *EXTRAS["serve"])
    from plainfilm.serve import models, server

    named = ", ".join(each.partition("=")[0] for each in peer)
    node_lines = [f"DICOM  {ae_title} at {host}:{dicom_port}, for {named}"] if dicom_port is not None else []
    settings = server.ServerSettings(
        bundles=models.named(bundle),
        require_signature=require_signature,
        site=site,
        device=device,
        host=host,
        port=port,
        allow_hosts=allow_host,
        token_file=token_file,
        tokens=tokens,
        root_path=root_path,
        proxies=proxy,
        certificate=certificate,
        key=key,
        shows_text=show_text,
        log_answers=log_answers,
        log_names=log_names,
        node=_node(
            host,
            dicom_port,
            ae_title,
            model=dicom_model,
            spool=spool,
            tls=(dicom_tls_cert, dicom_tls_key, dicom_tls_ca),
            peers=peer,
            answer_to=answer_to,
            poll=poll,
            by=dicom_by,
            quiet_s=dicom_wait,
        ),
        node_model=dicom_model,
    )
    server.serve(settings, quiet=quiet, started=partial(_started, node_lines=node_lines, as_json=as_json))


def _started(address: str, served: Iterable[Any], *, node_lines: Sequence[str], as_json: bool) -> None:
    """Say where it is served, and what each model's accuracy is worth."""
    from plainfilm.cli import terminal
    from plainfilm.results.inspection import Serving

    first, *others = (each.examiner for each in served)
    if as_json:
        print_document(Serving(address=address, name=first.identity.name, version=first.identity.version))
        return
    names = {each.examiner: each.name for each in served} if others else {}
    terminal.say(
        f"Serving {first.identity.name} at {address}",
        *node_lines,
        *(line for each in (first, *others) for line in _about(each, names.get(each, ""))),
        terminal.styled(f"{NOTICE} Ctrl-C stops.", "dim"),
    )


def _about(examiner: Any, name: str) -> list[Any]:
    """Say whose calibration a model uses and what its accuracy is worth; before it its name, where there are several."""
    from plainfilm.cli import terminal

    said = [harmless(examiner.about.calibration)] if examiner.about.calibration else []
    head = [f"Model  {name}: {harmless(examiner.identity.name)}"] if name else []
    return [*head, *said, *terminal.worth(examiner.about.metrics, "Worth  ")]


def _node(
    host: str,
    port: int | None,
    ae_title: str,
    *,
    model: str | None,
    spool: Path | None,
    tls: tuple[Path | None, Path | None, Path | None],
    **named: Any,
) -> Any:
    """What makes the DICOM node once the bundle is open, or nothing."""
    if port is None:
        if ae_title != _TITLE or any(each not in (None, []) for each in (model, spool, *tls, *named.values())):
            raise UsageError(
                "Expected --dicom-port with --ae-title, --spool, --peer, --answer-to, --poll, --dicom-model, --dicom-by, --dicom-wait or --dicom-tls-*; "
                "received none. Add it."
            )
        return None
    from plainfilm.serve.dicom.node import DicomNode
    from plainfilm.serve.dicom.secured import Certificates

    certificates = Certificates(certificate=tls[0], key=tls[1], authority=tls[2])

    kept = spool or Path(os.environ.get("XDG_STATE_HOME") or "~/.local/state").expanduser() / "plainfilm" / "spool"
    return partial(DicomNode, host=host, port=port, ae_title=ae_title, spool=kept, certificates=certificates, **named)
