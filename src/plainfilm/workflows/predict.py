"""`plainfilm.load`: a bundle that answers, here or on a cluster."""

from pathlib import Path

from plainfilm.arguments import Device, checked
from plainfilm.engines.opening import running
from plainfilm.evidence.inference.predictor import Predictor, opened


@checked
def load(
    path: str | Path,
    *,
    require_signature: str | Path | None = None,
    site: str | None = None,
    device: Device | None = None,
) -> Predictor:
    """Open a bundle to predict with, after everything in it has been checked.

    Parameters
    ----------
    path
        A model.plainfilm.
    require_signature
        A public key (PEM, Ed25519): go on only if the bundle is signed for it.
    site
        The hospital whose calibration is used, by the name that `evaluate` kept it under; by default the bundle's own.
    device
        What its network runs on, as of `train`: cpu, cuda, rocm, openvino, directml, coreml or auto.

    Raises
    ------
    BundleError
        No such file, not a bundle, an altered, truncated or newer one, or one whose network answers otherwise here.
    UsageError
        A site that the bundle does not know, or a device that is not here.
    """
    return opened(path, require_signature=require_signature, site=site, device=device, running=running)
