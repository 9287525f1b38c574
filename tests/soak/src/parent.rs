//! Starts the nodes, does the harm that the seed decides, and starts again who was killed.

use std::process::Stdio;
use std::time::Duration;

use midflight_runtime::{Handle, Instant, TokioRuntime, spawn, timeout_at};
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::{Receiver, Sender, channel};

use crate::Args;
use crate::member::HEARTBEAT;
use crate::report::Report;
use crate::verdict::Verdict;

/// From one harm to the next.
const HARM_EVERY: Duration = Duration::from_secs(6);
/// After the last harm: links are made again, who was killed is forgotten.
const HEALS: Duration = Duration::from_secs(20);
/// After the load: what is under way ends.
const RESTS: Duration = Duration::from_secs(30);
const SHOWN_EVERY: Duration = Duration::from_secs(10);
const STARTS: Duration = Duration::from_secs(30);

/// What a member said.
enum Said {
    Address(String),
    Report(Box<Report>),
    /// Its output has ended.
    End,
}

/// A node's OS process.
struct Member {
    child: Child,
    /// How often this node has been started.
    life: u32,
    address: Option<String>,
    thaws: Option<Instant>,
}

struct Soak {
    runtime: Handle,
    args: Args,
    members: Vec<Member>,
    tell: Sender<(u16, u32, Said)>,
    told: Receiver<(u16, u32, Said)>,
    chance: ChaCha8Rng,
    verdict: Verdict,
    kills: u32,
    freezes: u32,
    cuts: u32,
}

/// Runs it all. Blocks.
pub(crate) fn run(args: &Args) -> Result<(), String> {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build();
    tokio.map_err(|error| error.to_string())?.block_on(soak(args))
}

async fn soak(args: &Args) -> Result<(), String> {
    let (tell, told) = channel(1_024);
    let mut soak = Soak {
        runtime: TokioRuntime::current(),
        args: args.clone(),
        members: Vec::new(),
        tell,
        told,
        chance: ChaCha8Rng::seed_from_u64(args.seed),
        verdict: Verdict::default(),
        kills: 0,
        freezes: 0,
        cuts: 0,
    };
    for number in 0..args.nodes {
        let member = soak.start(number, 0)?;
        soak.members.push(member);
        soak.settle(number).await?;
    }
    soak.go_on(Duration::from_secs_f64(args.minutes * 60.0), true).await?;
    soak.thaw(soak.runtime.now() + 10 * HEARTBEAT)?;
    soak.go_on(HEALS, false).await?;
    soak.verdict.load_is_over();
    for number in 0..args.nodes {
        soak.order(number, "rest").await?;
    }
    soak.go_on(RESTS, false).await?;
    let Soak { verdict, kills, freezes, cuts, .. } = soak;
    println!("{kills} nodes were killed, {freezes} stood still, {cuts} lost their links");
    verdict.judge(args.nodes)
}

impl Soak {
    fn start(&self, number: u16, life: u32) -> Result<Member, String> {
        let cannot = |error: std::io::Error| format!("cannot start node {number}: {error}");
        let seed = self.args.seed.wrapping_add(u64::from(life));
        let mut child = Command::new(std::env::current_exe().map_err(cannot)?)
            .args(["--member", &number.to_string(), "--seed", &seed.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(cannot)?;
        let output = child.stdout.take().ok_or("it has no output")?;
        let tell = self.tell.clone();
        spawn(&self.runtime, "listens to a node", async move {
            let mut lines = BufReader::new(output).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let said = match serde_json::from_str(&line) {
                    Ok(report) => Said::Report(Box::new(report)),
                    Err(_) => Said::Address(line),
                };
                // Nobody listens any more when the soak is over.
                let _ = tell.send((number, life, said)).await;
            }
            let _ = tell.send((number, life, Said::End)).await;
        });
        Ok(Member { child, life, address: None, thaws: None })
    }

    /// Waits until a node listens, and has it join the others.
    async fn settle(&mut self, number: u16) -> Result<(), String> {
        let deadline = self.runtime.now() + STARTS;
        while self.members[usize::from(number)].address.is_none() {
            if !self.listen(deadline).await? {
                return Err(format!("node {number} does not listen"));
            }
        }
        let others = self.members.iter().enumerate().filter(|(n, _)| *n != usize::from(number));
        let addresses: Vec<_> = others.filter_map(|(_, other)| other.address.clone()).collect();
        for address in addresses {
            self.order(number, &format!("join {address}")).await?;
        }
        Ok(())
    }

    /// Hears one thing. Answers false when nothing came by the deadline.
    async fn listen(&mut self, deadline: Instant) -> Result<bool, String> {
        let told = timeout_at(&*self.runtime, deadline, self.told.recv()).await;
        let Ok(told) = told else { return Ok(false) };
        let (number, life, said) = told.ok_or("all are gone")?;
        let Some(member) = self.members.get_mut(usize::from(number)) else { return Ok(true) };
        // The last words of one that was killed.
        if member.life != life {
            return Ok(true);
        }
        match said {
            Said::Address(address) => member.address = Some(address),
            Said::Report(report) => self.verdict.take(number, life, *report),
            Said::End => return Err(format!("node {number} ended, and nobody had killed it")),
        }
        Ok(true)
    }

    /// Listens for a while; now and then does some harm, if it is to.
    async fn go_on(&mut self, duration: Duration, harms: bool) -> Result<(), String> {
        let mut now = self.runtime.now();
        let (ends, mut next, mut shown) = (now + duration, now + HARM_EVERY, now);
        while now < ends {
            self.listen(ends.min(now + Duration::from_millis(100))).await?;
            now = self.runtime.now();
            self.thaw(now)?;
            if harms && now >= next {
                self.harm().await?;
                next = now + HARM_EVERY;
            }
            if now.since(shown) >= SHOWN_EVERY {
                shown = now;
                self.verdict.show();
            }
        }
        Ok(())
    }

    async fn harm(&mut self) -> Result<(), String> {
        let number = self.chance.random_range(0..self.args.nodes);
        match self.chance.random_range(0..3) {
            0 if number > 0 => {
                self.kills += 1;
                self.kill(number).await?;
                self.settle(number).await
            }
            1 => {
                self.freezes += 1;
                let member = &mut self.members[usize::from(number)];
                // Half of the time it is back before anybody has noticed.
                let still = HEARTBEAT * 3 / if self.chance.random() { 2 } else { 4 };
                member.thaws = Some(self.runtime.now() + still);
                signal(&member.child, Signal::STOP)
            }
            _ => {
                self.cuts += 1;
                self.order(number, "cut").await
            }
        }
    }

    /// Kills a node and starts another of its name.
    async fn kill(&mut self, number: u16) -> Result<(), String> {
        let life = self.members[usize::from(number)].life + 1;
        let reborn = self.start(number, life)?;
        let mut killed = std::mem::replace(&mut self.members[usize::from(number)], reborn);
        signal(&killed.child, Signal::KILL)?;
        killed.child.wait().await.map(drop).map_err(|error| error.to_string())
    }

    fn thaw(&mut self, now: Instant) -> Result<(), String> {
        for member in &mut self.members {
            if member.thaws.take_if(|thaws| *thaws <= now).is_some() {
                signal(&member.child, Signal::CONT)?;
            }
        }
        Ok(())
    }

    async fn order(&mut self, number: u16, what: &str) -> Result<(), String> {
        let input =
            self.members[usize::from(number)].child.stdin.as_mut().ok_or("it has no input")?;
        let written = input.write_all(format!("{what}\n").as_bytes()).await;
        written.map_err(|error| format!("node {number} takes no orders: {error}"))
    }
}

fn signal(child: &Child, signal: Signal) -> Result<(), String> {
    let pid = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
    kill_process(pid.ok_or("no such process")?, signal).map_err(|error| error.to_string())
}
