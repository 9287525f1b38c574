//! What is written is read; what is garbled is an error, never a panic.

use midflight_message::NodeId;

use super::*;
use crate::raw::RawPid;
use crate::timer::Timer;

/// How many effects [`list`] has.
const COUNT: usize = 24;

fn timer() -> Timer {
    let set_by = Pid { node: NodeId(3), index: 4, generation: 5 };
    Timer { set_by, number: 6 }
}

fn list() -> Vec<u8> {
    let pid = RawPid { node: 7, index: 8, generation: 9 };
    let mut writer = EffectWriter::default();
    writer.send(Address::Pid(pid.into()), 1, &"hello".to_owned());
    writer.reply(77, 2, &5_u64);
    writer.send_after(timer(), None, 1_000, 3, &());
    writer.monitor(pid);
    writer.spawn(pid, "counter", 4, &9_u64);
    writer.exit("done");
    writer.call(1, Address::Pid(pid.into()), 5, 250, &"question".to_owned());
    writer.sleep(2, 10);
    writer.send_after(timer(), Some(Address::Pid(pid.into())), 2_000, 3, &1_u64);
    writer.cancel_timer(timer());
    writer.demonitor(pid);
    writer.monitor_node(NodeId(7));
    writer.demonitor_node(NodeId(7));
    writer.link(pid);
    writer.unlink(pid);
    writer.trap_exits(true);
    writer.ask_about_losses(true);
    writer.reconnect(NodeId(7));
    writer.send(Address::Name("one"), 1, &());
    writer.send(Address::NameOn("two", NodeId(2)), 1, &());
    writer.call(3, Address::NameOn("three", NodeId(2)), 1, 9, &());
    writer.send_after(timer(), Some(Address::Name("four")), 1, 1, &());
    writer.receive();
    writer.update_point(8);
    writer.take().unwrap()
}

#[test]
fn every_effect_is_read_as_it_was_written() {
    let list = list();
    let effects: Vec<_> = Effects::new(&list).collect::<Result<_, _>>().unwrap();
    assert_eq!(effects.len(), COUNT);
    assert_eq!(Effects::check(&list), Ok(COUNT));
    assert!(matches!(effects[0], Effect::Send { type_index: 1, payload: b"\x05hello", .. }));
    assert!(matches!(effects[1], Effect::Reply { call: 77, type_index: 2, payload: [5] }));
    assert!(matches!(
        effects[2],
        Effect::SendAfter { timer: 6, to: None, millis: 1_000, payload: [], .. }
    ));
    assert!(matches!(effects[3], Effect::Monitor { target } if target.index == 8));
    assert!(matches!(effects[4], Effect::Spawn { behaviour: "counter", type_index: 4, .. }));
    assert_eq!(effects[5], Effect::Exit { reason: "done" });
    assert!(matches!(effects[6], Effect::Call { op: 1, timeout_millis: 250, .. }));
    assert_eq!(effects[7], Effect::Sleep { op: 2, millis: 10 });
    assert!(
        matches!(effects[8], Effect::SendAfter { to: Some(Address::Pid(to)), .. } if to.index == 8)
    );
    assert_eq!(effects[9], Effect::CancelTimer { set_by: timer().set_by, timer: 6 });
    let (target, node) = (Pid { node: NodeId(7), index: 8, generation: 9 }, NodeId(7));
    assert_eq!(
        effects[10..18],
        [
            Effect::Demonitor { target },
            Effect::MonitorNode { node },
            Effect::DemonitorNode { node },
            Effect::Link { target },
            Effect::Unlink { target },
            Effect::TrapExits { traps: true },
            Effect::AskAboutLosses { asks: true },
            Effect::Reconnect { node },
        ]
    );
    assert_eq!(effects[22..], [Effect::Receive, Effect::UpdatePoint { op: 8 }]);
    let named = effects[18..22].iter().map(|effect| match effect {
        Effect::Send { to, .. } | Effect::Call { to, .. } => Some(*to),
        Effect::SendAfter { to, .. } => *to,
        _ => None,
    });
    let on = |name| Some(Address::NameOn(name, NodeId(2)));
    assert!(named.eq([
        Some(Address::Name("one")),
        on("two"),
        on("three"),
        Some(Address::Name("four"))
    ]));
}

/// What the first SDK wrote is read for as long as the major stands.
#[test]
fn a_timer_without_a_number_is_read() {
    let list = [&[3][..], &[9, 0, 0, 0, 0, 0, 0, 0], &[2, 0, 0, 0], &[1, 0, 0, 0], b"x"].concat();
    let effect = Effects::new(&list).next().unwrap().unwrap();
    let (timer, to, payload) = (0, None, &b"x"[..]);
    assert_eq!(effect, Effect::SendAfter { timer, to, millis: 9, type_index: 2, payload });
}

proptest::proptest! {
    #[test]
    fn random_bytes_after_any_tag_never_panic(
        tag in 0_u8..32, bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..96)
    ) {
        let list = [&[tag][..], &bytes].concat();
        let mut effects = Effects::new(&list);
        while let Some(effect) = effects.next() {
            // After an error nothing more comes.
            assert!(effect.is_ok() || effects.next().is_none());
        }
    }
}

#[test]
fn a_cut_list_is_short_or_ends_between_two_effects() {
    let list = list();
    for cut in 0..list.len() {
        match Effects::check(&list[..cut]) {
            Ok(count) => assert!(count < COUNT),
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
    let nobody = Err(EffectError::UnknownReceiver(TO_ITSELF));
    assert_eq!(Effects::check(&[SEND_TO, TO_ITSELF]), nobody, "sent to itself, it has a pid");
    assert_eq!(Effects::check(&[TRAP_EXITS, 2]), Err(EffectError::NeitherYesNorNo(2)));
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
