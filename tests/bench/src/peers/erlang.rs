//! Erlang/OTP, when it is installed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use super::FOLDER;
use crate::args::Workload;
use crate::report::Figure;

/// Erlang/OTP, with its programs compiled and a port mapper of its own.
pub(crate) struct Erlang {
    folder: PathBuf,
    port_mapper: Child,
    port: u16,
}

impl Erlang {
    /// `None`: it is not installed.
    pub(super) fn prepare() -> Result<Option<Self>, String> {
        let mut compiler = Command::new("erlc");
        let installed = compiler.arg("-help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        if installed.is_err() {
            return Ok(None);
        }
        let folder = std::env::temp_dir().join(format!("midflight-bench-{}", std::process::id()));
        let sources = Path::new(FOLDER).join("erlang");
        compile(&sources.join("bench.erl"), &folder)?;
        compile(&sources.join("v1/counter.erl"), &folder.join("v1"))?;
        compile(&sources.join("v2/counter.erl"), &folder.join("v2"))?;
        // Not the machine's: it would outlive us, or serve others.
        let port = free_port()?;
        let port_mapper = Command::new("epmd")
            .args(["-port", &port.to_string()])
            .stdin(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start epmd: {error}"))?;
        Ok(Some(Self { folder, port_mapper, port }))
    }

    pub(super) const fn runs(workload: Workload) -> bool {
        matches!(
            workload,
            Workload::LocalPingpong
                | Workload::LocalCall
                | Workload::LocalFanin
                | Workload::Ring
                | Workload::SpawnRate
                | Workload::SpawnMonitorRate
                | Workload::ProcessMemory
                | Workload::RemotePingpong
                | Workload::Stream64B
                | Workload::Stream64KiB
                | Workload::Stream1MiB
                | Workload::NodeDownDetection
                | Workload::UpgradeOne
                | Workload::Upgrade10k
                | Workload::Upgrade100k
        )
    }

    pub(super) fn run(&self, workload: Workload, quick: bool) -> Result<Vec<Figure>, String> {
        let share = if quick { "10" } else { "1" };
        let mut command = Command::new("erl");
        command
            .env("ERL_EPMD_PORT", self.port.to_string())
            .args([
                "-noshell",
                "+P",
                "2000000",
                "-sname",
                "bench@localhost",
                "-setcookie",
                "bench",
                "-pa",
            ])
            .arg(&self.folder)
            .args(["-run", "bench", "main", &workload.name(), share])
            .arg(&self.folder);
        crate::figures_of(&mut command)
    }
}

impl Drop for Erlang {
    fn drop(&mut self) {
        // At the end of the program nobody is left to be told.
        let _ = self.port_mapper.kill();
        let _ = self.port_mapper.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

fn compile(source: &Path, into: &Path) -> Result<(), String> {
    std::fs::create_dir_all(into).map_err(|error| format!("{}: {error}", into.display()))?;
    let done = Command::new("erlc").arg("-o").arg(into).arg(source).status();
    match done {
        Ok(status) if status.success() => Ok(()),
        _ => Err(format!("erlc does not compile {}", source.display())),
    }
}

fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").map_err(|error| error.to_string())?;
    Ok(listener.local_addr().map_err(|error| error.to_string())?.port())
}
