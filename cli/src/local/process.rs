//! A node as a child process of this program, which ends when it does.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use midflight_runtime::{Handle, timeout};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use super::log_of;
use crate::build::own_program;
use crate::error::Error;
use crate::network::HostPort;
use crate::trust::TrustedKey;

/// How long a node may take to be ready; a busy machine may need a while.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// The lines of a node's log that an error shows.
const LOG_LINES: usize = 8;

/// A node in a process of its own. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    child: Child,
    /// When this ends, the node stops by itself: also when this program is killed.
    stdin: Option<ChildStdin>,
    /// Kept open, so that the node can go on printing.
    _stdout: BufReader<ChildStdout>,
    /// Nobody waits for it twice.
    has_ended: bool,
}

/// How a node's process has ended.
pub(crate) type Ended = std::io::Result<std::process::ExitStatus>;

/// How nodes are to be started.
#[derive(Debug)]
pub(crate) struct Starter<'a> {
    /// For their data and logs.
    pub(crate) folder: &'a Path,
    pub(crate) proof: &'a Proof,
    pub(crate) trusted: &'a [TrustedKey],
}

/// By what the nodes know each other.
#[derive(Debug)]
pub(crate) enum Proof {
    /// The file with a secret.
    Secret(PathBuf),
    /// A folder of certificates.
    Certificates(PathBuf),
}

impl Starter<'_> {
    /// Starts a node, which joins the one at `seed`, and waits until it is ready. Answers where.
    pub(crate) async fn start(
        &self,
        runtime: &Handle,
        name: &str,
        listen: &HostPort,
        seed: Option<&HostPort>,
    ) -> Result<(NodeProcess, HostPort), Error> {
        let log = log_of(self.folder, name);
        let machine = |source| Error::Machine { what: format!("{name} cannot be started"), source };
        let mut command = Command::new(own_program()?);
        command
            .args(["node", "--name", name, "--listen", &listen.to_string(), "--until-stdin-ends"])
            .args(self.proof.flags())
            .arg("--data")
            .arg(self.folder.join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(machine)?)
            // A Ctrl-C in the terminal is this program's to handle.
            .process_group(0)
            .kill_on_drop(true);
        for key in self.trusted {
            command.arg("--trust").arg(key.to_string());
        }
        if let Some(seed) = seed {
            command.arg("--join").arg(seed.to_string());
        }
        // What this program was told in its environment is not what its nodes are told.
        for (variable, _) in std::env::vars_os() {
            if variable.to_string_lossy().starts_with("MIDFLIGHT_") {
                command.env_remove(variable);
            }
        }
        let mut child = command.spawn().map_err(machine)?;
        let stdout = child.stdout.take().ok_or_else(|| Error::Environment("no pipe".into()))?;
        let mut stdout = BufReader::new(stdout);
        let mut line = String::new();
        let read = timeout(&**runtime, READY_WITHIN, stdout.read_line(&mut line)).await;
        let ready = match read {
            Ok(Ok(_)) => line.trim().strip_prefix(&format!("ready {name} ")).map(str::parse),
            Ok(Err(_)) | Err(_) => None,
        };
        let Some(Ok(address)) = ready else {
            let log = tail(&log);
            return Err(Error::Environment(format!("{name} did not become ready:\n{log}")));
        };
        let stdin = child.stdin.take();
        let process = NodeProcess { child, stdin, _stdout: stdout, has_ended: false };
        Ok((process, address))
    }
}

impl Proof {
    /// What a node is told on its command line.
    fn flags(&self) -> Vec<&OsStr> {
        match self {
            Self::Secret(file) => ["--transport", "tcp", "--trust-loopback", "--secret-file"]
                .map(OsStr::new)
                .into_iter()
                .chain([file.as_os_str()])
                .collect(),
            Self::Certificates(folder) => ["--transport", "tls", "--certs"]
                .map(OsStr::new)
                .into_iter()
                .chain([folder.as_os_str()])
                .collect(),
        }
    }
}

impl NodeProcess {
    /// Its number in the operating system.
    pub(crate) fn id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Whether [`ended`](Self::ended) has said so.
    pub(crate) const fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Waits until it ends by itself.
    pub(crate) async fn ended(&mut self) -> Ended {
        let ended = self.child.wait().await;
        self.has_ended = true;
        ended
    }

    /// Asks it to end, and waits for that.
    pub(crate) async fn stop(mut self, runtime: &Handle, within: Duration, name: &str) {
        drop(self.stdin.take());
        let ended = timeout(&**runtime, within, self.child.wait()).await;
        if !matches!(ended, Ok(Ok(status)) if status.success()) {
            tracing::debug!(node = name, ?ended, "a node did not end well");
        }
    }
}

/// The cluster's secret in `folder`, made if it is not there.
pub(crate) fn secret_in(runtime: &Handle, folder: &Path) -> Result<PathBuf, Error> {
    use std::io::Write as _;
    let path = folder.join("secret");
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        let random: Vec<_> = (0..4).map(|_| format!("{:016x}", runtime.random_u64())).collect();
        writeln!(file, "{}", random.concat())
    })();
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(path),
        Ok(()) => Ok(path),
        Err(source) => {
            Err(Error::Machine { what: format!("{} cannot be written", path.display()), source })
        }
    }
}

/// The end of a node's log.
pub(crate) fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines[from..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
