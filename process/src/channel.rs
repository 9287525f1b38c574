//! Typed channels: a process makes one, receives from it, and gives its sending end to others.
//!
//! A channel's values travel as messages to its owner do, on the lane of the pair, in order with
//! them and under the same credit: what lies unreceived in a port fills the mailbox as a message
//! does. A value for a port that is closed while its owner lives is refused as a message that cannot
//! be read is (V1). One for an owner that has ended goes where a message to it goes. Whoever wants
//! to know watches the port.

pub(crate) mod ports;
mod source;

use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use midflight_message::{Message, SendPort};

use crate::MonitorRef;
use crate::channel::ports::Order;
use crate::context::Context;
use crate::error::{SendError, TrySendError};
use crate::mailbox::envelope::Content;
use crate::mailbox::value::Ported;
use crate::node::{IntoExitReason, Node, SpawnError};
use crate::scheduler::function::Arrived;
use crate::scheduler::polling::receives;
use crate::send::{Kind, Route};
use crate::timers::deadline::Deadline;
pub(crate) use source::refuse_strays;
use source::{Map, Merge, Port, Source};

/// The receiving end of a channel, or of several merged into one. It belongs to the process that made
/// the channel; dropped, it is closed, and what was not received is refused.
pub struct ReceivePort<T> {
    source: Box<dyn Source<T>>,
}

impl Context {
    /// Makes a channel for values of type `M`.
    ///
    /// # Panics
    /// When the process has made 2³² − 1 channels before.
    #[must_use]
    pub fn channel<M: Message>(&self) -> (SendPort<M>, ReceivePort<M>) {
        let number = self.open_port();
        (SendPort::new(self.me(), number), self.port(number))
    }

    /// Opens a port; answers its number.
    pub(crate) fn open_port(&self) -> u32 {
        let number = self.shared.lock().aside().ports.open();
        let number = number.expect("a process has made as many channels as it may: 2³² − 1");
        self.node.inner.relate(self.place, |relations| relations.monitors.open_port(number));
        number
    }

    /// The receiving end of a port that was opened for it. There is one.
    pub(crate) fn port<M: Message>(&self, number: u32) -> ReceivePort<M> {
        let port = Port::new(self.node.inner.clone(), self.place, self.shared.clone(), number);
        ReceivePort { source: Box::new(port) }
    }

    /// As [`Context::try_send`], for a value to a port.
    ///
    /// # Errors
    /// As [`Context::try_send`].
    pub fn try_send_port<M: Message>(
        &self,
        port: &SendPort<M>,
        value: M,
    ) -> Result<(), TrySendError<M>> {
        let (inner, number) = (&self.node.inner, port.number());
        if let Route::Remote(peer, place) = inner.route_to_send(self.place, port.owner()) {
            return inner.send_remote_ref(self.place, &peer, place, Some(number), value);
        }
        let content = Content::Value(Box::new(Ported { port: number, value }));
        let sent = inner.try_send(self.place, port.owner(), Kind::Port(number), content);
        sent.map_err(TrySendError::from_not_sent)
    }

    /// As [`Context::send`], for a value to a port.
    ///
    /// # Errors
    /// As [`Context::send`].
    ///
    /// # Cancel safety
    /// A dropped future has not sent the value.
    pub async fn send_port<M: Message>(
        &self,
        port: &SendPort<M>,
        value: M,
    ) -> Result<(), SendError> {
        match self.try_send_port(port, value) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(value) | TrySendError::NotConnected(value)) => {
                let (owner, number) = (port.owner(), port.number());
                let content = Content::Value(Box::new(Ported { port: number, value }));
                Box::pin(self.send_waiting(owner, Kind::Port(number), content)).await
            }
            Err(error) => Err(SendError::from_try(error, port.owner())),
        }
    }

    /// Watches a port: one [`Down`](crate::Down) with this monitor comes when its owner closes it
    /// (`Normal`) or ends (with the owner's reason), has done so (`NoProcess`), or is out of reach.
    /// [`Context::demonitor`] takes it back.
    pub async fn monitor_port<M>(&self, port: &SendPort<M>) -> MonitorRef {
        let inner = &self.node.inner;
        if let Route::NotConnected(node) = inner.route(port.owner()) {
            // Out of reach: the monitor says so.
            let _ = self.node.connect_node(node).await;
        }
        inner.monitor_port(self.place, port.owner(), port.number())
    }
}

impl Node {
    /// Starts a process made of an async function that is handed the receiving end of a channel, which is
    /// open before anybody has the other (Cloud Haskell's `spawnChannelLocal`).
    ///
    /// # Errors
    /// [`SpawnError`].
    pub fn spawn_channel<M: Message, F>(
        &self,
        name: &'static str,
        function: impl FnOnce(Context, ReceivePort<M>) -> F,
    ) -> Result<SendPort<M>, SpawnError>
    where
        F: Future + Send + 'static,
        F::Output: IntoExitReason,
    {
        let mut number = 0;
        let with_port = |context: Context| {
            number = context.open_port();
            let port = context.port(number);
            function(context, port)
        };
        let process = self.spawn_prepared(name, with_port, |_place| {})?;
        Ok(SendPort::new(process, number))
    }
}

impl<T: 'static> ReceivePort<T> {
    /// Receives the oldest value; waits for one as long as it takes.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    ///
    /// # Panics
    /// In another process than the one that made the channel, once that has ended.
    pub fn receive(&mut self) -> impl Future<Output = T> {
        std::future::poll_fn(|cx| {
            let polled = self.poll(cx);
            if polled.is_pending() {
                receives();
            }
            polled
        })
    }

    /// As [`ReceivePort::receive`], for `timeout` at the most; zero takes what is there.
    ///
    /// # Cancel safety
    /// A dropped future has received nothing.
    ///
    /// # Panics
    /// As [`ReceivePort::receive`].
    pub fn receive_timeout(&mut self, timeout: Duration) -> impl Future<Output = Option<T>> {
        let mut deadline: Option<Deadline> = None;
        std::future::poll_fn(move |cx| {
            if let Poll::Ready(value) = self.poll(cx) {
                return Poll::Ready(Some(value));
            }
            if timeout.is_zero() {
                return Poll::Ready(None);
            }
            // Of no ports at all nothing is ever received.
            let Some(waits) = self.source.waits() else { return Poll::Ready(None) };
            let deadline = deadline.get_or_insert_with(|| Deadline::after(waits.inner, timeout));
            let over = deadline.poll(waits, cx);
            if over.is_pending() {
                receives();
            }
            over.map(|()| None)
        })
    }

    /// Several ports as one, which gives what the first of them has that has something.
    #[must_use]
    pub fn merge_biased(ports: impl IntoIterator<Item = Self>) -> Self {
        Self::merge(ports, false)
    }

    /// Several ports as one, which looks first at the one behind the one that gave something last.
    #[must_use]
    pub fn merge_round_robin(ports: impl IntoIterator<Item = Self>) -> Self {
        Self::merge(ports, true)
    }

    fn merge(ports: impl IntoIterator<Item = Self>, in_turns: bool) -> Self {
        let ports = ports.into_iter().map(|port| port.source).collect();
        Self { source: Box::new(Merge::new(ports, in_turns)) }
    }

    /// A port that gives what `change` makes of each value.
    #[must_use]
    pub fn map<U: 'static>(self, change: impl FnMut(T) -> U + Send + 'static) -> ReceivePort<U> {
        ReceivePort { source: Box::new(Map::new(self.source, change)) }
    }

    pub(crate) fn poll(&mut self, cx: &mut TaskContext<'_>) -> Poll<T> {
        self.source.poll_take(cx)
    }

    /// When the oldest of what is there came.
    pub(crate) fn oldest(&self, arrived: &Arrived) -> Option<Order> {
        self.source.oldest(arrived)
    }
}

impl<T> std::fmt::Debug for ReceivePort<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ReceivePort")
    }
}
