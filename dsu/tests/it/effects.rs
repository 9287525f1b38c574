//! What a plain handler does, and that a failed one did nothing.

use std::time::Duration;

use midflight_abi::effect::{Effect, UNIT_REPLY};
use midflight_abi::prelude::*;
use midflight_dsu::code::{CodeError, Progress};
use midflight_dsu::compiled::compiled;
use midflight_message::{Address, decode, encode};
use serde::{Deserialize, Serialize};

use crate::fixtures::{Process, pid};

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(crate) struct Begin {
    pub(crate) value: u32,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(crate) struct Tick {
    pub(crate) value: u32,
}

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) struct DoAll {}

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) struct DoAllAsync {}

/// All that plain and `async` handlers can do alike.
macro_rules! all {
    ($cx:ident) => {
        $cx.send(pid(5), &Tick { value: 1 });
        let timer = $cx.send_after(Duration::from_micros(1_500), &Tick { value: 2 });
        let _kept = $cx.send_after_to(Duration::from_millis(3), pid(5), &Tick { value: 3 });
        $cx.cancel_timer(timer);
        $cx.monitor(pid(6));
        $cx.demonitor(pid(6));
        $cx.monitor_node(NodeId(3));
        $cx.demonitor_node(NodeId(3));
        $cx.link(pid(6));
        $cx.unlink(pid(6));
        $cx.trap_exits(true);
        $cx.reconnect_policy(ReconnectPolicy::Ask);
        $cx.reconnect(pid(6));
        let spawned = $cx.spawn("doer", &Begin { value: 3 }).unwrap();
        $cx.send(spawned, &Tick { value: 4 });
        $cx.log(Level::Warn, "done all");
        $cx.send("known", &Tick { value: 1 });
        $cx.send(("known", NodeId(3)), &Tick { value: 1 });
        $cx.send(ProcessRef::<Tick>::new(pid(5)), &Tick { value: 1 });
        $cx.exit("enough");
    };
}

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) struct Fail {
    pub(crate) panic: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize, Message)]
pub(crate) struct Seen {
    pub(crate) me: Pid,
    pub(crate) caller: Option<Pid>,
    pub(crate) known: Option<Pid>,
    pub(crate) unknown: Option<Pid>,
    pub(crate) now: Duration,
    pub(crate) random: Vec<u8>,
}

#[derive(Debug, Serialize, Deserialize, Message)]
pub(crate) struct Look {}

#[derive(Debug, Serialize, Deserialize, State)]
#[state(version = 1)]
pub(crate) struct Doer {
    value: u32,
}

#[behaviour(name = "doer", version = 1, sends(Tick, Begin))]
impl Doer {
    fn init(cx: &mut Context<Self>, start: Begin) -> Result<Self, String> {
        if start.value == 0 {
            return Err("nothing to do".into());
        }
        cx.send(pid(5), &Tick { value: start.value });
        Ok(Doer { value: start.value })
    }

    #[handle]
    fn tick(&mut self, _cx: &mut Context<Self>, msg: Tick) {
        self.value = msg.value;
    }

    #[handle]
    fn do_all(&mut self, cx: &mut Context<Self>, _msg: DoAll) {
        all!(cx);
    }

    #[handle]
    async fn do_all_async(&mut self, cx: AsyncContext<Self>, _msg: DoAllAsync) {
        all!(cx);
    }

    #[handle]
    fn fail(&mut self, cx: &mut Context<Self>, msg: Fail) {
        self.value = 1_000;
        cx.send(pid(5), &Tick { value: 1 });
        assert!(!msg.panic, "asked to");
    }

    #[handle]
    fn down(&mut self, cx: &mut Context<Self>, msg: Down) {
        cx.log(Level::Info, msg.reason);
    }

    #[handle]
    fn node_down(&mut self, cx: &mut Context<Self>, msg: NodeDown) {
        cx.log(Level::Info, msg.reason);
    }

    #[handle]
    fn exited(&mut self, cx: &mut Context<Self>, msg: Exited) {
        cx.log(Level::Info, msg.reason);
    }

    #[handle]
    fn disconnected(&mut self, cx: &mut Context<Self>, msg: Disconnected) {
        cx.log(Level::Info, msg.reason);
    }

    #[handle]
    fn look(&mut self, cx: &mut Context<Self>, _msg: Look) -> Seen {
        let mut random = vec![0; 3];
        cx.fill_random(&mut random);
        Seen {
            me: cx.me(),
            caller: cx.caller(),
            known: cx.whereis("known"),
            unknown: cx.whereis("unknown"),
            now: cx.now(),
            random,
        }
    }
}

fn doer() -> Process {
    let code = compiled::<(Doer,)>().unwrap();
    Process::create(&*code, 0, &Begin { value: 7 })
}

fn encoded<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

#[test]
fn init_has_effects_and_may_refuse() {
    let process = doer();
    let tick = encoded(&Tick { value: 7 });
    assert_eq!(
        process.effects(),
        [Effect::Send { to: Address::Pid(pid(5)), type_index: 0, payload: &tick }]
    );
    let code = compiled::<(Doer,)>().unwrap();
    let host = crate::fixtures::TestHost::default();
    let call = midflight_dsu::code::Call {
        me: pid(1),
        from: None,
        reply_to: None,
        is_wanted: false,
        host: &host,
    };
    let mut effects = Vec::new();
    let refused = code.create(0, &encoded(&Begin { value: 0 }), &call, &mut effects).err();
    assert_eq!(refused, Some(CodeError::Refused("nothing to do".into())));
}

#[test]
fn all_effects_leave_in_their_order() {
    all_effects(&DoAll {});
    all_effects(&DoAllAsync {});
}

fn all_effects(message: &impl Message) {
    let mut process = doer();
    assert_eq!(process.start(message), Ok(Progress::Done));
    let (target, node) = (pid(6), NodeId(3));
    let tick = encoded(&Tick { value: 1 });
    let sent = |to| Effect::Send { to, type_index: 0, payload: &tick };
    // What the test's host calls random.
    let timer = u64::from_le_bytes([4; 8]);
    let ticks: Vec<_> = (0..5).map(|value| encoded(&Tick { value })).collect();
    assert_eq!(
        process.effects(),
        [
            Effect::Send { to: Address::Pid(pid(5)), type_index: 0, payload: &ticks[1] },
            Effect::SendAfter { timer, to: None, millis: 2, type_index: 0, payload: &ticks[2] },
            Effect::SendAfter {
                timer,
                to: Some(Address::Pid(pid(5))),
                millis: 3,
                type_index: 0,
                payload: &ticks[3],
            },
            Effect::CancelTimer { set_by: pid(1), timer },
            Effect::Monitor { target },
            Effect::Demonitor { target },
            Effect::MonitorNode { node },
            Effect::DemonitorNode { node },
            Effect::Link { target },
            Effect::Unlink { target },
            Effect::TrapExits { traps: true },
            Effect::AskAboutLosses { asks: true },
            Effect::Reconnect { node },
            Effect::Spawn { pid: pid(99), behaviour: "doer", type_index: 1, payload: &ticks[3] },
            Effect::Send { to: Address::Pid(pid(99)), type_index: 0, payload: &ticks[4] },
            sent(Address::Name("known")),
            sent(Address::NameOn("known", node)),
            sent(Address::Pid(pid(5))),
            Effect::Exit { reason: "enough" },
            Effect::Reply { call: 41, type_index: UNIT_REPLY, payload: &[] },
        ]
    );
    assert_eq!(*process.host.log.lock().unwrap(), ["Warn: done all"]);
}

#[test]
fn a_panic_leaves_no_effect_and_no_state() {
    let mut process = doer();
    let before = process.instance.save(1).unwrap();
    let error = process.start(&Fail { panic: true }).unwrap_err();
    let CodeError::Panicked(text) = error else { panic!("{error:?}") };
    assert!(text.starts_with("asked to (at ") && text.contains("effects.rs"), "{text}");
    assert!(process.effects.is_empty());
    assert_eq!(process.start(&Look {}), Err(CodeError::Lost));
    assert_eq!(process.instance.save(1), Err(CodeError::Lost));
    assert_eq!(process.instance.size(), 0);
    let code = compiled::<(Doer,)>().unwrap();
    let mut restored = Process::restore(&*code, 0, 1, &before).unwrap();
    assert_eq!(restored.start(&Fail { panic: false }), Ok(Progress::Done));
}

#[test]
fn a_handler_sees_its_process_and_node() {
    let seen: Seen = doer().call(&Look {});
    assert_eq!(
        seen,
        Seen {
            me: pid(1),
            caller: Some(pid(2)),
            known: Some(pid(77)),
            unknown: None,
            now: Duration::from_secs(5),
            random: vec![4; 3],
        }
    );
}

#[test]
fn the_description_says_it_all() {
    let code = compiled::<(Doer,)>().unwrap();
    let doer = &code.description().behaviours[0];
    assert_eq!((doer.name.as_str(), doer.code_version), ("doer", 1));
    assert_eq!(doer.start, *Begin::type_info());
    assert_eq!(doer.sends, [Tick::type_info().clone(), Begin::type_info().clone()]);
    let accepts: Vec<_> = doer.accepts.iter().map(|accept| accept.message.name()).collect();
    assert_eq!(accepts[4..7], ["midflight.Down", "midflight.NodeDown", "midflight.Exited"]);
    assert_eq!(doer.accepts[8].reply.as_ref(), Some(Seen::type_info()));
    let waits = doer.accepts.iter().filter(|accept| accept.is_async);
    assert!(waits.map(|accept| &accept.message).eq([DoAllAsync::type_info()]));
    assert_eq!(decode::<Tick>(&encoded(&Tick { value: 3 })).unwrap(), Tick { value: 3 });
}
