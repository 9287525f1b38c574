//! The probe's child: loads the library, lets it test and describe itself, converts the states.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use super::limits;
use super::wire::{Answer, ProbeReport, ProbeRequest, ProbeState, StateVerdict, TRIED};
use crate::check::why_it_stays;
use crate::code::{Code, CodeError, Stays};
use crate::convert::{ConvertError, bounded, restore};
use crate::hash::CodeId;
use crate::hosted::SavedState;
use crate::library;
use crate::store::StoredLibrary;

const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// What a program does that is started as a probe: all of it, the exit code included. Call it before
/// anything else, and before a runtime or a thread is started.
///
/// Reads `--library PATH` from the arguments and the request from standard input, and prints the
/// answer.
#[must_use]
pub fn child_main() -> ExitCode {
    // Before the library can: what it prints must not pass for the answer.
    let mut answer_to = match take_stdout() {
        Ok(file) => file,
        Err(error) => {
            eprintln!("the probe cannot keep its standard output: {error}");
            return ExitCode::FAILURE;
        }
    };
    let answer = run(&mut answer_to).map_or_else(Answer::Failed, Answer::Ok);
    print(answer_to, &answer).map_or_else(
        |error| {
            eprintln!("the probe cannot answer: {error}");
            ExitCode::FAILURE
        },
        |()| ExitCode::SUCCESS,
    )
}

/// Keeps standard output for the answer; what anyone else prints there goes to standard error.
fn take_stdout() -> std::io::Result<File> {
    let kept = rustix::io::dup(rustix::stdio::stdout())?;
    rustix::stdio::dup2_stdout(rustix::stdio::stderr())?;
    Ok(File::from(kept))
}

fn print(mut to: File, answer: &Answer) -> std::io::Result<()> {
    to.write_all(&serde_json::to_vec(answer)?)
}

fn run(answer_to: &mut File) -> Result<ProbeReport, String> {
    let path = library_argument().ok_or("the probe needs `--library PATH`")?;
    let mut request = Vec::new();
    std::io::stdin()
        .take(REQUEST_BYTES_MAX)
        .read_to_end(&mut request)
        .map_err(|e| format!("the request cannot be read: {e}"))?;
    let request: ProbeRequest =
        serde_json::from_slice(&request).map_err(|e| format!("the request is not one: {e}"))?;
    let bytes = std::fs::read(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    let stored = StoredLibrary { id: CodeId::of(&bytes), path };
    let stays = why_it_stays(&bytes);
    drop(bytes);
    limits::set().map_err(|e| format!("the limits cannot be set: {e}"))?;
    if request.unload {
        library::try_unloading(&stored)?;
    }
    let code = library::load(&stored, Some(Stays::Untried)).map_err(|e| chain(&e))?;
    let max = request.state_bytes_max;
    let mut states = Vec::with_capacity(request.states.len());
    for state in &request.states {
        // Whoever finds this one dead knows at which state.
        answer_to.write_all(&[TRIED]).map_err(|e| format!("the answer cannot be written: {e}"))?;
        states.push(try_state(&code, state, max));
    }
    Ok(ProbeReport { description: code.description().clone(), rustc: code.rustc(), states, stays })
}

fn library_argument() -> Option<PathBuf> {
    let mut arguments = std::env::args_os();
    arguments.find(|argument| argument == "--library")?;
    arguments.next().map(PathBuf::from)
}

/// What becomes of a state in that code: forward, and back where there is a way; too large a one fails.
#[must_use]
pub fn try_state(code: &dyn Code, state: &ProbeState, max: Option<u64>) -> StateVerdict {
    let Some((_, behaviour)) = code.description().behaviour(&state.behaviour) else {
        return StateVerdict::Unknown { why: format!("no behaviour `{}`", state.behaviour) };
    };
    let (own, version) = (behaviour.state.version(), state.form.version());
    let saved = SavedState { form: state.form.clone(), bytes: state.bytes.clone() };
    let forward = match restore(code, &state.behaviour, &saved) {
        Ok((_, instance)) => instance.save(own).map(|_bytes| instance),
        Err(ConvertError::Code { source, .. }) => Err(source),
        Err(other) => return StateVerdict::Unknown { why: other.to_string() },
    };
    let instance = match forward {
        Ok(instance) => instance,
        Err(CodeError::Unknown(why)) => return StateVerdict::Unknown { why },
        Err(error) => return StateVerdict::FailsForward { why: error.to_string() },
    };
    let max = max.unwrap_or(u64::MAX);
    let of = state.bytes.len() as u64;
    if let Err(error) = bounded(&state.behaviour, instance.size(), of, max) {
        return StateVerdict::FailsForward { why: error.to_string() };
    }
    if behaviour.saves(version).is_none() {
        return StateVerdict::Converts { back: None };
    }
    match instance.save(version) {
        Ok(bytes) => StateVerdict::Converts { back: Some(bytes == state.bytes) },
        Err(error) => StateVerdict::FailsBack { why: error.to_string() },
    }
}

/// An error with what caused it.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
