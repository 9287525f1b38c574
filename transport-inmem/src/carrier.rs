//! Streams of bytes over the hub.

use std::io;
use std::sync::Arc;

use async_trait::async_trait;
use midflight_runtime::Handle;
use midflight_transport_api::{Address, Capabilities, ConnectError, OpenError, OpenErrorKind};
use midflight_transport_stream::{Arrival, Carrier, Listener, Stream};

use crate::Hub;
use crate::pipe::Pipe;

pub(crate) const SCHEME: &str = "mem";

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Memory {
    hub: Hub,
    runtime: Handle,
}

/// A stream that was dialled and is to be accepted.
#[derive(Debug)]
pub(crate) struct Dialled {
    from: Address,
    stream: Stream,
}

impl Memory {
    pub(crate) const fn new(hub: Hub, runtime: Handle) -> Self {
        Self { hub, runtime }
    }

    fn pipe(&self, from: &Address, to: &Address) -> Arc<Pipe> {
        Pipe::new(self.hub.clone(), self.runtime.clone(), from.clone(), to.clone())
    }
}

#[async_trait]
impl Carrier for Memory {
    fn scheme(&self) -> &'static str {
        SCHEME
    }

    fn describe(&self, _: &mut Capabilities) {
        // Nobody else can read the memory, but nothing is encrypted either.
    }

    fn is_well_formed(&self, _rest: &str) -> bool {
        true
    }

    async fn listen(&self, at: &Address) -> Result<(Box<dyn Listener>, Address), OpenError> {
        if !self.hub.listen(at) {
            return Err(OpenErrorKind::InUse.into());
        }
        Ok((Box::new(Listening { hub: self.hub.clone(), at: at.clone() }), at.clone()))
    }

    async fn dial(&self, from: &Address, peer: &Address) -> Result<Stream, ConnectError> {
        let (there, back) = (self.pipe(from, peer), self.pipe(peer, from));
        let ours = Stream::new(back.reading(), there.writing());
        let theirs = Stream::new(there.reading(), back.writing());
        self.hub.dial(from, peer, Dialled { from: from.clone(), stream: theirs }).await?;
        Ok(ours)
    }
}

struct Listening {
    hub: Hub,
    at: Address,
}

#[async_trait]
impl Listener for Listening {
    async fn accept(&mut self) -> io::Result<Arrival> {
        let Dialled { from, stream } = self.hub.accept(&self.at).await;
        Ok(Arrival { from: from.to_string(), stream: Box::pin(std::future::ready(Ok(stream))) })
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.hub.end_listening(&self.at);
    }
}
