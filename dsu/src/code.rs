//! The seam between processes and code: bytes in, a status and effects out.
//!
//! Native libraries, code that was compiled in, WebAssembly, another process and the simulator's fake
//! are all a [`CodeFormat`] that loads [`Code`] that makes an [`Instance`] per process. Effects are
//! lists that [`midflight_abi::effect::Effects`] reads.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use midflight_abi::{Description, Level};
use midflight_message::{Pid, TypeInfo};
use serde::{Deserialize, Serialize};

use crate::check::{CheckError, Facts};
use crate::hash::CodeId;
use crate::library::LoadError;
use crate::probe::{ProbeError, ProbeReport, ProbeRequest};
use crate::store::StoredLibrary;

/// One way in which code comes to a node.
#[async_trait]
pub trait CodeFormat: Debug + Send + Sync {
    /// Which of a bundle's libraries it takes.
    fn target(&self) -> &str;

    /// Checks a library from its bytes, running nothing of it.
    ///
    /// # Errors
    /// [`CheckError`]: why it will not be loaded.
    fn check(&self, library: &[u8]) -> Result<Facts, CheckError>;

    /// Tries a library where it can do no harm.
    ///
    /// # Errors
    /// [`ProbeError`]: how it failed there.
    async fn probe(
        &self,
        library: &StoredLibrary,
        request: &ProbeRequest,
    ) -> Result<ProbeReport, ProbeError>;

    /// Loads a library, which then has the node's full trust. What it says of itself must be
    /// `expected`, its manifest's word.
    ///
    /// # Errors
    /// [`LoadError`].
    async fn load(
        &self,
        library: &StoredLibrary,
        expected: &Description,
    ) -> Result<Arc<dyn Code>, LoadError>;

    /// The libraries that are in this program's memory, whoever loaded them.
    fn mapped(&self) -> Vec<Mapped> {
        Vec::new()
    }
}

/// A library in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapped {
    /// Its code.
    pub code: CodeId,
    /// How many bytes of the address space it takes.
    pub bytes: u64,
    /// Why it is never unloaded; `None`: it is, once nothing of it is in use.
    pub stays: Option<Stays>,
}

/// Why a library is never unloaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[non_exhaustive]
pub enum Stays {
    /// It imports what a thread-local with a destructor needs: that ties it to every thread that ran its code.
    #[error("it may have thread-locals with destructors")]
    ThreadLocal,
    /// It imports what starts threads.
    #[error("it may start threads")]
    Thread,
    /// It imports what leaves a handler with the program.
    #[error("it may leave a handler with the program, for its end or for signals")]
    Handler,
    /// It needs another library, which may do any of these.
    #[error("it needs the library {0}, of which nothing is known")]
    Library(String),
    /// It imports something else that nobody has looked at.
    #[error("it imports `{0}`, of which nothing is known")]
    Import(String),
    /// It says itself that it is not to be unloaded.
    #[error("it is marked as one that is not unloaded")]
    Marked,
    /// Its file does not say what it needs.
    #[error("its file does not say what it needs")]
    Unread,
    /// It was loaded without a try.
    #[error("nobody has tried to unload it in a child process")]
    Untried,
    /// The try failed: this machine cannot, or not with this library.
    #[error("unloading it in a child process has failed: {0}")]
    Failed(String),
    /// It was closed.
    #[error("it was closed, and is still there")]
    NotGone,
}

/// Loaded code: any number of versions side by side.
pub trait Code: Debug + Send + Sync {
    /// Tells it from all other code.
    fn id(&self) -> CodeId;

    /// Its behaviours.
    fn description(&self) -> &Description;

    /// Begins a process of the behaviour of that index, from its encoded start. `effects` is replaced
    /// by what `init` did.
    ///
    /// # Errors
    /// [`CodeError`]; `effects` is then empty.
    fn create(
        &self,
        behaviour: u32,
        start: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Box<dyn Instance>, CodeError>;

    /// Makes an instance from a state that was saved as `state_version`, by this code or another.
    ///
    /// # Errors
    /// [`CodeError`]: among them that there is no conversion, or that it said no.
    fn restore(
        &self,
        behaviour: u32,
        state_version: u32,
        state: &[u8],
    ) -> Result<Box<dyn Instance>, CodeError>;

    /// From the bytes of a value that was written as another type to those that the code's own type has there.
    /// Only for code whose [`Description::conversions`] are known; it decides with the decoder by which functions read.
    ///
    /// # Errors
    /// [`CodeError`]: `Decode` where the value cannot be read; a conversion of the author's may panic.
    fn translate(
        &self,
        _behaviour: u32,
        _reader: Reader,
        _written: &TypeInfo,
        _value: &[u8],
    ) -> Result<Vec<u8>, CodeError> {
        Err(CodeError::OwnFormOnly)
    }
}

/// Which of a behaviour's types is to read something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reader {
    /// What its processes start from.
    Start,
    /// A message that it accepts, by its index.
    Message(u32),
    /// The reply to a call that it makes, by its index.
    Reply(u32),
    /// A state that it restores, by its version.
    State(u32),
}

/// The behaviour of one process. After [`CodeError::Panicked`], `Stuck` or `Lost` its state is gone:
/// drop it, and restore another from what was saved.
pub trait Instance: Send {
    /// Handles a message: `type_index` counts what the behaviour accepts. `effects` is replaced by
    /// what the handler did.
    ///
    /// # Errors
    /// [`CodeError`]; `effects` is then empty: a handler that failed did nothing.
    fn start(
        &mut self,
        type_index: u32,
        message: &[u8],
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError>;

    /// Goes on with a suspended handler, one of whose operations has ended. An operation that it gave
    /// up meanwhile does nothing. A loop begins when operation 0 has ended.
    ///
    /// # Errors
    /// As for `start`.
    fn resume(
        &mut self,
        op: u64,
        end: OpEnd<'_>,
        call: &Call<'_>,
        effects: &mut Vec<u8>,
    ) -> Result<Progress, CodeError>;

    /// Whether it is a loop: it is suspended as long as it lives, takes messages where it receives, and ends the process
    /// when it is done. Its state can be saved at update points alone, and before it has begun.
    fn is_loop(&self) -> bool {
        false
    }

    /// How many bytes the saved state would take; 0 while a handler is suspended.
    fn size(&self) -> u64;

    /// The state, as that version of it. The instance stays as it is.
    ///
    /// # Errors
    /// [`CodeError`]: among them that there is no conversion, or that it said no.
    fn save(&self, state_version: u32) -> Result<Vec<u8>, CodeError>;

    /// Whether it is well, by its author's health function. The instance stays as it is, also after a panic.
    ///
    /// # Errors
    /// [`CodeError::Unhealthy`]: why it is not. `Unknown`: its author does not say. `Busy`: its state is not there now.
    fn health(&self) -> Result<(), CodeError> {
        Err(CodeError::Unknown("it has no health function".into()))
    }
}

/// What a call into code carries besides its arguments.
#[derive(Clone, Copy)]
pub struct Call<'a> {
    /// The process.
    pub me: Pid,
    /// Who sent the message, when that is known.
    pub from: Option<Pid>,
    /// Names the reply that is waited for; comes back in the effect `Reply`.
    pub reply_to: Option<u64>,
    /// Whether the host waits for the process to come to rest: a loop stops at its next update point.
    pub is_wanted: bool,
    /// What the code may ask at once.
    pub host: &'a dyn Host,
}

impl Debug for Call<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Call")
            .field("me", &self.me)
            .field("from", &self.from)
            .field("reply_to", &self.reply_to)
            .finish_non_exhaustive()
    }
}

/// What a node offers its code at once; all else are effects. Called during a call, from any thread.
pub trait Host: Sync {
    /// Writes a line to the node's log.
    fn log(&self, level: Level, text: &str);
    /// Nanoseconds on a clock that never goes back.
    fn now_nanos(&self) -> u64;
    /// Nanoseconds since 1970-01-01 UTC.
    fn unix_nanos(&self) -> u64;
    /// Fills `buffer` with random bytes.
    fn fill_random(&self, buffer: &mut [u8]);
    /// The process registered under `name` on this node.
    fn whereis(&self, name: &str) -> Option<Pid>;
    /// A pid for a process that the handler will spawn; given back by the host when no effect
    /// `Spawn` with it follows. None when there is no room.
    fn reserve(&self) -> Option<Pid>;
}

/// How far a handler came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// It has ended.
    Done,
    /// It awaits one of the operations among its effects.
    Suspended,
}

/// How an operation that a handler awaits has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpEnd<'a> {
    /// The reply's bytes; none for a sleep.
    Done(&'a [u8]),
    /// The time-out passed.
    Timeout,
    /// The process called is not there, or went away.
    Gone,
    /// The message was refused; why.
    Refused(&'a str),
}

/// Why a call into code failed. The text is the code's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The bytes given are not what they should be.
    #[error("cannot be decoded: {0}")]
    Decode(String),
    /// The author's code panicked. The state is lost.
    #[error("panicked: {0}")]
    Panicked(String),
    /// The author's code said no, or made an effect that cannot be encoded.
    #[error("refused: {0}")]
    Refused(String),
    /// There is no such behaviour, message, state version or conversion.
    #[error("unknown: {0}")]
    Unknown(String),
    /// A handler is suspended.
    #[error("busy: a handler is suspended")]
    Busy,
    /// A conversion said that this state cannot be converted.
    #[error("cannot be converted: {0}")]
    Convert(String),
    /// The handler awaits what will never wake it. The state is lost.
    #[error("stuck: {0}")]
    Stuck(String),
    /// The state was lost earlier.
    #[error("the state was lost in an earlier failure")]
    Lost,
    /// The author's health function says that the process is not well.
    #[error("not well: {0}")]
    Unhealthy(String),
    /// The code was built for an earlier ABI, which had no way to read another form.
    #[error("it reads only its own form: build it anew")]
    OwnFormOnly,
    /// The code breaks the contract of its table.
    #[error("the code breaks its contract: {0}")]
    Contract(String),
}

impl CodeError {
    /// Whether a process in whose handler this happens cannot go on with its instance.
    pub(crate) const fn ends_process(&self) -> bool {
        matches!(self, Self::Panicked(_) | Self::Stuck(_) | Self::Lost | Self::Contract(_))
    }
}
