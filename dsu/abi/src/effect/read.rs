//! Reading effects: the host's side. Never panics, never allocates.

use std::fmt;

use midflight_message::{Address, NodeId, Pid};

use super::Effect;

/// A list of effects that is not one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EffectError {
    /// It ends within an effect.
    Short,
    /// It is longer than [`super::EFFECT_BYTES_MAX`], or has more effects than
    /// [`super::EFFECTS_MAX`].
    Long,
    /// There is no effect with this tag.
    UnknownTag(u8),
    /// There is no receiver of this kind.
    UnknownReceiver(u8),
    /// A yes or no is neither.
    NeitherYesNorNo(u8),
    /// A text is not UTF-8.
    Text,
}

impl fmt::Display for EffectError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Short => f.write_str("the list of effects ends within one"),
            Self::Long => f.write_str("the list of effects is too long"),
            Self::UnknownTag(tag) => write!(f, "there is no effect with tag {tag}"),
            Self::UnknownReceiver(kind) => write!(f, "there is no receiver of kind {kind}"),
            Self::NeitherYesNorNo(byte) => write!(f, "{byte} is neither yes (1) nor no (0)"),
            Self::Text => f.write_str("a text among the effects is not UTF-8"),
        }
    }
}

impl std::error::Error for EffectError {}

/// The effects of a list, in order. After an error nothing more comes.
///
/// A host that must do all or nothing runs over the list twice: [`Effects::check`], then this.
#[derive(Debug, Clone)]
pub struct Effects<'a> {
    rest: &'a [u8],
    left: usize,
}

impl<'a> Effects<'a> {
    /// Reads `list`.
    #[must_use]
    pub const fn new(list: &'a [u8]) -> Self {
        Self { rest: list, left: super::EFFECTS_MAX }
    }

    /// Reads the whole list and says how many effects it holds.
    ///
    /// # Errors
    /// The first [`EffectError`] in it.
    pub fn check(list: &'a [u8]) -> Result<usize, EffectError> {
        let mut count = 0;
        for effect in Self::new(list) {
            effect?;
            count += 1;
        }
        Ok(count)
    }

    fn read(&mut self) -> Result<Effect<'a>, EffectError> {
        if self.left == 0 || self.rest.len() > super::EFFECT_BYTES_MAX {
            return Err(EffectError::Long);
        }
        self.left -= 1;
        let [tag] = self.array()?;
        Ok(match tag {
            super::SEND => {
                let to = Address::Pid(self.pid()?);
                Effect::Send { to, type_index: self.u32()?, payload: self.bytes()? }
            }
            super::SEND_TO => {
                let to = self.other()?;
                Effect::Send { to, type_index: self.u32()?, payload: self.bytes()? }
            }
            super::REPLY => {
                Effect::Reply { call: self.u64()?, type_index: self.u32()?, payload: self.bytes()? }
            }
            super::SEND_AFTER_OLD => self.send_after(0, None)?,
            super::SEND_AFTER => {
                let (timer, to) = (self.u64()?, self.receiver()?);
                self.send_after(timer, to)?
            }
            super::CANCEL_TIMER => Effect::CancelTimer { set_by: self.pid()?, timer: self.u64()? },
            super::MONITOR => Effect::Monitor { target: self.pid()? },
            super::DEMONITOR => Effect::Demonitor { target: self.pid()? },
            super::MONITOR_NODE => Effect::MonitorNode { node: NodeId(self.u64()?) },
            super::DEMONITOR_NODE => Effect::DemonitorNode { node: NodeId(self.u64()?) },
            super::LINK => Effect::Link { target: self.pid()? },
            super::UNLINK => Effect::Unlink { target: self.pid()? },
            super::TRAP_EXITS => Effect::TrapExits { traps: self.yes()? },
            super::ASK_ABOUT_LOSSES => Effect::AskAboutLosses { asks: self.yes()? },
            super::RECONNECT => Effect::Reconnect { node: NodeId(self.u64()?) },
            super::SPAWN => Effect::Spawn {
                pid: self.pid()?,
                behaviour: self.text()?,
                type_index: self.u32()?,
                payload: self.bytes()?,
            },
            super::EXIT => Effect::Exit { reason: self.text()? },
            super::CALL => {
                let (op, to) = (self.u64()?, Address::Pid(self.pid()?));
                self.call(op, to)?
            }
            super::CALL_TO => {
                let (op, to) = (self.u64()?, self.other()?);
                self.call(op, to)?
            }
            super::SLEEP => Effect::Sleep { op: self.u64()?, millis: self.u64()? },
            super::RECEIVE => Effect::Receive,
            super::UPDATE_POINT => Effect::UpdatePoint { op: self.u64()? },
            unknown => return Err(EffectError::UnknownTag(unknown)),
        })
    }

    fn call(&mut self, op: u64, to: Address<'a>) -> Result<Effect<'a>, EffectError> {
        let (type_index, timeout_millis) = (self.u32()?, self.u64()?);
        Ok(Effect::Call { op, to, type_index, timeout_millis, payload: self.bytes()? })
    }

    fn send_after(
        &mut self,
        timer: u64,
        to: Option<Address<'a>>,
    ) -> Result<Effect<'a>, EffectError> {
        let (millis, type_index, payload) = (self.u64()?, self.u32()?, self.bytes()?);
        Ok(Effect::SendAfter { timer, to, millis, type_index, payload })
    }

    /// `None`: the process itself.
    fn receiver(&mut self) -> Result<Option<Address<'a>>, EffectError> {
        let [kind] = self.array()?;
        match kind {
            super::TO_ITSELF => Ok(None),
            super::TO_PID => Ok(Some(Address::Pid(self.pid()?))),
            super::TO_NAME => Ok(Some(Address::Name(self.text()?))),
            super::TO_NAME_ON => {
                let node = NodeId(self.u64()?);
                Ok(Some(Address::NameOn(self.text()?, node)))
            }
            unknown => Err(EffectError::UnknownReceiver(unknown)),
        }
    }

    fn other(&mut self) -> Result<Address<'a>, EffectError> {
        self.receiver()?.ok_or(EffectError::UnknownReceiver(super::TO_ITSELF))
    }

    fn yes(&mut self) -> Result<bool, EffectError> {
        match self.array()? {
            [0] => Ok(false),
            [1] => Ok(true),
            [other] => Err(EffectError::NeitherYesNorNo(other)),
        }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], EffectError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(EffectError::Short)?;
        self.rest = rest;
        Ok(*head)
    }

    fn u32(&mut self) -> Result<u32, EffectError> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Result<u64, EffectError> {
        self.array().map(u64::from_le_bytes)
    }

    fn pid(&mut self) -> Result<Pid, EffectError> {
        Ok(Pid { node: NodeId(self.u64()?), index: self.u32()?, generation: self.u32()? })
    }

    fn bytes(&mut self) -> Result<&'a [u8], EffectError> {
        let len = usize::try_from(self.u32()?).map_err(|_too_long| EffectError::Long)?;
        let (head, rest) = self.rest.split_at_checked(len).ok_or(EffectError::Short)?;
        self.rest = rest;
        Ok(head)
    }

    fn text(&mut self) -> Result<&'a str, EffectError> {
        std::str::from_utf8(self.bytes()?).map_err(|_not_utf8| EffectError::Text)
    }
}

impl<'a> Iterator for Effects<'a> {
    type Item = Result<Effect<'a>, EffectError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let effect = self.read();
        if effect.is_err() {
            self.rest = &[];
        }
        Some(effect)
    }
}
