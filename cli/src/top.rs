//! `midflight top`: what a node does, again and again.

use std::io::IsTerminal as _;
use std::time::Duration;

use midflight_dsu::protocol::{Numbers, NumbersRequest, PeerNumbers, Processes, ProcessesRequest};
use midflight_runtime::Handle;
use serde_json::{Value, json};

use crate::args::Reach;
use crate::control::Control;
use crate::error::Error;
use crate::signals::StopSignals;
use crate::{control, output, ps};

/// To the upper left, and nothing below.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Flags of `top`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    reach: Reach,
    /// Looks again after so many seconds, at least 0.1
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS", value_parser = seconds)]
    every: f64,
    /// Looks twice, for the rates, shows that and ends
    #[arg(long)]
    once: bool,
    /// Shows at most so many processes
    #[arg(long, default_value_t = 20, value_name = "NUMBER")]
    limit: u32,
    /// Prints one JSON value for each look
    #[arg(long)]
    json: bool,
}

fn seconds(text: &str) -> Result<f64, String> {
    let seconds: f64 = text.parse().map_err(|_no_number| "give a number of seconds".to_owned())?;
    if (0.1..=3_600.0).contains(&seconds) { Ok(seconds) } else { Err("0.1 to 3600".to_owned()) }
}

/// One look.
struct Look {
    numbers: Numbers,
    processes: Processes,
}

pub(crate) async fn run(runtime: Handle, args: Args) -> Result<(), Error> {
    let mut signals = StopSignals::listen()?;
    let control = control::reach(&runtime, &args.reach).await?;
    let shown = tokio::select! {
        shown = show(&runtime, &control, &args) => shown,
        // It has no other end.
        _signal = signals.asked_to_stop() => Ok(()),
    };
    control.through.shutdown().await;
    shown
}

async fn show(runtime: &Handle, control: &Control, args: &Args) -> Result<(), Error> {
    let mut before = look(control, args.limit).await?;
    loop {
        runtime.sleep(Duration::from_secs_f64(args.every)).await;
        let now = look(control, args.limit).await?;
        let rates = Rates::of(&before.numbers, &now.numbers);
        if args.json {
            output::json(&as_json(&now, &rates))?;
        } else {
            let clear = if !args.once && std::io::stdout().is_terminal() { CLEAR } else { "" };
            output::text(&format!("{clear}{}", screen(&now, &rates)))?;
        }
        if args.once {
            return Ok(());
        }
        before = now;
    }
}

async fn look(control: &Control, limit: u32) -> Result<Look, Error> {
    let numbers = control.ask(NumbersRequest).await?;
    let processes =
        control.ask(ProcessesRequest { limit, longest_first: true, cycles: false }).await?;
    Ok(Look { numbers, processes })
}

/// What happened in a second between two looks.
#[derive(Debug, PartialEq, Eq)]
struct Rates {
    handled: u64,
    turns: u64,
    spawned: u64,
    ended: u64,
    /// For each peer, messages and bytes there and back.
    peers: Vec<(String, [u64; 4])>,
}

impl Rates {
    fn of(before: &Numbers, now: &Numbers) -> Self {
        let millis = now.at_millis.saturating_sub(before.at_millis).max(1);
        // What a link has sent begins anew with the next one.
        let rate = |before: u64, now: u64| {
            let done = now.checked_sub(before).unwrap_or(now);
            done.saturating_mul(1_000) / millis
        };
        let peer = |peer: &PeerNumbers| {
            let none = PeerNumbers { name: String::new(), sent: (0, 0), received: (0, 0) };
            let known = before.peers.iter().find(|before| before.name == peer.name);
            let before = known.unwrap_or(&none);
            let rates = [
                rate(before.sent.0, peer.sent.0),
                rate(before.sent.1, peer.sent.1),
                rate(before.received.0, peer.received.0),
                rate(before.received.1, peer.received.1),
            ];
            (peer.name.clone(), rates)
        };
        Self {
            handled: rate(before.handled, now.handled),
            turns: rate(before.turns, now.turns),
            spawned: rate(before.spawned, now.spawned),
            ended: rate(before.ended, now.ended),
            peers: now.peers.iter().map(peer).collect(),
        }
    }
}

fn screen(Look { numbers, processes }: &Look, rates: &Rates) -> String {
    let mut text = format!(
        "{} · {} processes ({}/s started, {}/s ended, {} badly so far) · {} wait for a turn\n\
         {}/s messages handled in {}/s turns · {} wait in mailboxes, {}\n",
        numbers.node,
        numbers.processes,
        rates.spawned,
        rates.ended,
        numbers.ended_badly,
        numbers.run_queue,
        rates.handled,
        rates.turns,
        numbers.mailbox_messages,
        bytes(numbers.mailbox_bytes),
    );
    let alarms = [
        (numbers.dead_letters, "dead letters"),
        (numbers.refused, "messages not taken"),
        (numbers.links_lost, "links lost"),
    ];
    let alarms: Vec<_> = alarms
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !alarms.is_empty() {
        text.push_str(&format!("{} so far\n", alarms.join(" · ")));
    }
    if !rates.peers.is_empty() {
        let head = ["PEER", "SENT/S", "", "RECEIVED/S", ""].map(str::to_owned).to_vec();
        let rows = rates.peers.iter().map(|(name, [sent, sent_bytes, came, came_bytes])| {
            let way = |messages: &u64, size: &u64| [messages.to_string(), bytes(*size)];
            let [a, b] = way(sent, sent_bytes);
            let [c, d] = way(came, came_bytes);
            vec![name.clone(), a, b, c, d]
        });
        let rows: Vec<_> = std::iter::once(head).chain(rows).collect();
        text.push_str(&format!("\n{}", output::table(&rows)));
    }
    text.push_str(&format!("\n{}", ps::table(&processes.processes)));
    text
}

fn as_json(Look { numbers, processes }: &Look, rates: &Rates) -> Value {
    let peers = numbers.peers.iter().zip(&rates.peers).map(|(peer, (name, rates))| {
        json!({
            "name": name,
            "sent": { "messages": peer.sent.0, "bytes": peer.sent.1,
                      "messages_per_s": rates[0], "bytes_per_s": rates[1] },
            "received": { "messages": peer.received.0, "bytes": peer.received.1,
                          "messages_per_s": rates[2], "bytes_per_s": rates[3] },
        })
    });
    json!({
        "node": numbers.node, "at_millis": numbers.at_millis,
        "processes": numbers.processes, "spawned": numbers.spawned, "ended": numbers.ended,
        "ended_badly": numbers.ended_badly, "run_queue": numbers.run_queue,
        "mailbox_messages": numbers.mailbox_messages, "mailbox_bytes": numbers.mailbox_bytes,
        "turns": numbers.turns, "handled": numbers.handled, "links_lost": numbers.links_lost,
        "dead_letters": numbers.dead_letters, "refused": numbers.refused,
        "per_s": {
            "handled": rates.handled, "turns": rates.turns, "spawned": rates.spawned,
            "ended": rates.ended,
        },
        "peers": peers.collect::<Vec<_>>(),
        "longest": processes.processes.iter().map(ps::as_json).collect::<Vec<_>>(),
    })
}

/// A size for people.
fn bytes(count: u64) -> String {
    match count {
        0..=9_999 => format!("{count} B"),
        10_000..=9_999_999 => format!("{} kB", count / 1_000),
        10_000_000..=9_999_999_999 => format!("{} MB", count / 1_000_000),
        _ => format!("{} GB", count / 1_000_000_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(at_millis: u64, handled: u64, sent: u64) -> Numbers {
        Numbers {
            node: "a".into(),
            at_millis,
            processes: 3,
            spawned: 5,
            ended: 2,
            ended_badly: 1,
            mailbox_messages: 4,
            mailbox_bytes: 20_000,
            run_queue: 0,
            turns: handled / 2,
            handled,
            links_lost: 1,
            dead_letters: 0,
            refused: 7,
            peers: vec![PeerNumbers { name: "b".into(), sent: (sent, 0), received: (0, 0) }],
        }
    }

    #[test]
    fn rates_are_of_a_second_and_begin_anew_with_a_link() {
        let rates = Rates::of(&numbers(1_000, 100, 500), &numbers(3_000, 300, 700));
        assert_eq!((rates.handled, rates.turns, rates.spawned), (100, 50, 0));
        assert_eq!(rates.peers[0].1[0], 100);
        let anew = Rates::of(&numbers(1_000, 100, 500), &numbers(2_000, 100, 40));
        assert_eq!(anew.peers[0].1[0], 40);
        // The same answer twice.
        assert_eq!(Rates::of(&numbers(1, 1, 1), &numbers(1, 1, 1)).handled, 0);
    }

    #[test]
    fn the_screen_says_what_is_wrong() {
        let look = Look {
            numbers: numbers(2_000, 100, 5),
            processes: Processes { total: 3, processes: Vec::new(), cycles: Vec::new() },
        };
        let text = screen(&look, &Rates::of(&numbers(1_000, 0, 0), &look.numbers));
        for part in ["100/s messages", "20 kB", "7 messages not taken · 1 links lost", "PEER"] {
            assert!(text.contains(part), "{part} is not in {text}");
        }
        assert!(!text.contains("dead letters"), "{text}");
    }
}
