//! How a run can fail, what to do about it, and the exit code: the one place that says so.

use std::path::PathBuf;
use std::process::ExitCode;

use midflight_dsu::builder::BuildError;
use midflight_dsu::bundle::BundleError;
use midflight_dsu::protocol::Objection;
use midflight_process::{AskError, CallError, JoinError, SendError, StartError, WeakSecret};
use midflight_transport_api::{ConnectError, ConnectErrorKind, OpenErrorKind};

use crate::certs::CertsError;
use crate::output::note;
use crate::tls::{Refusal, TlsError};

/// Ran, and found something wrong.
const WRONG: u8 = 1;
/// The command line is wrong.
const USAGE: u8 = 2;
/// A node cannot be reached.
const UNREACHABLE: u8 = 3;
/// Somebody said no.
const REFUSED: u8 = 4;
/// The machine lacks something.
const ENVIRONMENT: u8 = 5;

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    #[error("{0}")]
    Usage(String),
    #[error("`{address}` is no address")]
    BadAddress { address: String },
    #[error("{0}")]
    Wrong(String),
    #[error("{0}")]
    Refused(String),
    #[error("refused, and everything runs as before:{}", list(.0))]
    Objections(Vec<Objection>),
    #[error("some nodes were lost in the middle of the switch:{}", list(.0))]
    Partly(Vec<Objection>),
    #[error("the node {node} cannot be reached")]
    Join { node: String, source: JoinError },
    #[error("the node {node} has no control process")]
    NoControl { node: String },
    #[error("the node {node} does not answer")]
    Whereis { node: String, source: AskError },
    #[error("the node {node} did not answer `{request}`")]
    Call { node: String, request: &'static str, source: Box<CallError> },
    #[error("{} is no bundle", file.display())]
    NoBundle { file: PathBuf, refused: bool, source: BundleError },
    #[error("there is no bundle")]
    Build(#[from] BuildError),
    #[error("{} cannot be read", file.display())]
    File { file: PathBuf, source: std::io::Error },
    #[error("the secret file {} cannot be read", path.display())]
    SecretFile { path: PathBuf, source: std::io::Error },
    #[error("the secret file {} is of no use", path.display())]
    WeakSecret { path: PathBuf, source: WeakSecret },
    #[error("the certificates are not as they should be")]
    Certs(#[from] CertsError),
    #[error("there is nothing to show to other nodes")]
    Tls(#[from] TlsError),
    #[error("the node cannot start at {listen}")]
    Start { listen: String, source: StartError },
    #[error("there is no folder for data: this user has no home")]
    NoDataFolder,
    #[error("{what}")]
    Machine { what: String, source: std::io::Error },
    #[error("{0}")]
    Environment(String),
    #[error("the result cannot be printed")]
    Output { source: std::io::Error },
    #[error("the program cannot start")]
    Runtime { source: std::io::Error },
    #[error("interrupted by {signal}")]
    Interrupted { signal: &'static str },
    /// Said already; only the exit code is left.
    #[error("the run found something wrong")]
    FoundWrong,
}

/// One line for each objection: the node, the step, the reason.
fn list(objections: &[Objection]) -> String {
    objections.iter().map(|objection| format!("\n  {}", describe(objection))).collect()
}

/// An objection, in words.
pub(crate) fn describe(objection: &Objection) -> String {
    let Objection { node, step, reason, .. } = objection;
    let field = refused_field(objection);
    let field = field.map(|field| format!(" [{field}]")).unwrap_or_default();
    format!("{node}, {step}{field}: {reason}")
}

/// The message and field an objection is about, such as `counter.Add.amount`.
pub(crate) fn refused_field(objection: &Objection) -> Option<String> {
    let name = objection.type_name.clone()?;
    let Some(path) = objection.field.as_deref().filter(|path| !path.is_empty()) else {
        return Some(name);
    };
    // A path begins with the type's short name, or its whole one, or not with the type at all.
    let short = name.rsplit('.').next().unwrap_or(&name);
    let inner = [name.as_str(), short]
        .into_iter()
        .find_map(|prefix| path.strip_prefix(prefix).and_then(|rest| rest.strip_prefix('.')));
    let inner = inner.unwrap_or(path);
    Some(if inner == name || inner == short { name } else { format!("{name}.{inner}") })
}

impl Error {
    /// Prints what is wrong and what to do, and answers the exit code.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Self::FoundWrong) {
            note(&format!("error: {}", self.in_words()));
            if let Some(advice) = self.advice() {
                note(&format!("  help: {advice}"));
            }
        }
        ExitCode::from(self.code())
    }

    /// The error with what caused it.
    pub(crate) fn in_words(&self) -> String {
        let mut words = self.to_string();
        let mut source = std::error::Error::source(self);
        while let Some(cause) = source {
            let cause_words = cause.to_string();
            // Some say their cause themselves.
            if !words.contains(&cause_words) {
                words = format!("{words}: {cause_words}");
            }
            source = cause.source();
        }
        printable(&words)
    }

    fn code(&self) -> u8 {
        match self {
            Self::Usage(_) | Self::BadAddress { .. } => USAGE,
            Self::Wrong(_) | Self::Partly(_) | Self::Interrupted { .. } | Self::FoundWrong => WRONG,
            Self::Refused(_) | Self::Objections(_) | Self::NoControl { .. } => REFUSED,
            Self::Join { source, .. } => join_code(source),
            Self::Whereis { source: AskError::Join(join), .. } => join_code(join),
            Self::Whereis { .. } => UNREACHABLE,
            Self::Call { source, .. } => call_code(source),
            Self::NoBundle { refused, .. } => {
                if *refused {
                    REFUSED
                } else {
                    WRONG
                }
            }
            Self::Build(error) => build_code(error),
            Self::Start { source, .. } => start_code(source),
            Self::File { .. }
            | Self::SecretFile { .. }
            | Self::WeakSecret { .. }
            | Self::Certs(_)
            | Self::Tls(_)
            | Self::NoDataFolder
            | Self::Machine { .. }
            | Self::Environment(_)
            | Self::Output { .. }
            | Self::Runtime { .. } => ENVIRONMENT,
        }
    }

    fn advice(&self) -> Option<&'static str> {
        match self {
            Self::Join { source: JoinError::Refused { reason, .. }, .. }
                if reason.contains("has no secret") =>
            {
                Some(
                    "whoever has none needs the cluster's: --secret-file FILE, or MIDFLIGHT_SECRET_FILE",
                )
            }
            // It says itself what to do.
            Self::Join { source: JoinError::NoCommonProtocol { .. }, .. } => None,
            Self::Join { source: JoinError::Refused { reason, .. }, .. }
                if !reason.contains("secret") =>
            {
                None
            }
            Self::Join { source: JoinError::Refused { .. }, .. } => Some(
                "give the cluster's secret: --secret-file FILE, or the variable \
                 MIDFLIGHT_SECRET_FILE",
            ),
            Self::Join { source: JoinError::Unreachable { address, source }, .. }
                if something_answers(source) =>
            {
                Some(refused_dial(address, source).map_or(NOT_OVER_TCP, Refusal::advice))
            }
            Self::Join { .. } | Self::Whereis { .. } => Some(
                "see that a node runs there (`midflight node`), and name it with --node HOST:PORT \
                 or the variable MIDFLIGHT_NODE",
            ),
            Self::WeakSecret { .. } | Self::SecretFile { .. } => {
                Some("make one: (umask 077; head -c 32 /dev/urandom | base64 > FILE)")
            }
            Self::Certs(error) => error.advice(),
            Self::Tls(error) => Some(error.advice()),
            Self::NoDataFolder => Some("name one with --data, or the variable MIDFLIGHT_DATA"),
            Self::NoBundle { .. } => Some("make one with `midflight build DIR`"),
            Self::Start { source: StartError::Open(open), .. } => match open.kind() {
                OpenErrorKind::InUse => {
                    Some("another program listens there: choose another port, or 0 for any")
                }
                OpenErrorKind::BadAddress => Some("give HOST:PORT, such as 127.0.0.1:7400"),
                _ => None,
            },
            _ => None,
        }
    }
}

/// Text for a terminal: what came from a file or a peer must not steer it, nor fill it.
fn printable(text: &str) -> String {
    const CHARS_MAX: usize = 4_000;
    let mut printable = String::new();
    for char in text.chars().take(CHARS_MAX) {
        match char {
            '\n' => printable.push(char),
            char if char.is_control() => printable.extend(char.escape_default()),
            char => printable.push(char),
        }
    }
    if text.chars().nth(CHARS_MAX).is_some() {
        printable.push('…');
    }
    printable
}

/// What helps when something over TCP answers that is no Midflight.
const NOT_OVER_TCP: &str = "see that what listens there is a Midflight node over plain TCP; for \
     one over TLS give --transport tls";

/// Whether something listens at the address, which is not what was wanted or hangs up at once.
fn something_answers(error: &ConnectError) -> bool {
    let words = error.to_string();
    let began = words.contains("in the handshake") || words.contains("handshake eof");
    began || *error.kind() == ConnectErrorKind::Refused
}

/// Why a peer that answered over TLS did not become one; none where there is no TLS.
fn refused_dial(address: &str, error: &ConnectError) -> Option<Refusal> {
    address.starts_with("tls:").then(|| Refusal::of(&error.to_string()))
}

/// Whether trying again is of no use until somebody has changed something.
pub(crate) fn says_no(error: &JoinError) -> bool {
    matches!(join_code(error), REFUSED | USAGE)
}

fn join_code(error: &JoinError) -> u8 {
    match error {
        JoinError::Unreachable { address, source }
            if something_answers(source)
                && refused_dial(address, source).is_some_and(|why| why != Refusal::NoTls) =>
        {
            REFUSED
        }
        JoinError::Refused { .. } | JoinError::NoCommonProtocol { .. } => REFUSED,
        JoinError::BadAddress(_) => USAGE,
        JoinError::Unreachable { source, .. } if *source.kind() == ConnectErrorKind::BadAddress => {
            USAGE
        }
        _ => UNREACHABLE,
    }
}

fn call_code(error: &CallError) -> u8 {
    match error {
        CallError::NotSent(SendError::Unreachable { .. }) | CallError::TimedOut { .. } => {
            UNREACHABLE
        }
        CallError::Refused { .. } | CallError::Unreadable { .. } => REFUSED,
        _ => WRONG,
    }
}

fn build_code(error: &BuildError) -> u8 {
    match error {
        BuildError::Target { .. } => USAGE,
        BuildError::NoCrate { .. }
        | BuildError::NoCargo { .. }
        | BuildError::Key(_)
        | BuildError::Io { .. } => ENVIRONMENT,
        _ => WRONG,
    }
}

fn start_code(error: &StartError) -> u8 {
    match error {
        StartError::Open(open) if *open.kind() != OpenErrorKind::BadAddress => ENVIRONMENT,
        _ => USAGE,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\nc"), "a\\u{1b}[2Jb\nc");
        assert!(printable(&"x".repeat(10_000)).chars().count() < 4_100);
    }

    #[test]
    fn a_field_is_named_with_its_message() {
        let objection = |type_name: Option<&str>, field: Option<&str>| Objection {
            node: "a".into(),
            step: "schemas".into(),
            reason: "differs".into(),
            type_name: type_name.map(Into::into),
            field: field.map(Into::into),
        };
        let named = |name, field| refused_field(&objection(Some(name), field)).unwrap();
        for path in ["amount", "Add.amount", "counter.Add.amount"] {
            assert_eq!(named("counter.Add", Some(path)), "counter.Add.amount");
        }
        assert_eq!(named("counter.Add", Some("amount.inner")), "counter.Add.amount.inner");
        assert_eq!(named("counter.Add", Some("")), "counter.Add");
        assert_eq!(named("counter.Add", Some("Add")), "counter.Add");
        assert_eq!(named("counter.Add", None), "counter.Add");
        assert_eq!(refused_field(&objection(None, Some("amount"))), None);
    }
}
