//! What comes in on a link: from bytes to the events of its sink. For those who write a backend.

use bytes::BytesMut;
use bytes::buf::{BufMut as _, Limit};

use crate::frame::{self, CONNECTIONS_MAX, FRAGMENT_MAX, Frame, Kind, Violation};
use crate::{ConnectionId, LinkEvent, LinkSink, Payload};

/// The receiving half of a link: knows what the peer has open and puts fragments together.
///
/// It takes at most twice `max_message` bytes of unfinished messages, extensions counted, into buffers
/// that grow by doubling. Room for what is still to come
/// is set aside only by what has come before (the connection's last message, or the frame at hand), and
/// `max_message` bytes of it in all at the most, whatever a peer claims.
///
/// The bytes of a long message need not pass through a buffer: between two calls of
/// [`feed`](Self::feed), read into [`room`](Self::room) as long as there is any.
#[derive(Debug)]
pub struct Incoming {
    slots: Vec<Slot>,
    max_message: usize,
    unfinished: usize,
    /// Bytes set aside for messages that are not finished.
    reserved: usize,
    /// The frame of which a part was taken.
    begun: Option<Begun>,
    over: bool,
}

/// From so many missing bytes on, a frame is taken before it is whole.
const BEGIN_MIN: usize = 8 * 1024;

/// A frame of data of which the head has been taken, and not yet the whole payload.
#[derive(Debug, Clone, Copy)]
struct Begun {
    connection: ConnectionId,
    more: bool,
    left: usize,
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
    /// The length of the connection's last message of several fragments.
    last: usize,
}

#[derive(Debug)]
struct Partial {
    extensions: Vec<u8>,
    bytes: BytesMut,
    reserved: usize,
}

impl Incoming {
    /// Nothing open; takes messages of at most `max_message` bytes.
    #[must_use]
    pub const fn new(max_message: usize) -> Self {
        Self {
            slots: Vec::new(),
            max_message,
            unfinished: 0,
            reserved: 0,
            begun: None,
            over: false,
        }
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
        if let Some(begun) = self.begun {
            at = begun.left.min(bytes.len());
            self.append(begun.connection, &bytes[..at])?;
            self.advance(at, sink);
            if self.begun.is_some() {
                return Ok(at);
            }
        }
        while !self.over {
            match frame::decode(&bytes[at..])? {
                Some((frame, len)) => {
                    self.frame(&frame, sink, control)?;
                    at += len;
                }
                None => return Ok(at + self.begin(&bytes[at..])?),
            }
        }
        Ok(bytes.len())
    }

    /// Where the next bytes may be read to, past any buffer, after all that was read has been
    /// [fed](Self::feed): the rest of a long message's frame. Say with [`came`](Self::came) how many
    /// there were.
    pub fn room(&mut self) -> Option<Limit<&mut BytesMut>> {
        let Begun { connection, left, .. } = self.begun?;
        let partial = self.slots.get_mut(place(connection))?.partial.as_mut()?;
        Some((&mut partial.bytes).limit(left))
    }

    /// Whether a long message is under way, of which more is about to come: it is better to read little
    /// at a time then, so that most of it can go to its [`room`](Self::room).
    #[must_use]
    pub const fn is_amid_fragments(&self) -> bool {
        self.unfinished > 0
    }

    /// So many bytes were read into the [`room`](Self::room).
    ///
    /// # Panics
    /// When there was not so much.
    pub fn came(&mut self, count: usize, sink: &mut dyn LinkSink) {
        self.unfinished += count;
        self.advance(count, sink);
    }

    /// So many bytes more of the frame that was begun are where they belong.
    fn advance(&mut self, count: usize, sink: &mut dyn LinkSink) {
        let Some(begun) = &mut self.begun else { return };
        assert!(count <= begun.left, "more came than there was room for");
        begun.left -= count;
        if begun.left == 0 {
            let Begun { connection, more, .. } = *begun;
            self.begun = None;
            if !more {
                self.finish(connection, sink);
            }
        }
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
        let slot = self.slot(connection)?;
        if slot.partial.is_none() && !frame.more {
            if frame.payload.len() > self.max_message {
                return Err(Violation::MessageTooLong(frame.payload.len()));
            }
            let payload = Payload::Lent(frame.payload);
            sink.event(LinkEvent::Received { connection, payload, extensions: frame.extensions });
            return Ok(());
        }
        self.partial(connection, frame.extensions, frame.payload.len(), frame.more)?;
        self.append(connection, frame.payload)?;
        if !frame.more {
            self.finish(connection, sink);
        }
        Ok(())
    }

    /// Takes what is there of a frame of data whose rest is worth reading to its place; answers how
    /// many bytes that was.
    fn begin(&mut self, bytes: &[u8]) -> Result<usize, Violation> {
        let Some((head, there)) = frame::begun(bytes) else { return Ok(0) };
        if head.len - there.len() < BEGIN_MIN {
            return Ok(0);
        }
        let connection = head.connection;
        let in_one_frame = !head.more && self.slot(connection)?.partial.is_none();
        if in_one_frame && self.unfinished + head.len > self.unfinished_max() {
            // Once it is there it is given at once, and does not count as unfinished: where reads
            // happen to end must not decide whether it is allowed.
            return Ok(0);
        }
        self.partial(connection, &[], head.len, head.more)?;
        self.append(connection, there)?;
        self.begun = Some(Begun { connection, more: head.more, left: head.len - there.len() });
        Ok(bytes.len())
    }

    const fn unfinished_max(&self) -> usize {
        self.max_message.saturating_mul(2)
    }

    fn slot(&mut self, connection: ConnectionId) -> Result<&mut Slot, Violation> {
        self.slots
            .get_mut(place(connection))
            .filter(|slot| slot.open == Some(connection))
            .ok_or(Violation::NotOpen(connection))
    }

    /// Sees to it that there is a place for `len` more bytes of a message in fragments, and that they
    /// are allowed.
    fn partial(
        &mut self,
        connection: ConnectionId,
        extensions: &[u8],
        len: usize,
        more: bool,
    ) -> Result<(), Violation> {
        let spare = self.max_message.saturating_sub(self.reserved);
        let slot = self.slot(connection)?;
        let (mut reserved, mut extended) = (0, 0);
        let held = match &mut slot.partial {
            Some(_) if !extensions.is_empty() => {
                return Err(Violation::Extensions("they are on a later fragment"));
            }
            Some(_) if len == 0 && more => {
                // It would let a peer keep us busy for ever without a message.
                return Err(Violation::Length(Kind::Data, 0));
            }
            Some(partial) => {
                // At most one frame is taken before it is whole, so that this claim is a small one.
                partial.bytes.reserve(len);
                partial.bytes.len()
            }
            None => {
                reserved = (if more { slot.last.max(len) } else { len }).min(spare);
                extended = extensions.len();
                slot.partial = Some(Box::new(Partial {
                    extensions: extensions.to_vec(),
                    bytes: BytesMut::with_capacity(reserved.max(len)),
                    reserved,
                }));
                0
            }
        };
        self.reserved += reserved;
        self.unfinished += extended;
        if held + len > self.max_message {
            return Err(Violation::MessageTooLong(held + len));
        }
        let unfinished = self.unfinished + len;
        if unfinished > self.unfinished_max() {
            return Err(Violation::TooMuchUnfinished(unfinished));
        }
        Ok(())
    }

    /// Appends to a message in fragments what [`partial`](Self::partial) has found to be allowed.
    fn append(&mut self, connection: ConnectionId, bytes: &[u8]) -> Result<(), Violation> {
        self.unfinished += bytes.len();
        if let Some(partial) = &mut self.slot(connection)?.partial {
            partial.bytes.extend_from_slice(bytes);
        }
        Ok(())
    }

    /// Gives a message whose last fragment has come.
    fn finish(&mut self, connection: ConnectionId, sink: &mut dyn LinkSink) {
        let Ok(slot) = self.slot(connection) else { return };
        let Some(whole) = slot.partial.take() else { return };
        let len = whole.bytes.len();
        if len > FRAGMENT_MAX {
            slot.last = len;
        }
        self.unfinished -= len + whole.extensions.len();
        self.reserved -= whole.reserved;
        let payload = Payload::Given(whole.bytes.freeze());
        sink.event(LinkEvent::Received { connection, payload, extensions: &whole.extensions });
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
        let slot = self.slot(connection)?;
        slot.open = None;
        slot.last = 0;
        if let Some(cut_short) = slot.partial.take() {
            self.unfinished -= cut_short.bytes.len() + cut_short.extensions.len();
            self.reserved -= cut_short.reserved;
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
