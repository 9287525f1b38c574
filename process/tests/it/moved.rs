//! Local messages are moved (P4): none of these could be encoded, decoded or copied.

use std::time::Duration;

use midflight_process::message::Message;
use midflight_process::{Received, SendPort};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::scene::scenario;

const SECOND: Duration = Duration::from_secs(1);

/// Its contents stay in one place of the memory, and whoever encodes or decodes it fails.
#[derive(Debug, Message)]
#[message(name = "test.Moved", version = 1)]
struct Moved {
    contents: Box<u64>,
}

impl Serialize for Moved {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("a local message was encoded");
    }
}

impl<'de> Deserialize<'de> for Moved {
    fn deserialize<D: Deserializer<'de>>(_: D) -> Result<Self, D::Error> {
        panic!("a local message was decoded");
    }
}

#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "test.moved.Port", version = 1)]
struct Port(SendPort<Moved>);

impl Moved {
    /// One, with its contents' address.
    fn new() -> (Self, usize) {
        let moved = Self { contents: Box::new(7) };
        let at = moved.at();
        (moved, at)
    }

    fn at(&self) -> usize {
        std::ptr::from_ref::<u64>(&*self.contents).addr()
    }
}

#[test]
fn no_way_between_processes_of_a_node_encodes_or_copies_a_message() {
    scenario(|cx, _| async move {
        let mirror = cx.spawn("mirror", |cx| async move {
            cx.register("mirror").unwrap();
            let (port, mut values) = cx.channel::<Moved>();
            let Received { reply_to, .. } = cx.receive_one::<()>().await;
            reply_to.unwrap().reply(Port(port));
            let caller = cx.receive_one::<()>().await.from.unwrap();
            cx.send(caller, values.receive().await).await.unwrap();
            loop {
                let Received { message, from, reply_to, .. } = cx.receive_one::<Moved>().await;
                match reply_to {
                    Some(caller) => caller.reply(message),
                    None => cx.send(from.unwrap(), message).await.unwrap(),
                }
            }
        });
        let mirror = mirror.unwrap();
        let Port(port) = cx.call(mirror, (), SECOND).await.unwrap();
        let (moved, at) = Moved::new();
        cx.send_port(&port, moved).await.unwrap();
        cx.send(mirror, ()).await.unwrap();
        assert_eq!(cx.expect::<Moved>().await.at(), at, "a value for a port");

        let (moved, at) = Moved::new();
        cx.send(mirror, moved).await.unwrap();
        assert_eq!(cx.expect::<Moved>().await.at(), at, "to a pid");
        let (moved, at) = Moved::new();
        cx.send("mirror", moved).await.unwrap();
        assert_eq!(cx.expect::<Moved>().await.at(), at, "to a name");
        let (moved, at) = Moved::new();
        cx.try_send(mirror, moved).unwrap();
        assert_eq!(cx.expect::<Moved>().await.at(), at, "without waiting");
        let (moved, at) = Moved::new();
        let answer: Moved = cx.call(mirror, moved, SECOND).await.unwrap();
        assert_eq!(answer.at(), at, "a call and its reply");
        let (moved, at) = Moved::new();
        cx.send_after(SECOND, cx.me(), moved).unwrap();
        assert_eq!(cx.expect::<Moved>().await.at(), at, "by a timer");
    });
}
