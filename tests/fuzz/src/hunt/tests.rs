//! The fuzzer finds what is planted. One after the other: memory is the whole program's.

use std::sync::atomic::AtomicBool;

use midflight_runtime::TokioRuntime;
use midflight_transport_api::frame::{self, Kind};

use super::*;
use crate::seeds;

#[global_allocator]
static HEAP: PeakAlloc = PeakAlloc;

static ALONE: Mutex<()> = Mutex::new(());

/// Whether a hang may end.
static ENOUGH: AtomicBool = AtomicBool::new(false);

fn planted(run: fn(&[u8], &mut Trail)) -> Target {
    Target { name: "planted", run, longest: 4096, memory: (64 << 10, 4), words: &[] }
}

/// Looks for at most half a minute, from frames of all kinds.
fn look(run: fn(&[u8], &mut Trail), time: Duration, seed: u64) -> Report {
    let tokio = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let runtime = TokioRuntime::on(tokio.handle().clone());
    let seeds = seeds::of("frame").into_iter().map(|(_, bytes)| bytes).collect();
    let options = Options { time, seed, input_time: Duration::from_secs(1) };
    let report = tokio.block_on(hunt(&runtime, planted(run), seeds, options));
    ENOUGH.store(true, Ordering::Release);
    report
}

fn find(run: fn(&[u8], &mut Trail), seed: u64) -> Finding {
    let report = look(run, Duration::from_secs(30), seed);
    report.finding.expect("it is found")
}

/// Fails for a close of a connection with a high number, behind a fragment.
fn panics(bytes: &[u8], trail: &mut Trail) {
    let (mut left, mut fragment) = (bytes, false);
    while let Ok(Some((frame, len))) = frame::decode(left) {
        let bad = fragment && frame.kind == Kind::Close && frame.connection.0 > 1 << 20;
        assert!(!bad, "planted");
        trail.note((frame.kind as u8, frame.more));
        fragment = frame.more;
        left = &left[len..];
    }
}

#[test]
fn a_panic_is_found_and_can_be_repeated() {
    let _alone = ALONE.lock();
    let found = find(panics, 1);
    assert_eq!(found.fault, Fault::Panicked("planted".into()));
    let again = judge(&planted(panics), &found.input, &mut Trail::default());
    assert_eq!(again, Err(found.fault.clone()));
    assert_eq!(find(panics, 1), found, "the same seed finds the same");
}

/// Believes a length.
fn believes(bytes: &[u8], _: &mut Trail) {
    if let Some(len) = bytes.first_chunk::<3>() {
        let len = u32::from_le_bytes([len[0], len[1], len[2], 0]);
        std::hint::black_box(Vec::<u8>::with_capacity(len as usize));
    }
}

#[test]
fn memory_for_a_claimed_length_is_found() {
    let _alone = ALONE.lock();
    let found = find(believes, 2);
    assert!(matches!(found.fault, Fault::Memory { held, allowed } if held > allowed), "{found:?}");
}

/// Does not end for a frame without a payload behind one with extensions.
fn hangs(bytes: &[u8], trail: &mut Trail) {
    let mut extended = false;
    let mut left = bytes;
    while let Ok(Some((frame, len))) = frame::decode(left) {
        while extended && frame.payload.is_empty() && !ENOUGH.load(Ordering::Acquire) {
            std::hint::spin_loop();
        }
        trail.note((frame.kind as u8, frame.extensions.len()));
        extended = !frame.extensions.is_empty();
        left = &left[len..];
    }
}

#[test]
fn what_does_not_end_is_found() {
    let _alone = ALONE.lock();
    ENOUGH.store(false, Ordering::Release);
    assert_eq!(find(hangs, 3).fault, Fault::Slow(Duration::from_secs(1)));
}

#[test]
fn where_nothing_is_wrong_nothing_is_found() {
    let _alone = ALONE.lock();
    let report = look(crate::targets::frame::frame, Duration::from_millis(200), 4);
    assert_eq!(report.finding, None);
    assert!(report.inputs > 100 && !report.new.is_empty(), "{report:?}");
}
