//! One error type for each operation. Two kinds exist only where a caller would act differently;
//! a backend's detail is in `source`.

use std::error::Error;
use std::fmt;

type Source = Box<dyn Error + Send + Sync>;

macro_rules! operation_error {
    ($(#[$doc:meta])* $error:ident, $kind:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $error {
            kind: $kind,
            source: Option<Source>,
        }

        impl $error {
            /// An error of `kind` with nothing behind it.
            #[must_use]
            pub const fn new(kind: $kind) -> Self {
                Self { kind, source: None }
            }

            /// An error of `kind` because of `source`.
            pub fn because(kind: $kind, source: impl Into<Source>) -> Self {
                Self { kind, source: Some(source.into()) }
            }

            /// What a caller can act on.
            #[must_use]
            pub const fn kind(&self) -> &$kind {
                &self.kind
            }
        }

        impl From<$kind> for $error {
            fn from(kind: $kind) -> Self {
                Self::new(kind)
            }
        }

        impl fmt::Display for $error {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, ": {}"), self.kind)?;
                match &self.source {
                    Some(source) => write!(f, " ({source})"),
                    None => Ok(()),
                }
            }
        }

        impl Error for $error {
            fn source(&self) -> Option<&(dyn Error + 'static)> {
                self.source.as_ref().map(|s| &**s as &(dyn Error + 'static))
            }
        }
    };
}

operation_error!(
    /// An endpoint could not be opened.
    OpenError,
    OpenErrorKind,
    "cannot open an endpoint"
);
operation_error!(
    /// A link could not be made.
    ConnectError,
    ConnectErrorKind,
    "cannot connect"
);
operation_error!(
    /// Something could not be sent.
    SendError,
    SendErrorKind,
    "cannot send"
);

/// Why an endpoint could not be opened.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenErrorKind {
    /// The address belongs to another scheme or is malformed: give another.
    BadAddress,
    /// Somebody has the address already.
    InUse,
    /// The transport does not offer what is needed: take another.
    Unsupported(&'static str),
    /// The system refused: no permission, no descriptors left, no such interface.
    System,
}

impl fmt::Display for OpenErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress => f.write_str("the address is not one of this transport"),
            Self::InUse => f.write_str("the address is in use"),
            Self::Unsupported(what) => write!(f, "the transport does not offer {what}"),
            Self::System => f.write_str("the system refused"),
        }
    }
}

/// Why a link could not be made.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectErrorKind {
    /// The address belongs to another scheme, is malformed, or names nobody who can be dialled.
    BadAddress,
    /// Nobody listens there: whoever did is gone.
    NotFound,
    /// The way there is cut, or the name does not resolve; trying later can help.
    Unreachable,
    /// Nothing was heard within the time allowed for the handshake.
    TimedOut,
    /// The peer is there and said no, or what answered is no Midflight endpoint.
    Refused,
    /// No protocol version in common.
    NoCommonVersion {
        /// Lowest and highest version spoken here.
        ours: (u16, u16),
        /// Lowest and highest version the peer speaks.
        theirs: (u16, u16),
    },
    /// A limit of this endpoint is reached.
    TooMany,
    /// This endpoint is closed.
    Closed,
}

impl fmt::Display for ConnectErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadAddress => f.write_str("the address cannot be dialled"),
            Self::NotFound => f.write_str("nobody listens at the address"),
            Self::Unreachable => f.write_str("the address is out of reach"),
            Self::TimedOut => f.write_str("the handshake took too long"),
            Self::Refused => f.write_str("the peer refused"),
            Self::NoCommonVersion { ours, theirs } => write!(
                f,
                "no common protocol version: ours {} to {}, theirs {} to {}",
                ours.0, ours.1, theirs.0, theirs.1
            ),
            Self::TooMany => f.write_str("too many links or connections"),
            Self::Closed => f.write_str("the endpoint is closed"),
        }
    }
}

/// Why something could not be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendErrorKind {
    /// The connection was closed here: a mistake of the caller.
    Closed,
    /// The link is gone; what was sent and not yet answered may be lost.
    LinkLost,
    /// The outgoing batch is full: wait for [`Link::poll_ready`](crate::Link::poll_ready).
    Full,
    /// The message is longer than [`Capabilities::max_message`](crate::Capabilities::max_message).
    TooLarge,
    /// No further connection can be opened on this link.
    TooMany,
}

impl fmt::Display for SendErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "the connection is closed",
            Self::LinkLost => "the link is lost",
            Self::Full => "the outgoing batch is full",
            Self::TooLarge => "the message is too large for this transport",
            Self::TooMany => "too many connections on this link",
        })
    }
}

/// How a link ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkLoss {
    /// What a caller can act on.
    pub kind: LossKind,
    /// What was seen, for a person.
    pub detail: String,
}

impl LinkLoss {
    /// A loss of `kind` with words for a person.
    pub fn new(kind: LossKind, detail: impl Into<String>) -> Self {
        Self { kind, detail: detail.into() }
    }
}

impl fmt::Display for LinkLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.kind, self.detail)
    }
}

/// The ways in which a link ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LossKind {
    /// Closed by agreement, after everything sent was delivered.
    Closed,
    /// The path broke.
    Broken,
    /// The peer was silent for longer than the heartbeat bound.
    Silent,
    /// The peer sent what the protocol does not allow.
    Violation,
    /// Broken on purpose through `break_link` or `abort`.
    Cut,
}

impl fmt::Display for LossKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "closed",
            Self::Broken => "broken",
            Self::Silent => "silent",
            Self::Violation => "protocol violation",
            Self::Cut => "cut",
        })
    }
}
