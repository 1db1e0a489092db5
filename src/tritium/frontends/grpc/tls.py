"""The TLS of the gRPC port, out of the server's options."""

from __future__ import annotations

import ssl

from tritium.errors import InvalidArgumentError
from tritium.frontends.grpc.listener import offer_http2
from tritium.options import GrpcOptions


def tls_context(options: GrpcOptions) -> ssl.SSLContext | None:
    """The context of a listener, None where it speaks in the clear.

    Raises:
        InvalidArgumentError: a file is missing, cannot be read, or holds no certificate or key.
    """
    if not (options.use_tls or options.mutual_tls):
        return None
    if options.certificate is None or options.key is None:
        raise InvalidArgumentError("TLS for gRPC needs a certificate and its key; give both files")
    if options.mutual_tls and options.root_certificate is None:
        raise InvalidArgumentError("mutual TLS for gRPC needs the root certificate of the clients")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(options.certificate, options.key)
    except (OSError, ssl.SSLError) as error:
        raise _unusable("certificate and key", error) from error
    if options.mutual_tls:
        context.verify_mode = ssl.CERT_REQUIRED
        try:
            context.load_verify_locations(options.root_certificate)
        except (OSError, ssl.SSLError) as error:
            raise _unusable("root certificate", error) from error
    return offer_http2(context)


def _unusable(what: str, error: OSError) -> InvalidArgumentError:
    return InvalidArgumentError(f"the {what} of the gRPC port cannot be used: {error.strerror or error}")
