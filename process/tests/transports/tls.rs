//! Over TLS.

cases!(tls);
