//! The other OS process of a remote workload: this program again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use clap::ValueEnum as _;
use rustix::process::{Pid, Signal, kill_process};

use crate::args::Own;
use crate::transport::{Certificates, Wire};

/// Runs until it is dropped.
pub(crate) struct FarSide {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl FarSide {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(who: Own, certificates: Option<&Certificates>) -> Result<Self, String> {
        Self::run(&["serve", who.name()], certificates)
    }

    /// Starts the one of a transport alone.
    pub(crate) fn start_on(
        who: Own,
        wire: Wire,
        certificates: Option<&Certificates>,
    ) -> Result<Self, String> {
        let wire = wire.to_possible_value().ok_or("no wire")?;
        Self::run(&["serve", who.name(), wire.get_name()], certificates)
    }

    fn run(args: &[&str], certificates: Option<&Certificates>) -> Result<Self, String> {
        let told = serde_json::to_string(&certificates).map_err(|error| error.to_string())?;
        let cannot = |error: std::io::Error| format!("cannot start the far side: {error}");
        let program = std::env::current_exe().map_err(cannot)?;
        let mut child = Command::new(program)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(cannot)?;
        let mut address = String::new();
        if let Some(input) = &mut child.stdin {
            writeln!(input, "{told}").map_err(cannot)?;
        }
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address).map_err(cannot)?;
        }
        let address = address.trim().to_owned();
        let started = Self { child, address };
        if started.address.is_empty() {
            return Err("the far side ended before it listened".into());
        }
        Ok(started)
    }

    /// Kills it, or has it stand still.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), String> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        kill_process(pid.ok_or("no such process")?, signal).map_err(|error| error.to_string())
    }
}

impl Drop for FarSide {
    fn drop(&mut self) {
        // It ends with its input; should it not, it is killed. Either way nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On the far side: the certificates it was told, if it needs any.
pub(crate) fn told() -> Result<Option<Certificates>, String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    serde_json::from_str(&line).map_err(|error| error.to_string())
}

/// On the far side: says where it listens, then waits until whoever started it is gone.
/// Blocks its thread; the tasks have others.
pub(crate) fn serve_until_abandoned(address: &str) -> Result<(), String> {
    println!("{address}");
    let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ended.map(drop).map_err(|error| error.to_string())
}
