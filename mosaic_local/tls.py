"""The certificate of the broker's administration endpoint: the Service Bus administration client speaks https only."""

from __future__ import annotations

from pathlib import Path

import trustme

from mosaic_local.state import write_private


def ensure(folder: Path) -> tuple[Path, Path, Path]:
    """The files of the certificate authority, the server's certificate chain, and its key; made where they are
    missing."""
    authority_file, certificate_file, key_file = folder / "ca.pem", folder / "cert.pem", folder / "key.pem"
    if not (authority_file.is_file() and certificate_file.is_file() and key_file.is_file()):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        authority = trustme.CA(organization_name="Mosaic embedded stack")
        server = authority.issue_cert("localhost", "127.0.0.1")
        write_private(key_file, server.private_key_pem.bytes().decode())
        write_private(certificate_file, "".join(pem.bytes().decode() for pem in server.cert_chain_pems))
        write_private(authority_file, authority.cert_pem.bytes().decode())
    return authority_file, certificate_file, key_file
