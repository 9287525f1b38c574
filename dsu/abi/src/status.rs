//! What a call across the border ended with.

/// A status. Zero and above are good, below zero `out` holds a text in UTF-8.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub i32);

impl Status {
    /// Done; `out` holds what was asked for.
    pub const OK: Self = Self(0);
    /// The handler is suspended, or the loop; `out` holds the effects so far.
    pub const PENDING: Self = Self(1);
    /// The bytes given are not what they should be.
    pub const DECODE: Self = Self(-1);
    /// The author's code panicked. The instance is lost: drop it.
    pub const PANIC: Self = Self(-2);
    /// The author's code said no, or made an effect that cannot be encoded.
    pub const REFUSED: Self = Self(-3);
    /// There is no such behaviour, message, state version or conversion.
    pub const UNKNOWN: Self = Self(-4);
    /// A handler is suspended: not now.
    pub const BUSY: Self = Self(-5);
    /// A conversion said that this state cannot be converted.
    pub const CONVERT: Self = Self(-6);
    /// A handler awaits something that nothing of Midflight will ever wake. The instance is lost.
    pub const STUCK: Self = Self(-7);
    /// The instance was lost in an earlier panic.
    pub const LOST: Self = Self(-8);
    /// The author's health function says that this process is not well. Since minor 4.
    pub const UNHEALTHY: Self = Self(-9);

    /// Whether it is good.
    #[must_use]
    pub const fn is_ok(self) -> bool {
        self.0 >= 0
    }
}

/// How an operation that a suspended handler awaits ended: given to `resume`.
#[repr(transparent)]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Outcome(pub u32);

impl Outcome {
    /// Done; the bytes are the reply (none for a sleep).
    pub const DONE: Self = Self(0);
    /// The time-out passed.
    pub const TIMEOUT: Self = Self(1);
    /// The process called is not there, or went away.
    pub const GONE: Self = Self(2);
    /// The message was refused; the bytes are a text that says why.
    pub const REFUSED: Self = Self(3);
}
