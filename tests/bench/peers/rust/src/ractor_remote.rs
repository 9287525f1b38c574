//! ractor_cluster: two OS processes over loopback TCP.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use ractor::{Actor, ActorProcessingErr, ActorRef};
use ractor_cluster::{NodeServer, RactorClusterMessage};
use tokio::sync::mpsc;

use crate::{Size, figures, text};

const COOKIE: &str = "bench";
const FAR: &str = "far";
const NEAR: &str = "near";
/// Until the other node's actors are known here.
const PATIENCE: Duration = Duration::from_secs(10);

/// What travels; actors of the other node are found through process groups.
#[derive(RactorClusterMessage)]
enum Message {
    Ping(u64),
    Pong(u64),
    /// So many blocks follow.
    Begin(u64),
    Block(Vec<u8>),
}

/// Answers pings and counts blocks; replies go to the group of the near side.
struct FarSide;

#[derive(Default)]
struct Counting {
    near: Option<ActorRef<Message>>,
    wanted: u64,
    counted: u64,
}

impl Counting {
    fn reply(&mut self, message: Message) {
        if self.near.is_none() {
            self.near = find(NEAR);
        }
        if let Some(near) = &self.near {
            let _ = near.cast(message);
        }
    }
}

impl Actor for FarSide {
    type Msg = Message;
    type State = Counting;
    type Arguments = ();

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        _: (),
    ) -> Result<Counting, ActorProcessingErr> {
        ractor::pg::join(FAR.into(), vec![me.get_cell()]);
        Ok(Counting::default())
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        state: &mut Counting,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            Message::Ping(number) => state.reply(Message::Pong(number)),
            Message::Begin(count) => (state.wanted, state.counted) = (count, 0),
            Message::Block(block) => {
                std::hint::black_box(block);
                state.counted += 1;
                if state.counted == state.wanted {
                    state.reply(Message::Pong(state.counted));
                }
            }
            Message::Pong(_) => {}
        }
        Ok(())
    }
}

/// Hands on what comes back.
struct NearSide;

impl Actor for NearSide {
    type Msg = Message;
    type State = mpsc::UnboundedSender<u64>;
    type Arguments = mpsc::UnboundedSender<u64>;

    async fn pre_start(
        &self,
        me: ActorRef<Message>,
        tell: Self::Arguments,
    ) -> Result<Self::State, ActorProcessingErr> {
        ractor::pg::join(NEAR.into(), vec![me.get_cell()]);
        Ok(tell)
    }

    async fn handle(
        &self,
        _: ActorRef<Message>,
        message: Message,
        tell: &mut Self::State,
    ) -> Result<(), ActorProcessingErr> {
        if let Message::Pong(number) = message {
            let _ = tell.send(number);
        }
        Ok(())
    }
}

/// The actor of the other node in a group, once it is known.
fn find(group: &str) -> Option<ActorRef<Message>> {
    let members = ractor::pg::get_members(&group.to_owned());
    members.into_iter().find(|cell| !cell.get_id().is_local()).map(ActorRef::from)
}

async fn node(
    name: &str,
    port: u16,
) -> Result<ActorRef<ractor_cluster::NodeServerMessage>, String> {
    let server = NodeServer::new(port, COOKIE.into(), name.into(), "localhost".into(), None, None);
    Actor::spawn(None, server, ()).await.map(|(actor, _)| actor).map_err(text)
}

/// The far side, until its standard input ends.
pub(crate) async fn serve() -> Result<(), String> {
    let port = free_port()?;
    let _server = node(FAR, port).await?;
    Actor::spawn(None, FarSide, ()).await.map_err(text)?;
    println!("{port}");
    tokio::task::spawn_blocking(|| std::io::copy(&mut std::io::stdin(), &mut std::io::sink()))
        .await
        .map_err(text)?
        .map(drop)
        .map_err(text)
}

pub(crate) async fn sample(workload: &str, size: Size) -> Result<(), String> {
    let program = std::env::current_exe().map_err(text)?;
    let mut far = Command::new(program)
        .arg("serve")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(text)?;
    let mut line = String::new();
    let output = far.stdout.take().ok_or("no output")?;
    BufReader::new(output).read_line(&mut line).map_err(text)?;
    let port: u16 = line.trim().parse().map_err(text)?;
    let measured = measure(workload, size, port).await;
    let _ = far.kill();
    let _ = far.wait();
    measured
}

async fn measure(workload: &str, size: Size, port: u16) -> Result<(), String> {
    let server = node(NEAR, free_port()?).await?;
    let (tell, mut told) = mpsc::unbounded_channel();
    Actor::spawn(None, NearSide, tell).await.map_err(text)?;
    ractor_cluster::client_connect(&server, ("localhost", port)).await.map_err(text)?;
    let far = tokio::time::timeout(PATIENCE, async {
        loop {
            match find(FAR) {
                Some(far) => return far,
                None => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    });
    let far = far.await.map_err(|_| "the far side's actor did not appear".to_owned())?;
    // One round trip: each side knows the other's actor.
    loop {
        far.cast(Message::Ping(0)).map_err(text)?;
        match tokio::time::timeout(Duration::from_millis(200), told.recv()).await {
            Ok(Some(_)) => break,
            Ok(None) => return Err("the near side has ended".into()),
            Err(_) => {}
        }
    }
    tokio::spawn(run(workload.to_owned(), size, far, told)).await.map_err(text)?
}

async fn run(
    workload: String,
    size: Size,
    far: ActorRef<Message>,
    mut told: mpsc::UnboundedReceiver<u64>,
) -> Result<(), String> {
    let len = match &*workload {
        "remote_pingpong" => {
            let (warm_up, count) = (size.of(10_000), size.of(100_000));
            let mut times = Vec::with_capacity(count);
            for number in 0..warm_up + count {
                let began = Instant::now();
                far.cast(Message::Ping(number as u64)).map_err(text)?;
                told.recv().await.ok_or("the near side has ended")?;
                if number >= warm_up {
                    times.push(began.elapsed());
                }
            }
            figures::round_trips(times);
            return Ok(());
        }
        "remote_stream_64B" => 64,
        "remote_stream_64KiB" => 64 << 10,
        "remote_stream_1MiB" => 1 << 20,
        other => return Err(format!("ractor_cluster has no {other}")),
    };
    let count = if len == 64 { size.of(2_000_000) } else { size.of(1 << 30) / len };
    let began = Instant::now();
    far.cast(Message::Begin(count as u64)).map_err(text)?;
    for _ in 0..count {
        far.cast(Message::Block(vec![7; len])).map_err(text)?;
    }
    if told.recv().await != Some(count as u64) {
        return Err("the far side has counted otherwise".into());
    }
    if len == 64 {
        figures::rate(&workload, count, began);
    } else {
        figures::throughput(&workload, count * len, began);
    }
    Ok(())
}

fn free_port() -> Result<u16, String> {
    let listener = std::net::TcpListener::bind("localhost:0").map_err(text)?;
    Ok(listener.local_addr().map_err(text)?.port())
}
