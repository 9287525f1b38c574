//! Starting a registered function that receives from a channel, here or on another node: its sending end comes
//! back with the answer.

use midflight_message::{Message, NodeId, SendPort};

use crate::context::Context;
use crate::functions::spawn_error::SpawnOnError;
use crate::functions::spawn_on::{Order, SpawnOptions, Spawned};
use crate::functions::{Channel, Function};

impl Context {
    /// As [`Context::spawn_on`], of a function that receives from a channel: answers the sending end, which
    /// names the process, too ([`SendPort::owner`]). The channel is open before this is heard of.
    ///
    /// # Errors
    /// See [`SpawnOnError`]; `Channel` when the function has none, or one for values of another type. Of
    /// another version or form of that type each value says whether it can be read (V1).
    ///
    /// # Cancel safety
    /// As [`Context::spawn_on`].
    pub async fn spawn_channel_on<A: Message, M: Message>(
        &self,
        node: NodeId,
        function: Function<A, Channel<M>>,
        argument: A,
    ) -> Result<SendPort<M>, SpawnOnError> {
        let options = SpawnOptions::new();
        Ok(self.spawn_channel_on_with(node, function, argument, options).await?.1)
    }

    /// As [`Context::spawn_channel_on`], with options. What they ask for is there before the function runs.
    ///
    /// # Errors
    /// As [`Context::spawn_channel_on`].
    ///
    /// # Cancel safety
    /// As [`Context::spawn_on`].
    pub async fn spawn_channel_on_with<A: Message, M: Message>(
        &self,
        node: NodeId,
        function: Function<A, Channel<M>>,
        argument: A,
        options: SpawnOptions,
    ) -> Result<(Spawned, SendPort<M>), SpawnOnError> {
        let order = Order::new(&self.node, self.place, node, function.name(), options);
        let order = order.with_channel(M::NAME);
        let (spawned, port) = Box::pin(order.carry_out(Box::new(argument))).await?;
        // Only a node that breaks the protocol starts it and says of no port.
        let port = port.ok_or_else(|| SpawnOnError::Channel {
            node,
            function: function.name().to_owned(),
            takes: None,
        })?;
        Ok((spawned, SendPort::new(spawned.pid, port.get())))
    }
}
