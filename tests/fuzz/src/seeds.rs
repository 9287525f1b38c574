//! The inputs to begin with: every kind of frame and of handshake message, and some values.
//!
//! They are in the corpus as files, byte for byte; `midflight-fuzz --write-seeds` writes them.

use std::collections::BTreeMap;
use std::time::Duration;

use midflight_message::{Message as _, Pid, encode};
use midflight_process::fuzz;
use midflight_transport_api::ConnectionId;
use midflight_transport_api::frame::{CRITICAL, Kind, header, push_extension};
use midflight_transport_stream::handshake::{self, Introduction, Message, Refusal, VERSIONS};

use crate::targets::driven::{Tree, TreeV1};
use crate::targets::message::Sample;
use crate::targets::records::AS_THEY_ARE;

/// A name and its bytes.
pub type Seed = (String, Vec<u8>);

/// Those of a target.
#[must_use]
pub fn of(target: &str) -> Vec<Seed> {
    match target {
        "frame" => frames(),
        "incoming" => streams(),
        "handshake" => handshakes(),
        "extensions" => entries(),
        "schema" => schemas(),
        "driven" => values(),
        "message" => messages(),
        "node" => nodes(),
        "gossip" => packets(),
        "records" => records(),
        _ => Vec::new(),
    }
}

fn frame(kind: Kind, more: bool, extended: bool, connection: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = header(kind, more, extended, ConnectionId(connection), payload.len()).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

fn two_entries() -> Vec<u8> {
    let mut entries = Vec::new();
    push_extension(&mut entries, 1, b"trace");
    push_extension(&mut entries, 2, b"");
    entries
}

fn extended(payload: &[u8]) -> Vec<u8> {
    let entries = two_entries();
    [&(entries.len() as u16).to_le_bytes(), &entries[..], payload].concat()
}

fn frames() -> Vec<Seed> {
    let kinds = [
        ("data", frame(Kind::Data, false, false, 5, b"hello")),
        ("data-more", frame(Kind::Data, true, false, 5, b"hel")),
        ("data-extended", frame(Kind::Data, false, true, 5, &extended(b"hello"))),
        ("open", frame(Kind::Open, false, false, 5, b"")),
        ("close", frame(Kind::Close, false, false, 5, b"")),
        ("credit", frame(Kind::Credit, false, false, 5, &[0, 1, 0, 0])),
        ("ping", frame(Kind::Ping, false, false, 0, b"")),
        ("ping-extended", frame(Kind::Ping, false, true, 0, &extended(b""))),
        ("pong", frame(Kind::Pong, false, false, 0, b"")),
        ("bye", frame(Kind::Bye, false, false, 0, b"")),
    ];
    let all = kinds.iter().flat_map(|(_, bytes)| bytes.clone()).collect();
    let mut seeds: Vec<Seed> = kinds.map(|(name, bytes)| (name.to_owned(), bytes)).into();
    seeds.push(("all-kinds".into(), all));
    seeds
}

/// Streams behind the two bytes that choose the longest message and the cuts.
fn streams() -> Vec<Seed> {
    let open = |n| frame(Kind::Open, false, false, n, b"");
    let close = |n| frame(Kind::Close, false, false, n, b"");
    let data = |more, n, payload: &[u8]| frame(Kind::Data, more, false, n, payload);
    let long = vec![7; 9000];
    let stream = |max: u8, cuts: u8, frames: &[Vec<u8>]| [&[max, cuts], &*frames.concat()].concat();
    let ping = frame(Kind::Ping, false, false, 0, b"");
    let bye = frame(Kind::Bye, false, false, 0, b"");
    let ordinary = [
        open(0),
        data(false, 0, b"one"),
        open(1),
        data(true, 1, b"begins and "),
        ping,
        data(false, 0, b"two"),
        data(false, 1, b"ends"),
        frame(Kind::Data, false, true, 0, &extended(b"three")),
        close(0),
        close(1),
        bye,
    ];
    let in_fragments = [
        open(0),
        open(1),
        data(true, 0, &long),
        data(true, 1, &long),
        data(false, 0, &long[..10]),
        data(false, 1, &long),
        data(false, 0, &long),
    ];
    let cut_short = [open(0), data(true, 0, b"never ends"), close(0), open(4096), close(4096)];
    let mut fills = vec![open(0), open(1), open(2)];
    fills.extend([data(true, 0, &long), data(true, 0, &long), data(true, 1, &long)]);
    fills.extend([data(true, 1, &long), data(false, 2, &long)]);
    let mut too_much: Vec<_> = (0..3).map(open).collect();
    too_much.extend((0..3).map(|n| data(true, n, &[3; 90])));
    vec![
        ("ordinary".into(), stream(2, 3, &ordinary)),
        ("too-much-unfinished".into(), stream(2, 5, &too_much)),
        ("in-fragments".into(), stream(4, 9, &in_fragments)),
        ("cut-short".into(), stream(2, 1, &cut_short)),
        ("fills-what-is-held".into(), stream(4, 10, &fills)),
    ]
}

fn handshakes() -> Vec<Seed> {
    let who = |address: &str| Introduction {
        address: address.parse().expect("it is an address"),
        nonce: *b"0123456789abcdef",
        heartbeat: Duration::from_secs(10),
        max_message: 64 << 20,
    };
    let refusals = [
        Refusal::NoCommonVersion,
        Refusal::Crossed,
        Refusal::Closed,
        Refusal::TooMany,
        Refusal::Oneself,
        Refusal::Linked,
        Refusal::Taken,
        Refusal::Other(200),
    ];
    let mut seeds = vec![
        ("hello".into(), handshake::encode(&Message::Hello(who("tcp:[::1]:7400")), VERSIONS)),
        ("hello-later".into(), handshake::encode(&Message::Hello(who("tcp:a:1")), (2, 9))),
        ("welcome".into(), handshake::encode(&Message::Welcome(who("mem:~0a")), VERSIONS)),
        ("confirmation".into(), handshake::encode(&Message::Confirmation, VERSIONS)),
    ];
    for refusal in refusals {
        let bytes = handshake::encode(&Message::Refusal(refusal, None), VERSIONS);
        let name = format!("{refusal:?}").to_lowercase().replace(['(', ')'], "-");
        seeds.push((format!("refusal-{}", name.trim_end_matches('-')), bytes));
    }
    let named = Message::Refusal(Refusal::Linked, Some(who("tcp:a:1").address));
    seeds.push(("refusal-linked-named".into(), handshake::encode(&named, VERSIONS)));
    seeds
}

fn entries() -> Vec<Seed> {
    let mut critical = two_entries();
    push_extension(&mut critical, 3 | CRITICAL, b"must be known");
    let mut many = Vec::new();
    for kind in 0..20 {
        push_extension(&mut many, kind, &[kind; 255]);
    }
    vec![
        ("none".into(), Vec::new()),
        ("two".into(), two_entries()),
        ("critical".into(), critical),
        ("too-long".into(), many),
    ]
}

fn schemas() -> Vec<Seed> {
    let own = Sample::type_info().schema().as_bytes().to_vec();
    let kinds = "#0\n#0 = fuzz.A: struct { a: u8, b: option<#1> default, c: seq<map<string, i64>> alias d }\n\
                 #1 = fuzz.B: enum { X, Y(u128), Z { e: array<tuple(bool, f64), 3> } }\n";
    vec![
        ("own".into(), own),
        ("kinds".into(), kinds.as_bytes().to_vec()),
        ("unit".into(), b"unit\n".to_vec()),
        ("endless".into(), b"#0\n#0 = A: struct { gone: #0 }\n".to_vec()),
        ("nothings".into(), b"#0\n#0 = A: struct { kept: array<unit, 4294967295> }\n".to_vec()),
    ]
}

/// Schemas, each with a value of it.
fn values() -> Vec<Seed> {
    let seed = |name: &str, schema: &str, value: &[u8]| {
        (name.to_owned(), [schema.as_bytes(), &[0], value].concat())
    };
    let tree = "#0\n#0 = fuzz.Tree@1: struct { kids: seq<#0>, value: i8 }\n";
    let mut seeds = vec![
        seed("tree", tree, &[2, 0, 3, 1, 0, 5, 9]),
        seed("tree-as-it-is", Tree::type_info().schema(), &[8, 1, 2, 0, 0, 1, 3]),
        seed("tree-in-a-circle", TreeV1::type_info().schema(), &[1, 4, 1, 6, 0, 0]),
    ];
    let schema = Sample::type_info().schema();
    seeds.extend(messages().iter().map(|(name, value)| seed(name, schema, value)));
    seeds
}

fn messages() -> Vec<Seed> {
    let text = |text: &str| text.to_owned();
    let pid: Pid = "<0123456789abcdef.7.1>".parse().expect("it is a pid");
    let mut map = BTreeMap::new();
    map.insert(text("leaf"), Sample::Leaf);
    map.insert(text("texts"), Sample::Texts(vec![text(""), text("é"), text("longer")]));
    let deep = Sample::Deep { map, pid, wide: [0, 1, u128::MAX] };
    let samples = [
        ("leaf", Sample::Leaf),
        ("nothings", Sample::Nothings(vec![(); 1000], 'ß', -0.5, i64::MIN, true)),
        ("both", Sample::Both(Box::new(Sample::Leaf), Some(Box::new(deep)))),
    ];
    let bytes = |sample: &Sample| {
        let mut bytes = Vec::new();
        encode(sample, &mut bytes).expect("it can be written");
        bytes
    };
    samples.iter().map(|(name, sample)| (text(name), bytes(sample))).collect()
}

/// Every kind of frame between nodes, and a schema that was asked for.
fn nodes() -> Vec<Seed> {
    let mut seeds: Vec<Seed> =
        fuzz::frames().into_iter().map(|(name, bytes)| (name.to_owned(), bytes)).collect();
    seeds.push(("schema".into(), fuzz::schema_of(Sample::type_info())));
    seeds
}

fn packets() -> Vec<Seed> {
    let packets = fuzz::packets().into_iter().enumerate();
    packets.map(|(number, bytes)| (format!("packet-{number}"), bytes)).collect()
}

/// Records of TLS behind the byte that says who reads and the one that chooses the cuts.
fn records() -> Vec<Seed> {
    const DATA: (u8, &[u8]) = (23, b"data");
    let seed = |name: &str, is_client: u8, parts: &[(u8, &[u8])]| {
        let mut bytes = vec![is_client, 4];
        for (kind, content) in parts {
            bytes.push(*kind);
            bytes.extend_from_slice(&(content.len() as u16).to_le_bytes());
            bytes.extend_from_slice(content);
        }
        (name.to_owned(), bytes)
    };
    let ticket = [&[4, 0, 0, 20][..], &[7; 20]].concat();
    let long = vec![3; 17_000];
    vec![
        seed("data", 0, &[DATA, (23, b""), (23, &long[..16_384])]),
        seed("goodbye", 1, &[DATA, (21, &[1, 90]), DATA, (21, &[1, 0]), DATA]),
        seed("alert", 0, &[DATA, (21, &[2, 80])]),
        seed("new-keys", 0, &[DATA, (22, &[24, 0, 0, 1, 1]), DATA, (22, &[24, 0, 0, 1, 0]), DATA]),
        seed(
            "tickets",
            1,
            &[(22, &ticket.repeat(3)), (22, &ticket[..9]), (22, &ticket[9..]), DATA],
        ),
        seed("many-tickets", 1, &[(22, &ticket.repeat(40))]),
        seed("padded", 0, &[(0, b"data\x17\0\0"), (0, &[0; 9]), DATA]),
        seed("too-long", 0, &[(23, &long)]),
        seed("not-protected", 0, &[DATA, (AS_THEY_ARE, &[22, 3, 3, 0, 1, 1])]),
        seed("changed", 0, &[DATA, (AS_THEY_ARE, &[23, 3, 3, 0, 18]), DATA]),
    ]
}
