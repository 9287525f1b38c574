//! Two nodes that talk over a Unix domain socket: `cargo run -p unix-transport`.
//!
//! All that is about the transport is the line that makes it, and the address.

use std::error::Error;
use std::time::Duration;

use midflight_process::{Node, message::Message};
use midflight_runtime::TokioRuntime;
use midflight_transport_api::Address;
use midflight_transport_stream::{LinkConfig, StreamTransport};
use serde::{Deserialize, Serialize};
use unix_transport::Unix;

/// A greeting.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "unix-transport.Hello", version = 1)]
struct Hello(String);

/// The answer to one.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "unix-transport.Welcome", version = 1)]
struct Welcome(String);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("host.sock");
    let address = Address::new("unix", &path.to_string_lossy())?;

    let runtime = TokioRuntime::current();
    let transport = StreamTransport::new(Unix, LinkConfig::default(), runtime.clone());
    let host = Node::builder("host").listen(address).start(&transport, runtime.clone()).await?;
    let guest = Node::builder("guest").start(&transport, runtime).await?;

    let porter = host.spawn("porter", |cx| async move {
        loop {
            let hello = cx.receive_one::<Hello>().await;
            if let Some(caller) = hello.reply_to {
                caller.reply(Welcome(format!("welcome, {}", hello.message.0)));
            }
        }
    })?;
    host.register("porter", porter)?;

    let reached = guest.connect(&host.address().ok_or("the host listens")?).await?;
    for name in ["Ping", "Pong"] {
        let porter = ("porter", reached);
        let hello = Hello(name.to_owned());
        let welcome: Welcome = guest.call(porter, hello, Duration::from_secs(5)).await?;
        println!("{}: {}", guest.name(), welcome.0);
    }
    guest.shutdown().await;
    host.shutdown().await;
    println!("over {}", path.display());
    Ok(())
}
