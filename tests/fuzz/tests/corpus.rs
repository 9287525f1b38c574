//! The corpus is whole, and every input of it is treated well.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use midflight_fuzz::{TARGETS, Trail, corpus, judge, seeds};
use midflight_transport_api::frame::{Kind, decode};
use midflight_transport_stream::handshake::{self, Message, VERSIONS};
use peak_alloc::PeakAlloc;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

/// Memory is the whole program's, so these tests run one after the other.
static ALONE: Mutex<()> = Mutex::new(());

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus")
}

/// Those to begin with are bytes that stand: who changes a format sees it here.
#[test]
fn the_seeds_are_as_they_were() {
    let _alone = ALONE.lock();
    for target in TARGETS {
        let seeds = seeds::of(target.name);
        assert!(!seeds.is_empty(), "{}", target.name);
        for (name, bytes) in seeds {
            let path = folder().join(target.name).join(&name);
            let there = fs::read(&path).unwrap_or_default();
            assert!(there == bytes, "{} has changed: --write-seeds writes it", path.display());
        }
    }
}

#[test]
fn there_are_frames_and_messages_of_every_kind() {
    let _alone = ALONE.lock();
    let frames = corpus::load(&folder(), "frame").unwrap();
    let kinds: BTreeSet<_> = frames
        .iter()
        .filter_map(|bytes| decode(bytes).ok().flatten())
        .map(|(frame, _)| frame.kind as u8)
        .collect();
    assert_eq!(kinds, (Kind::Data as u8..=Kind::Bye as u8).collect());
    let mut kinds = BTreeSet::new();
    for bytes in corpus::load(&folder(), "handshake").unwrap() {
        let Ok(Some(heard)) = handshake::decode(&bytes, VERSIONS) else { continue };
        kinds.insert(match heard.message {
            None => "another version".to_owned(),
            Some(Message::Hello(_)) => "hello".to_owned(),
            Some(Message::Welcome(_)) => "welcome".to_owned(),
            Some(Message::Confirmation) => "confirmation".to_owned(),
            Some(Message::Refusal(refusal, _)) => refusal.to_string(),
        });
    }
    assert!(kinds.len() >= 4 + 8, "{kinds:?}");
}

#[test]
fn every_input_is_treated_well() {
    let _alone = ALONE.lock();
    for target in TARGETS {
        for input in corpus::load(&folder(), target.name).unwrap() {
            let judged = judge(&target, &input, &mut Trail::default());
            let judged = judged.map_err(|fault| fault.to_string());
            assert_eq!(judged, Ok(()), "{}: {input:?}", target.name);
        }
    }
}
