//! What comes in on a link: from bytes to the events of its sink. For those who write a backend.

use bytes::Bytes;

use crate::frame::{self, CONNECTIONS_MAX, Frame, Kind, Violation};
use crate::{ConnectionId, LinkEvent, LinkSink, Payload};

/// The receiving half of a link: knows what the peer has open and puts fragments together.
///
/// It never allocates by a length that it has not seen, and holds at most twice `max_message` bytes
/// of unfinished messages.
#[derive(Debug)]
pub struct Incoming {
    slots: Vec<Slot>,
    max_message: usize,
    unfinished: usize,
    over: bool,
}

/// What a frame says to the link itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Control {
    /// Answer with a pong.
    Ping,
    /// The peer answered; that something was heard is all it says.
    Pong,
    /// The peer sends nothing more and wants the link closed.
    Bye,
    /// The peer grants bytes on one of our connections. Version 1 asks for none.
    Credit(ConnectionId, u32),
}

#[derive(Debug, Default)]
struct Slot {
    open: Option<ConnectionId>,
    partial: Option<Box<Partial>>,
}

#[derive(Debug)]
struct Partial {
    extensions: Vec<u8>,
    bytes: Vec<u8>,
}

impl Incoming {
    /// Nothing open; takes messages of at most `max_message` bytes.
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        Self { slots: Vec::new(), max_message, unfinished: 0, over: false }
    }

    /// Bytes of messages whose last fragment is still to come.
    #[must_use]
    pub const fn unfinished(&self) -> usize {
        self.unfinished
    }

    /// Whether the peer's bye came: that nothing follows is then no loss.
    #[must_use]
    pub const fn is_over(&self) -> bool {
        self.over
    }

    /// Gives every whole frame in `bytes` to `sink` or `control`, in order, and says how many bytes
    /// they had; the rest is the beginning of the next frame. After the peer's bye, everything is
    /// ignored.
    ///
    /// # Errors
    /// At the first [`Violation`]; what came before it has been given.
    pub fn feed(
        &mut self,
        bytes: &[u8],
        sink: &mut dyn LinkSink,
        control: &mut dyn FnMut(Control),
    ) -> Result<usize, Violation> {
        let mut at = 0;
        while !self.over {
            let Some((frame, len)) = frame::decode(&bytes[at..])? else { return Ok(at) };
            self.frame(&frame, sink, control)?;
            at += len;
        }
        Ok(bytes.len())
    }

    fn frame(
        &mut self,
        frame: &Frame<'_>,
        sink: &mut dyn LinkSink,
        control: &mut dyn FnMut(Control),
    ) -> Result<(), Violation> {
        match frame.kind {
            Kind::Data => self.data(frame, sink)?,
            Kind::Open => {
                self.open(frame.connection)?;
                sink.event(LinkEvent::Opened(frame.connection));
            }
            Kind::Close => {
                self.close(frame.connection)?;
                sink.event(LinkEvent::Closed(frame.connection));
            }
            Kind::Credit => {
                let granted = frame.payload.first_chunk().copied().map_or(0, u32::from_le_bytes);
                control(Control::Credit(frame.connection, granted));
            }
            Kind::Ping => control(Control::Ping),
            Kind::Pong => control(Control::Pong),
            Kind::Bye => {
                self.over = true;
                control(Control::Bye);
            }
        }
        Ok(())
    }

    fn data(&mut self, frame: &Frame<'_>, sink: &mut dyn LinkSink) -> Result<(), Violation> {
        let connection = frame.connection;
        let slot = self
            .slots
            .get_mut(place(connection))
            .filter(|slot| slot.open == Some(connection))
            .ok_or(Violation::NotOpen(connection))?;
        if slot.partial.is_none() && !frame.more {
            if frame.payload.len() > self.max_message {
                return Err(Violation::MessageTooLong(frame.payload.len()));
            }
            let payload = Payload::Lent(frame.payload);
            sink.event(LinkEvent::Received { connection, payload, extensions: frame.extensions });
            return Ok(());
        }
        let partial = match &mut slot.partial {
            Some(_) if !frame.extensions.is_empty() => {
                return Err(Violation::Extensions("they are on a later fragment"));
            }
            Some(_) if frame.payload.is_empty() && frame.more => {
                // It would let a peer keep us busy for ever without a message.
                return Err(Violation::Length(Kind::Data, 0));
            }
            Some(partial) => partial,
            none => none.insert(Box::new(Partial {
                extensions: frame.extensions.to_vec(),
                bytes: Vec::new(),
            })),
        };
        let len = partial.bytes.len() + frame.payload.len();
        if len > self.max_message {
            return Err(Violation::MessageTooLong(len));
        }
        self.unfinished += frame.payload.len();
        if self.unfinished > self.max_message.saturating_mul(2) {
            return Err(Violation::TooMuchUnfinished(self.unfinished));
        }
        partial.bytes.extend_from_slice(frame.payload);
        if !frame.more
            && let Some(whole) = slot.partial.take()
        {
            self.unfinished -= whole.bytes.len();
            let payload = Payload::Given(Bytes::from(whole.bytes));
            sink.event(LinkEvent::Received { connection, payload, extensions: &whole.extensions });
        }
        Ok(())
    }

    fn open(&mut self, connection: ConnectionId) -> Result<(), Violation> {
        let place = place(connection);
        if place >= self.slots.len() {
            self.slots.resize_with(place + 1, Slot::default);
        }
        let slot = &mut self.slots[place];
        if slot.open.is_some() {
            return Err(Violation::OpenTwice(connection));
        }
        slot.open = Some(connection);
        Ok(())
    }

    fn close(&mut self, connection: ConnectionId) -> Result<(), Violation> {
        let slot = self
            .slots
            .get_mut(place(connection))
            .filter(|slot| slot.open == Some(connection))
            .ok_or(Violation::NotOpen(connection))?;
        slot.open = None;
        if let Some(cut_short) = slot.partial.take() {
            self.unfinished -= cut_short.bytes.len();
        }
        Ok(())
    }
}

/// Where a connection is in the table.
#[inline]
const fn place(connection: ConnectionId) -> usize {
    connection.0 as usize & (CONNECTIONS_MAX - 1)
}

#[cfg(test)]
mod tests;
