//! The nodes of a world, whatever it is made of: `tests/transports` has these, too.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Context, Limits, Node, Received, Secret};

use super::World;

impl World {
    pub(crate) async fn node(&self, name: &str) -> Node {
        self.start(Node::builder(name).listen(Self::address(name))).await
    }

    pub(crate) async fn node_with(&self, name: &str, limits: Limits) -> Node {
        self.start(Node::builder(name).listen(Self::address(name)).limits(limits)).await
    }

    pub(crate) async fn node_with_secret(&self, name: &str, secret: &str) -> Node {
        let secret = Secret::new(secret.as_bytes()).unwrap();
        self.start(Node::builder(name).listen(Self::address(name)).secret(secret)).await
    }

    /// Two nodes with a link between them.
    pub(crate) async fn pair(&self) -> (Node, Node) {
        let (a, b) = (self.node("a").await, self.node("b").await);
        a.connect(&Self::address("b")).await.unwrap();
        (a, b)
    }
}

/// Waits until something holds; a case that waits in vain ends with its world.
pub(crate) async fn until(node: &Node, mut holds: impl FnMut() -> bool) {
    while !holds() {
        node.runtime().sleep(Duration::from_millis(1)).await;
    }
}

/// Keeps the messages of one type that come, and hands over all since the last time when it is called with any text.
pub(crate) async fn keep<M: Message, All: Message>(cx: Context, all: fn(Vec<M>) -> All) {
    let mut kept = Vec::new();
    loop {
        let caller = cx
            .receive()
            .on(|received: Received<M>| {
                kept.push(received.message);
                None
            })
            .on(|received: Received<String>| received.reply_to)
            .forever()
            .await;
        if let Some(caller) = caller {
            caller.reply(all(std::mem::take(&mut kept)));
        }
    }
}
