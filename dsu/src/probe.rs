//! Trying a library in a child process, where it can do no harm, before this one loads it.
//!
//! The child is the node's own program (or any that calls [`child_main`]), with an empty
//! environment, resource limits and a deadline. It loads the library, has it test and describe
//! itself, and converts copies of real states forward and back. It has the node's user and network:
//! the probe catches mistakes, not malice, for which there are signatures.

mod child;
mod limits;
mod wire;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use midflight_runtime::{Handle, timeout};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

pub use child::{child_main, try_state};
pub use wire::{ProbeReport, ProbeRequest, ProbeState, StateVerdict};

use wire::{Answer, TRIED};

/// The longest answer of a child.
const ANSWER_BYTES_MAX: u64 = 16 << 20;
/// What is kept of what the child says on standard error.
const COMPLAINT_BYTES_MAX: u64 = 4 << 10;

/// How children are started.
#[derive(Debug, Clone)]
pub struct Prober {
    program: PathBuf,
    arguments: Vec<OsString>,
    deadline: Duration,
}

impl Prober {
    /// Starts `program` with `arguments`, then `--library PATH`. It must call [`child_main`]. The
    /// deadline is 5 seconds: a probe takes a few milliseconds.
    #[must_use]
    pub fn new(
        program: impl Into<PathBuf>,
        arguments: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Self {
        let arguments = arguments.into_iter().map(Into::into).collect();
        Self { program: program.into(), arguments, deadline: Duration::from_secs(5) }
    }

    /// Kills a child after `deadline`.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Probes the library in the file `library`.
    ///
    /// # Errors
    /// [`ProbeError`]: how the library failed. What the states' conversions say is in the report.
    ///
    /// # Cancel safety
    /// Safe: the child is killed.
    pub async fn probe(
        &self,
        runtime: &Handle,
        library: &Path,
        request: &ProbeRequest,
    ) -> Result<ProbeReport, ProbeError> {
        let request = serde_json::to_vec(request)
            .map_err(|e| ProbeError::Failed { why: format!("the request: {e}") })?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .arg("--library")
            .arg(library)
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        let mut child = command.spawn().map_err(|source| {
            let program = self.program.clone();
            ProbeError::Start { program, source }
        })?;
        let mut answer = Vec::new();
        let talk = talk(&mut child, &request, &mut answer);
        let talked = timeout(&**runtime, self.deadline, talk).await;
        let Ok(talked) = talked else {
            // Waited for by tokio, as all children it drops.
            let _ = child.start_kill();
            return Err(ProbeError::Timeout { after: self.deadline, state: at_state(&answer) });
        };
        talked.map_err(|source| ProbeError::Talk { source })?.judge(&answer)
    }
}

/// What came of a child.
struct Talk {
    complaint: Vec<u8>,
    status: std::process::ExitStatus,
}

async fn talk(child: &mut Child, request: &[u8], answer: &mut Vec<u8>) -> std::io::Result<Talk> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let ask = async {
        if let Some(mut stdin) = stdin {
            // A child that dies before it reads is seen by its status.
            let _ = stdin.write_all(request).await;
        }
    };
    let mut complaint = Vec::new();
    let ((), answered, complained) = tokio::join!(
        ask,
        drain(stdout, answer, ANSWER_BYTES_MAX + 1),
        drain(stderr, &mut complaint, COMPLAINT_BYTES_MAX)
    );
    answered.and(complained)?;
    Ok(Talk { complaint, status: child.wait().await? })
}

/// Reads to the end and keeps the first `max` bytes, so that the child never blocks on a full pipe. What was read when
/// this is dropped is kept.
async fn drain(
    from: Option<impl AsyncRead + Unpin>,
    kept: &mut Vec<u8>,
    max: u64,
) -> std::io::Result<()> {
    if let Some(mut from) = from {
        let mut bounded = (&mut from).take(max);
        while bounded.read_buf(kept).await? > 0 {}
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(())
}

/// How many states were begun with, by an answer or the beginning of one.
fn tried(answer: &[u8]) -> usize {
    answer.iter().take_while(|byte| **byte == TRIED).count()
}

/// The state that was begun with last.
fn at_state(answer: &[u8]) -> Option<usize> {
    tried(answer).checked_sub(1)
}

impl Talk {
    fn judge(self, answer: &[u8]) -> Result<ProbeReport, ProbeError> {
        use std::os::unix::process::ExitStatusExt as _;
        let complaint = String::from_utf8_lossy(&self.complaint).trim().to_owned();
        if let Some(signal) = self.status.signal() {
            return Err(ProbeError::Signal { signal, complaint, state: at_state(answer) });
        }
        if answer.len() as u64 > ANSWER_BYTES_MAX {
            return Err(ProbeError::Failed { why: "its answer is too long".into() });
        }
        match serde_json::from_slice(&answer[tried(answer)..]) {
            Ok(Answer::Ok(report)) => Ok(report),
            Ok(Answer::Failed(why)) => Err(ProbeError::Failed { why }),
            Err(_) => Err(ProbeError::Failed {
                why: format!("it ended without an answer ({}): {complaint}", self.status),
            }),
        }
    }
}

impl ProbeError {
    /// The state of the request at which it failed, if it was at one.
    #[must_use]
    pub const fn state(&self) -> Option<usize> {
        match self {
            Self::Signal { state, .. } | Self::Timeout { state, .. } => *state,
            _ => None,
        }
    }
}

/// How a library failed in a child process. This one is unharmed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProbeError {
    /// There is no child: the configuration of the node is wrong.
    #[error("the probe `{}` cannot be started", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The pipes broke.
    #[error("the probe cannot be talked to")]
    Talk {
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// It was killed: 6 is abort, 9 too much processor time, 11 a wild pointer.
    #[error("the library ended the probe by signal {signal}: {complaint}")]
    Signal {
        /// Which.
        signal: i32,
        /// What it said on standard error.
        complaint: String,
        /// The state of the request at which that was, if it was at one.
        state: Option<usize>,
    },
    /// It did not end in time.
    #[error("the library kept the probe busy for more than {after:?}")]
    Timeout {
        /// The deadline.
        after: Duration,
        /// The state of the request at which that was, if it was at one.
        state: Option<usize>,
    },
    /// It said no.
    #[error("the library fails the probe: {why}")]
    Failed {
        /// In words.
        why: String,
    },
}
