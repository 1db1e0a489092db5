"""HTTP/2 for servers, sans I/O (RFC 9113): received bytes in; requests, and the bytes of replies, out."""
