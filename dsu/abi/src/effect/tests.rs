//! What is written is read; what is garbled is an error, never a panic.

use super::*;
use crate::raw::RawPid;

fn list() -> Vec<u8> {
    let pid = RawPid { node: 7, index: 8, generation: 9 };
    let mut writer = EffectWriter::default();
    writer.send(pid, 1, &"hello".to_owned());
    writer.reply(77, 2, &5_u64);
    writer.send_after(1_000, 3, &());
    writer.monitor(pid);
    writer.spawn(pid, "counter", 4, &9_u64);
    writer.exit("done");
    writer.call(1, pid, 5, 250, &"question".to_owned());
    writer.sleep(2, 10);
    writer.take().unwrap()
}

#[test]
fn every_effect_is_read_as_it_was_written() {
    let list = list();
    let effects: Vec<_> = Effects::new(&list).collect::<Result<_, _>>().unwrap();
    assert_eq!(effects.len(), 8);
    assert_eq!(Effects::check(&list), Ok(8));
    assert!(matches!(effects[0], Effect::Send { type_index: 1, payload: b"\x05hello", .. }));
    assert!(matches!(effects[1], Effect::Reply { call: 77, type_index: 2, payload: [5] }));
    assert!(matches!(effects[2], Effect::SendAfter { millis: 1_000, payload: [], .. }));
    assert!(matches!(effects[3], Effect::Monitor { target } if target.index == 8));
    assert!(matches!(effects[4], Effect::Spawn { behaviour: "counter", type_index: 4, .. }));
    assert_eq!(effects[5], Effect::Exit { reason: "done" });
    assert!(matches!(effects[6], Effect::Call { op: 1, timeout_millis: 250, .. }));
    assert_eq!(effects[7], Effect::Sleep { op: 2, millis: 10 });
}

#[test]
fn a_cut_list_is_short_or_ends_between_two_effects() {
    let list = list();
    for cut in 0..list.len() {
        match Effects::check(&list[..cut]) {
            Ok(count) => assert!(count < 8),
            Err(error) => assert_eq!(error, EffectError::Short, "cut at {cut}"),
        }
    }
}

#[test]
fn a_garbled_list_never_panics() {
    let list = list();
    for at in 0..list.len() {
        for bit in 0..8 {
            let mut garbled = list.clone();
            garbled[at] ^= 1 << bit;
            let _ = Effects::check(&garbled);
        }
    }
    assert_eq!(Effects::check(&[0]), Err(EffectError::UnknownTag(0)));
}

#[test]
fn more_effects_than_allowed_are_refused() {
    let many = EFFECTS_MAX + 1;
    let mut writer = EffectWriter::default();
    for op in 0..many {
        writer.sleep(op as u64, 0);
    }
    assert_eq!(Effects::check(&writer.take().unwrap()), Err(EffectError::Long));
}
