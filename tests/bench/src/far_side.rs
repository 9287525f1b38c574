//! The other OS process of a remote workload: this program again.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};

use clap::ValueEnum as _;

use crate::args::Own;
use crate::transport::Wire;

/// Runs until it is dropped.
pub(crate) struct FarSide {
    child: Child,
    /// Where it listens.
    pub(crate) address: String,
}

impl FarSide {
    /// Starts it, and waits until it listens.
    pub(crate) fn start(who: Own) -> Result<Self, String> {
        Self::run(&["serve", who.name()], "")
    }

    /// Starts the one of a transport alone, and tells it a line.
    pub(crate) fn start_on(who: Own, wire: Wire, told: &str) -> Result<Self, String> {
        let wire = wire.to_possible_value().ok_or("no wire")?;
        Self::run(&["serve", who.name(), wire.get_name()], told)
    }

    fn run(args: &[&str], told: &str) -> Result<Self, String> {
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
}

impl Drop for FarSide {
    fn drop(&mut self) {
        // It ends with its input; should it not, it is killed. Either way nobody is left to be told.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// On the far side: what it was told.
pub(crate) fn told() -> Result<String, String> {
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).map_err(|error| error.to_string())?;
    Ok(line)
}

/// On the far side: says where it listens, then waits until whoever started it is gone.
/// Blocks its thread; the tasks have others.
pub(crate) fn serve_until_abandoned(address: &str) -> Result<(), String> {
    println!("{address}");
    let ended = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
    ended.map(drop).map_err(|error| error.to_string())
}
