//! Running the program.

use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use midflight_runtime::{Handle, TokioRuntime, timeout};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::TcpStream;
use tokio::process::{Child, ChildStdout, Command};
use tokio::sync::OnceCell;

/// Longer than anything here takes on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(120);

/// The data folder of all builds, kept between runs so that only what changed is compiled. It is
/// that of the tests of `midflight-dsu`, too.
pub(crate) fn build_data() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("dsu-data")
}

pub(crate) fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples")
}

pub(crate) fn runtime() -> Handle {
    TokioRuntime::current()
}

/// The program with these arguments, and nothing of ours in its environment.
pub(crate) fn midflight<S: AsRef<std::ffi::OsStr>>(args: impl IntoIterator<Item = S>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_midflight"));
    command.args(args).stdin(Stdio::null()).kill_on_drop(true);
    for (variable, _) in std::env::vars_os() {
        let ours = variable.to_str().is_some_and(|name| name.starts_with("MIDFLIGHT_"));
        if ours || variable == "RUST_LOG" {
            command.env_remove(variable);
        }
    }
    command
}

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    /// Asserts the exit code, and that standard error says all of `words`.
    #[track_caller]
    pub(crate) fn expect(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        for word in words {
            assert!(self.stderr.contains(word), "`{word}` is not in {self:#?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:#?}"))
    }
}

pub(crate) async fn end(mut command: Command) -> Ended {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = timeout(&*runtime(), LONG, command.output()).await;
    let Output { status, stdout, stderr } = output.expect("it ended in time").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Ended { code: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

pub(crate) async fn run(args: &[&str]) -> Ended {
    end(midflight(args)).await
}

/// Waits until `is_so`.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let waiting = async {
        while !is_so().await {
            runtime().sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(&*runtime(), LONG, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// The bundle of an example, built once.
pub(crate) async fn bundle(example: &str) -> PathBuf {
    static BUILT: OnceCell<()> = OnceCell::const_new();
    let file = |name: &str| build_data().join(format!("cli-{name}.mfb"));
    let build = async {
        for name in ["counter-v1", "counter-v2", "counter-v3-incompatible"] {
            let mut command = midflight(["build", "--json"]);
            command.arg(examples().join(name)).arg("-o").arg(file(name));
            let built = end(with_data(command)).await.expect(0, &[]);
            assert_eq!(built.json()["name"], "counter");
        }
    };
    BUILT.get_or_init(|| build).await;
    file(example)
}

fn with_data(mut command: Command) -> Command {
    command.arg("--data").arg(build_data());
    command
}

/// The key that signed the bundles.
pub(crate) fn trusted_key() -> String {
    build_data().join("keys/development.pub").to_str().unwrap().to_owned()
}

/// A node, killed at the end.
pub(crate) struct NodeProcess {
    pub(crate) child: Child,
    pub(crate) address: String,
    /// Removed at the end.
    folder: TempDir,
    stdout: BufReader<ChildStdout>,
}

impl NodeProcess {
    /// Starts a node that trusts the bundles of these tests.
    pub(crate) async fn start(name: &str, more: &[&str]) -> Self {
        bundle("counter-v1").await;
        Self::start_with(name, &[&["--trust", &trusted_key()], more].concat()).await
    }

    pub(crate) async fn start_with(name: &str, more: &[&str]) -> Self {
        Self::start_at("127.0.0.1:0", name, more).await
    }

    pub(crate) async fn start_at(listen: &str, name: &str, more: &[&str]) -> Self {
        Self::start_guarded(listen, name, &[&["--trust-loopback"], more].concat()).await
    }

    /// As the others, but over TCP nobody is trusted with code.
    pub(crate) async fn start_guarded(listen: &str, name: &str, more: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), listen, name, more).await
    }

    /// Kills it, and starts a node of that name in its folder; where it listened, and trusting the bundles of these tests.
    pub(crate) async fn again(mut self, name: &str, more: &[&str]) -> Self {
        self.child.kill().await.unwrap();
        let key = trusted_key();
        let more = [&["--trust-loopback", "--trust", &key], more].concat();
        Self::start_in(self.folder, &self.address, name, &more).await
    }

    async fn start_in(folder: TempDir, listen: &str, name: &str, more: &[&str]) -> Self {
        let mut command = midflight(["node", "--name", name, "--listen", listen, "--data"]);
        command.arg(folder.path().join("data")).args(more).stdout(Stdio::piped());
        command.stderr(std::fs::File::create(folder.path().join("log")).unwrap());
        let mut child = command.spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        let read = timeout(&*runtime(), LONG, stdout.read_line(&mut line)).await;
        read.expect("the node is ready in time").unwrap();
        let address = line.trim().strip_prefix(&format!("ready {name} "));
        let address = address
            .unwrap_or_else(|| {
                let log = std::fs::read_to_string(folder.path().join("log")).unwrap();
                panic!("the node said `{line}`: {log}")
            })
            .to_owned();
        Self { child, address, folder, stdout }
    }

    /// What is left on standard output, once the node has ended.
    pub(crate) async fn rest(mut self) -> String {
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).await.unwrap();
        rest
    }

    /// Its data folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    /// What `status --json` says.
    pub(crate) async fn status(&self, more: &[&str]) -> serde_json::Value {
        let args = [&["status", "--json", "--node", &self.address], more].concat();
        run(&args).await.expect(0, &[]).json()
    }

    /// Waits until it has logged all of `words`, in one line or several.
    pub(crate) async fn logs(&self, words: &[&str]) {
        let what = format!("{words:?} in the log");
        until(&what, async || words.iter().all(|word| self.log().contains(word))).await;
    }

    pub(crate) fn signal(&self, by: rustix::process::Signal) {
        signal(&self.child, by);
    }
}

pub(crate) fn signal(child: &Child, by: rustix::process::Signal) {
    let id = i32::try_from(child.id().unwrap()).unwrap();
    let id = rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(id, by).unwrap();
}

/// A secret in a file of its own.
pub(crate) fn secret_file(folder: &TempDir, name: &str, secret: &str) -> String {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.path().join(name);
    std::fs::write(&path, secret).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// What a request is answered.
pub(crate) async fn ask_http(place: &str, request: &[u8]) -> String {
    let asked = async {
        let mut stream = TcpStream::connect(place).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = String::new();
        let _cut_short = stream.read_to_string(&mut answer).await;
        answer
    };
    timeout(&*runtime(), LONG, asked).await.unwrap()
}

/// A node called `a` with a counter in version 1, and the counter's pid.
pub(crate) async fn with_a_counter() -> (NodeProcess, String) {
    let a = NodeProcess::start("a", &[]).await;
    let v1 = bundle("counter-v1").await;
    let push = ["push", v1.to_str().unwrap(), "--wait", "--node", &a.address];
    run(&push).await.expect(0, &[]);
    let started = ["start", "counter", "--node", &a.address, "--json"];
    let started = run(&started).await.expect(0, &[]).json();
    let pid = started["started"][0].as_str().unwrap().to_owned();
    (a, pid)
}
