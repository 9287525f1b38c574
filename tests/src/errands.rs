//! A behaviour that does with other processes what it is told to, in two versions that differ in the word
//! they put before what they say.

use std::time::Duration;

use midflight_abi::prelude::*;
use serde::{Deserialize, Serialize};

/// What it starts from.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "errands.Begin", version = 1)]
pub struct Begin {
    /// Whom it tells of everything.
    pub owner: Pid,
}

/// What it says.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize, Message)]
#[message(name = "errands.News", version = 1)]
pub struct News {
    /// Anything.
    pub text: String,
}

/// A timer of its own.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "errands.Ring", version = 1)]
pub struct Ring {}

/// Call somebody with a [`Question`], and answer what came of it.
#[derive(Debug, Default, Serialize, Deserialize, Message)]
#[message(name = "errands.Ask", version = 1)]
pub struct Ask {
    /// Whom; who has the name below, where it is not said.
    pub process: Option<ProcessRef<Question>>,
    /// See above.
    pub name: String,
    /// Where; here, where it is not said.
    pub node: Option<NodeId>,
    /// For how long.
    pub millis: u64,
}

/// What it asks.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "errands.Question", version = 1)]
pub struct Question {}

/// What it is told to do.
#[derive(Debug, Serialize, Deserialize, Message)]
#[message(name = "errands.Errand", version = 1)]
pub enum Errand {
    /// Set a timer for itself, and keep its handle.
    Remind(Duration),
    /// Set a timer for another, and keep its handle.
    RemindOther(Duration, Pid),
    /// Cancel the timer of the handle that it has kept.
    Cancel,
    /// Watch a process, or no longer.
    Watch(Pid),
    /// See above.
    Unwatch(Pid),
    /// Start another of its kind.
    Spawn,
    /// Watch a node, or no longer.
    WatchNode(NodeId),
    /// See above.
    UnwatchNode(NodeId),
    /// Be linked to a process, or no longer.
    Link(Pid),
    /// See above.
    Unlink(Pid),
    /// Trap exits, or no longer.
    Trap(bool),
    /// Be told of losses, or no longer.
    AskAboutLosses(bool),
    /// Accept a loss.
    Reconnect(NodeId),
    /// Send news to a process that takes nothing else.
    Say(ProcessRef<News>),
    /// Send news to whoever has the name, on this node or another, now and a second later.
    SayTo(String, Option<NodeId>),
}

macro_rules! version {
    ($module:ident, $version:tt) => {
        /// One version.
        pub mod $module {
            use super::*;

            /// The behaviour, with its state.
            #[derive(Debug, Serialize, Deserialize, State)]
            #[state(version = 1)]
            pub struct Errands {
                owner: Pid,
                timer: Option<Timer>,
            }

            #[behaviour(name = "errands", version = $version, sends(Begin, News), calls(Question -> News))]
            impl Errands {
                fn init(_cx: &mut Context<Self>, start: Begin) -> Self {
                    Errands { owner: start.owner, timer: None }
                }

                #[handle]
                fn errand(&mut self, cx: &mut Context<Self>, msg: Errand) {
                    match msg {
                        Errand::Remind(after) => self.timer = Some(cx.send_after(after, &Ring {})),
                        Errand::RemindOther(after, to) => {
                            let news = News { text: format!("v{}: a reminder", $version) };
                            self.timer = Some(cx.send_after_to(after, to, &news));
                        }
                        Errand::Watch(target) => cx.monitor(target),
                        Errand::Unwatch(target) => cx.demonitor(target),
                        Errand::Spawn => {
                            cx.spawn("errands", &Begin { owner: self.owner }).expect("there is room");
                        }
                        Errand::WatchNode(node) => cx.monitor_node(node),
                        Errand::UnwatchNode(node) => cx.demonitor_node(node),
                        Errand::Link(target) => cx.link(target),
                        Errand::Unlink(target) => cx.unlink(target),
                        Errand::Trap(traps) => cx.trap_exits(traps),
                        Errand::AskAboutLosses(true) => cx.reconnect_policy(ReconnectPolicy::Ask),
                        Errand::AskAboutLosses(false) => {
                            cx.reconnect_policy(ReconnectPolicy::Accept);
                        }
                        Errand::Reconnect(node) => cx.reconnect(node),
                        Errand::Say(to) => cx.send(to, &self.news("hello")),
                        Errand::SayTo(name, None) => {
                            cx.send(&name, &self.news("hello"));
                            cx.send_after_to(Duration::from_secs(1), &name, &self.news("again"));
                        }
                        Errand::SayTo(name, Some(node)) => {
                            cx.send((&name, node), &self.news("hello"));
                            let after = Duration::from_secs(1);
                            cx.send_after_to(after, (&name, node), &self.news("again"));
                        }
                        Errand::Cancel => self.timer.iter().for_each(|t| cx.cancel_timer(*t)),
                    }
                }

                #[handle]
                fn ring(&mut self, cx: &mut Context<Self>, _msg: Ring) {
                    self.tell(cx, "it rings");
                }

                #[handle]
                fn down(&mut self, cx: &mut Context<Self>, msg: Down) {
                    self.tell(cx, &format!("{} is down: {}", msg.pid, msg.reason));
                }

                #[handle]
                fn node_down(&mut self, cx: &mut Context<Self>, msg: NodeDown) {
                    self.tell(cx, &format!("node {} is down", msg.node));
                }

                #[handle]
                fn disconnected(&mut self, cx: &mut Context<Self>, msg: Disconnected) {
                    self.tell(cx, &format!("node {} is disconnected", msg.node));
                }

                #[handle]
                fn exited(&mut self, cx: &mut Context<Self>, msg: Exited) {
                    self.tell(cx, &format!("{} has exited: {}", msg.from, msg.reason));
                }

                fn tell(&self, cx: &mut Context<Self>, text: &str) {
                    cx.send(self.owner, &self.news(text));
                }

                fn news(&self, text: &str) -> News {
                    News { text: format!("v{}: {text}", $version) }
                }

                #[handle]
                async fn ask(&mut self, cx: AsyncContext<Self>, msg: Ask) -> News {
                    let (question, timeout) = (Question {}, Duration::from_millis(msg.millis));
                    let answer = match (msg.process, msg.node) {
                        (Some(process), _) => cx.call(process, &question, timeout).await,
                        (None, Some(node)) => cx.call((&msg.name, node), &question, timeout).await,
                        (None, None) => cx.call(&msg.name, &question, timeout).await,
                    };
                    answer.unwrap_or_else(|error| News { text: error.to_string() })
                }
            }
        }
    };
}

version!(v1, 1);
version!(v2, 2);
