//! Why a TLS handshake came to nothing, as far as a person can do something about it.

/// What was wrong. The transport tells it in words: rustls's own, and the alerts of TLS.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// One of the two does not believe the other's authority.
    Authority,
    /// The peer's certificate is not for the host that was dialled.
    Host,
    /// A certificate has ended, or has not begun.
    Time,
    /// Something else about a certificate.
    Certificate,
    /// What answers speaks no TLS, or not this one.
    NoTls,
}

/// Words of which one is in the text, in the order in which they are looked for.
const WORDS: [(Refusal, &[&str]); 5] = [
    (Refusal::Authority, &["UnknownIssuer", "UnknownCA", "BadSignature", "DecryptError"]),
    (Refusal::Host, &["not valid for name", "NotValidForName", "may not call itself"]),
    (Refusal::Time, &["expired", "Expired", "not valid yet", "NotValidYet"]),
    (Refusal::Certificate, &["certificate", "Certificate", "AccessDenied"]),
    (Refusal::NoTls, &[""]),
];

impl Refusal {
    /// Finds out from the words of an error of the TLS transport.
    pub(crate) fn of(words: &str) -> Self {
        let found = WORDS.iter().find(|(_, any)| any.iter().any(|word| words.contains(word)));
        found.map_or(Self::NoTls, |(refusal, _)| *refusal)
    }

    /// What helps.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::Authority => {
                "the certificates of a cluster are all made by one authority: give the folder with \
                 this cluster's ones, --certs DIR or the variable MIDFLIGHT_CERTS"
            }
            Self::Host => {
                "name the node as its certificate does, or renew that with this host: `midflight \
                 certs --renew --node NAME --host HOST`"
            }
            Self::Time => {
                "see that both clocks are right, and make a new one: midflight certs --renew"
            }
            Self::Certificate => {
                "see what is in the folder of certificates, or make new ones: midflight certs"
            }
            Self::NoTls => {
                "see that the node there is a Midflight node over TLS; for one over plain TCP give \
                 --transport tcp"
            }
        }
    }
}
