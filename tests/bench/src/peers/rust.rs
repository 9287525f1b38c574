//! Actor libraries for Rust: a program in a workspace of its own, which is built when it is needed.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::FOLDER;
use crate::args::Workload;
use crate::report::Figure;

/// One of the libraries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Library {
    Ractor,
    Kameo,
    Actix,
}

impl Library {
    pub(super) const ALL: [Self; 3] = [Self::Ractor, Self::Kameo, Self::Actix];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ractor => "ractor",
            Self::Kameo => "kameo",
            Self::Actix => "actix",
        }
    }

    pub(super) const fn runs(self, workload: Workload) -> bool {
        let is_local = matches!(
            workload,
            Workload::LocalPingpong
                | Workload::LocalCall
                | Workload::LocalFanin
                | Workload::Ring
                | Workload::SpawnRate
                | Workload::ProcessMemory
        );
        let is_remote = matches!(
            workload,
            Workload::RemotePingpong
                | Workload::Stream64B
                | Workload::Stream64KiB
                | Workload::Stream1MiB
        );
        is_local || is_remote && matches!(self, Self::Ractor)
    }
}

/// The program that has them all.
pub(crate) struct Program(PathBuf);

impl Program {
    /// Builds it. `None`: that failed, and cargo has said why.
    pub(super) fn prepare() -> Result<Option<Self>, String> {
        let folder = Path::new(FOLDER).join("rust");
        // Beside this program, which is in the target folder of its profile.
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        let target =
            own.parent().and_then(Path::parent).ok_or("no target folder")?.join("bench-peers");
        eprintln!("building the peers in Rust …");
        let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
            .args(["build", "--release", "--locked", "--quiet", "--manifest-path"])
            .arg(folder.join("Cargo.toml"))
            .arg("--target-dir")
            .arg(&target)
            .stdin(Stdio::null())
            .status();
        let program = target.join("release/midflight-bench-peers");
        Ok(matches!(built, Ok(status) if status.success()).then_some(Self(program)))
    }

    pub(super) fn run(
        &self,
        library: Library,
        workload: Workload,
        quick: bool,
    ) -> Result<Vec<Figure>, String> {
        let divisor = if quick { "10" } else { "1" };
        let mut command = Command::new(&self.0);
        command.args(["sample", library.name(), &workload.name(), divisor]);
        crate::figures_of(&mut command)
    }
}
