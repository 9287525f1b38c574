//! The far side: what comes is counted or sent back by the link's own sink, which no task is woken
//! for.

use std::sync::Arc;

use midflight_transport_api::{
    ConnectionId, Link, LinkAcceptor, LinkEvent, LinkSink, Room, SendError,
};

use crate::transport::ECHO;
use crate::transport::receipt::Counter;

pub(super) struct Acceptor;

impl LinkAcceptor for Acceptor {
    fn link_up(&self, link: Arc<dyn Link>) -> Box<dyn LinkSink> {
        Box::new(Sink { link, purposes: Vec::new() })
    }
}

struct Sink {
    link: Arc<dyn Link>,
    /// By the peer's numbers, which begin at 0; nothing is closed here.
    purposes: Vec<Purpose>,
}

/// What a connection is for, and the one on which it is answered: an answer must not have to wait
/// behind those of another.
enum Purpose {
    Unsaid(ConnectionId),
    Echo(ConnectionId),
    Count(ConnectionId, Counter),
}

impl LinkSink for Sink {
    fn event(&mut self, event: LinkEvent<'_>) {
        let done = match event {
            LinkEvent::Opened(_) => self.opened(),
            LinkEvent::Received { connection, payload, .. } => {
                self.received(connection, payload.as_slice())
            }
            _ => Ok(()),
        };
        if let Err(error) = done {
            self.link.abort(&error.to_string());
        }
    }
}

impl Sink {
    fn opened(&mut self) -> Result<(), SendError> {
        self.purposes.push(Purpose::Unsaid(self.link.open()?));
        Ok(())
    }

    #[inline]
    fn received(&mut self, connection: ConnectionId, message: &[u8]) -> Result<(), SendError> {
        let Some(purpose) = self.purposes.get_mut(connection.0 as usize) else { return Ok(()) };
        match purpose {
            Purpose::Count(answer, counter) => match counter.add(message.len()) {
                None => Ok(()),
                Some(receipt) => reply(&*self.link, *answer, &receipt.encode()),
            },
            Purpose::Echo(answer) => reply(&*self.link, *answer, message),
            Purpose::Unsaid(answer) => {
                let count = message.first_chunk().copied().map_or(ECHO, u64::from_le_bytes);
                *purpose = match count {
                    ECHO => Purpose::Echo(*answer),
                    count => Purpose::Count(*answer, Counter::new(count)),
                };
                Ok(())
            }
        }
    }
}

fn reply(link: &dyn Link, connection: ConnectionId, message: &[u8]) -> Result<(), SendError> {
    let mut appended = Ok(());
    link.write(Room::of(message.len()), &mut |outgoing| {
        appended = outgoing.message(connection, message);
    })?;
    appended
}
