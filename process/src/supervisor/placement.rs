//! Children on other nodes: where they may run, and how one is started there.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use midflight_message::{Message, Pid, decode, encode};

use super::child::{Child, StartFn, Starter, Template};
use super::error::NoStart;
use crate::functions::spawn_on::SpawnOptions;
use crate::functions::{Function, Process};
use crate::membership::member::Member;
use crate::node::Node;

/// Where a child may run. It is looked at for every start, so that a child whose node is gone comes
/// back on another one.
#[derive(Clone)]
pub struct Placement {
    wanted: Wanted,
    /// Which of several is next.
    turn: Arc<AtomicUsize>,
}

#[derive(Clone)]
enum Wanted {
    Named(Arc<[String]>),
    Matching(Arc<dyn Fn(&Member) -> bool + Send + Sync>),
}

impl Placement {
    /// One of the nodes with these names; the first that can is taken.
    pub fn nodes<N: Into<String>>(names: impl IntoIterator<Item = N>) -> Self {
        Self::new(Wanted::Named(names.into_iter().map(Into::into).collect()))
    }

    /// Any member of the cluster, the supervisor's own node included, in turn.
    #[must_use]
    pub fn any() -> Self {
        Self::matching(|_| true)
    }

    /// Any member that `may` takes, in turn.
    pub fn matching(may: impl Fn(&Member) -> bool + Send + Sync + 'static) -> Self {
        Self::new(Wanted::Matching(Arc::new(may)))
    }

    fn new(wanted: Wanted) -> Self {
        Self { wanted, turn: Arc::default() }
    }

    /// The members that may have it, the one to be tried first before the others.
    fn candidates(&self, node: &Node) -> Vec<Member> {
        let mut members = node.members();
        members.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        match &self.wanted {
            Wanted::Named(names) => names
                .iter()
                .flat_map(|name| members.iter().filter(move |member| member.name == *name))
                .cloned()
                .collect(),
            Wanted::Matching(may) => {
                members.retain(|member| member.is_up() && may(member));
                let turn = self.turn.fetch_add(1, Ordering::Relaxed);
                let first = turn % members.len().max(1);
                members.rotate_left(first);
                members
            }
        }
    }
}

impl fmt::Debug for Placement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.wanted {
            Wanted::Named(names) => f.debug_tuple("Nodes").field(names).finish(),
            Wanted::Matching(_) => f.write_str("Matching"),
        }
    }
}

impl Child {
    /// A [registered function](crate::Function) on one of the nodes of `placement`: each that may
    /// have it is tried until one has started it. It has started when it runs.
    ///
    /// A child whose node is lost has ended for its supervisor, with
    /// [`NoConnection`](crate::ExitReason::NoConnection), and is restarted on a node that can be
    /// reached. Where the other node lives on and only the link was lost, the old child gets the same
    /// exit signal there, within the bound by which a lost link is noticed; until then both run.
    pub fn on<A: Message>(
        id: impl Into<String>,
        placement: Placement,
        function: Function<A, Process>,
        argument: &A,
    ) -> Self {
        let mut bytes = Vec::new();
        // An argument that does not encode is a start that fails.
        let encoded = encode(argument, &mut bytes).map_err(NoStart::failed);
        let start = encoded.map(|()| start_on(placement, function, bytes.into()));
        Self::with(id, move |starter| {
            let starting = start.clone().map(|start| start(starter));
            async move { starting?.await }
        })
    }
}

impl Template {
    /// As [`Template::new`], on the nodes of `placement`, as [`Child::on`] does it.
    pub fn on<A: Message>(
        id: impl Into<String>,
        placement: Placement,
        function: Function<A, Process>,
    ) -> Self {
        let start =
            move |argument: Arc<[u8]>| start_on(placement.clone(), function.clone(), argument);
        Self::from_start::<A>(id.into(), Arc::new(start))
    }
}

fn start_on<A: Message>(
    placement: Placement,
    function: Function<A, Process>,
    argument: Arc<[u8]>,
) -> StartFn {
    Arc::new(move |starter| {
        let (placement, function, argument) =
            (placement.clone(), function.clone(), argument.clone());
        Box::pin(async move { try_all(&starter, &placement, &function, &argument).await })
    })
}

async fn try_all<A: Message>(
    starter: &Starter,
    placement: &Placement,
    function: &Function<A, Process>,
    argument: &[u8],
) -> Result<Pid, NoStart> {
    let mut refused = Vec::new();
    for member in placement.candidates(starter.node()) {
        let argument = decode::<A>(argument).map_err(NoStart::failed)?;
        // Linked: a start that is given up ends what it started.
        let options = SpawnOptions::new().linked();
        let cx = starter.context();
        match cx.spawn_on_with(member.id, function.clone(), argument, options).await {
            Ok(spawned) => {
                starter.made(spawned.pid);
                return Ok(spawned.pid);
            }
            Err(error) => refused.push(format!("{}: {error}", member.name)),
        }
    }
    Err(match refused.as_slice() {
        [] => NoStart::failed("no member may have it"),
        refused => NoStart::Failed(refused.join("; ")),
    })
}
