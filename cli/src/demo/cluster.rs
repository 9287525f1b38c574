//! The demo's nodes: child processes of this program, which end when it does.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use midflight_dsu::protocol::{Status, StatusRequest};
use midflight_dsu::signature::PublicKey;
use midflight_process::Node;
use midflight_runtime::{Handle, timeout};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::build::own_program;
use crate::control::{self, Control};
use crate::error::Error;
use crate::network::HostPort;
use crate::secret;

/// How long a node may take to be ready; a busy machine may need a while.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long all nodes may take to know each other.
const MET_WITHIN: Duration = Duration::from_secs(20);
/// How long a node may take to end when asked to; then it is killed.
const ENDED_WITHIN: Duration = Duration::from_secs(5);
/// The lines of a node's log that an error shows.
const LOG_LINES: usize = 8;

/// The nodes, and this program's own, through which they are reached.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<NodeProcess>,
    pub(crate) own: Node,
}

/// A node in a process of its own. Dropped, it is killed.
#[derive(Debug)]
pub(crate) struct NodeProcess {
    pub(crate) name: String,
    pub(crate) control: Control,
    child: Child,
    /// When this ends, the node stops by itself: also when this program is killed.
    stdin: Option<ChildStdin>,
    /// Kept open, so that the node can go on printing.
    _stdout: BufReader<ChildStdout>,
}

impl Cluster {
    /// Starts `count` nodes with data folders in `folder`, joined to one cluster.
    pub(crate) async fn start(
        runtime: &Handle,
        folder: &TempDir,
        count: usize,
        trusted: PublicKey,
    ) -> Result<Self, Error> {
        let secret_file = write_secret(runtime, folder.path())?;
        let secret = secret::read(&secret_file)?;
        let own = control::dialling_node(runtime, "demo", Some(secret)).await?;
        let mut nodes: Vec<NodeProcess> = Vec::new();
        let mut seed = None;
        for number in 1..=count {
            let name = format!("node-{number}");
            let start = Start { name, folder: folder.path(), secret_file: &secret_file, trusted };
            let (node, address) = start.start(runtime, &own, seed.as_ref()).await?;
            nodes.push(node);
            seed.get_or_insert(address);
        }
        let cluster = Self { nodes, own };
        cluster.wait_until_all_met(runtime).await?;
        Ok(cluster)
    }

    /// How every node is.
    pub(crate) async fn statuses(&self) -> Result<Vec<Status>, Error> {
        let mut statuses = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            statuses.push(node.control.ask(StatusRequest).await?);
        }
        Ok(statuses)
    }

    async fn wait_until_all_met(&self, runtime: &Handle) -> Result<(), Error> {
        let names: Vec<_> = self.nodes.iter().map(|node| node.name.as_str()).collect();
        let met = async {
            loop {
                let statuses = self.statuses().await?;
                let all_met = statuses.iter().all(|status| {
                    let knows = |name: &str| status.members.iter().any(|(known, _)| known == name);
                    names.iter().all(|name| knows(name))
                });
                if all_met {
                    return Ok(());
                }
                runtime.sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(&**runtime, MET_WITHIN, met).await.unwrap_or_else(|_elapsed| {
            Err(Error::Environment(format!("the nodes did not meet within {MET_WITHIN:?}")))
        })
    }

    /// Asks the nodes to end, and waits for that.
    pub(crate) async fn stop(self, runtime: &Handle) {
        let Self { nodes, own } = self;
        let _closed = timeout(&**runtime, ENDED_WITHIN, own.shutdown()).await;
        let ending = nodes.into_iter().map(|mut node| async move {
            drop(node.stdin.take());
            let ended = timeout(&**runtime, ENDED_WITHIN, node.child.wait()).await;
            if !matches!(ended, Ok(Ok(status)) if status.success()) {
                tracing::debug!(node = node.name, ?ended, "a node did not end well");
            }
        });
        futures_util::future::join_all(ending).await;
    }
}

impl NodeProcess {
    /// Its number in the operating system.
    pub(crate) fn process_id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }
}

/// How a node is to be started.
struct Start<'a> {
    name: String,
    folder: &'a Path,
    secret_file: &'a Path,
    trusted: PublicKey,
}

impl Start<'_> {
    async fn start(
        self,
        runtime: &Handle,
        own: &Node,
        seed: Option<&HostPort>,
    ) -> Result<(NodeProcess, HostPort), Error> {
        let name = &self.name;
        let log = self.folder.join(format!("{name}.log"));
        let machine = |source| Error::Machine { what: format!("{name} cannot be started"), source };
        let mut command = Command::new(own_program()?);
        command
            .args(["node", "--name", name, "--listen", "127.0.0.1:0", "--until-stdin-ends"])
            .arg("--secret-file")
            .arg(self.secret_file)
            .arg("--data")
            .arg(self.folder.join(name))
            .args(["--trust", &self.trusted.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(&log).map_err(machine)?)
            // A Ctrl-C in the terminal is this program's to handle.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(seed) = seed {
            command.arg("--join").arg(seed.to_string());
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
        let control = Control::connect(own, &address).await?;
        let stdin = child.stdin.take();
        Ok((NodeProcess { name: self.name, control, child, stdin, _stdout: stdout }, address))
    }
}

/// A secret of the demo's own, for this one run.
fn write_secret(runtime: &Handle, folder: &Path) -> Result<PathBuf, Error> {
    use std::io::Write as _;
    let path = folder.join("secret");
    let written = (|| {
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        let random: Vec<_> = (0..4).map(|_| format!("{:016x}", runtime.random_u64())).collect();
        writeln!(file, "{}", random.concat())
    })();
    let what = || format!("{} cannot be written", path.display());
    written.map_err(|source| Error::Machine { what: what(), source })?;
    Ok(path)
}

/// The end of a node's log.
fn tail(log: &Path) -> String {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<_> = text.lines().collect();
    let from = lines.len().saturating_sub(LOG_LINES);
    lines[from..].iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}
