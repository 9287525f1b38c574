//! Who is in the cluster: a kernel. Pure: inputs and a time go in, actions come out.
//!
//! The protocol is SWIM with suspicion, by the crate `foca`: each member asks another, chosen by
//! chance, for a sign of life, and what is learnt travels on such messages. Here is what surrounds it:
//! who is believed, what is bounded, and what time it is.

mod card;
mod effects;
pub(crate) mod gossip;
mod joining;
pub(crate) mod lookout;
pub(crate) mod member;
pub(crate) mod news;
mod packet;
mod search;
pub(crate) mod sources;
#[cfg(test)]
mod tests;
mod timers;

use std::time::Duration;

use foca::{Foca, NoCustomBroadcast, PostcardCodec, State, Timer};
use midflight_message::NodeId;
use midflight_runtime::Instant;
use midflight_transport_api::Address;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng as _;

use crate::membership::member::{Member, MemberState};
use crate::node::limits::Limits;
pub(crate) use card::{Card, Identity};
use effects::{Effects, at_least_one, config};
use packet::{Told, screen};
use timers::Timers;

/// How much later than now a life may claim to have begun, in milliseconds: clocks differ.
const STARTED_AHEAD_MAX: u64 = 24 * 60 * 60 * 1_000;
/// How many are told at once by one who leaves.
const FAREWELLS: usize = 64;

/// What happens to a node's idea of the cluster.
#[derive(Debug)]
pub(crate) enum Input<'a> {
    /// A link to this node is up.
    Met(&'a Card),
    /// A peer says who is there, to one who is no member itself.
    Told(Vec<Member>),
    /// A peer, which presented itself so, gossips.
    Packet { peer: &'a Card, bytes: &'a [u8] },
    /// It is certain that this incarnation is gone.
    Gone(NodeId),
    /// A peer knows of an earlier life of this node which claims to have begun later.
    Outranked { started: u64 },
    /// The node has other code.
    Catalogue([u8; 32]),
    /// The node is shut down.
    Leave,
    /// Time has passed.
    Wake,
}

/// What the shell does next.
#[derive(Debug)]
pub(crate) enum Action {
    /// Send a packet, over a link that is made if need be. It may be lost.
    Send { to: Identity, packet: Vec<u8> },
    /// Tell a peer that an earlier life of its claims to have begun then.
    Outranked { peer: NodeId, started: u64 },
}

/// A node's idea of the cluster.
pub(crate) struct Kernel {
    foca: Foca<Identity, PostcardCodec, ChaCha8Rng, NoCustomBroadcast>,
    config: foca::Config,
    timers: Timers,
    /// For one who is no member: whom it was told of.
    observed: Vec<Member>,
    /// A turn of gossip that has nothing to say; it comes when there is.
    silent: Option<Timer<Identity>>,
    members_max: usize,
    /// What time of day it was at some instant, in milliseconds.
    clock: (u64, Instant),
    /// When it was taken for down last, and came back with another revision of its card. For some time
    /// it hears no more of that: two nodes of one name would do nothing else.
    came_back: Option<Instant>,
    has_left: bool,
    /// Whether a member may have changed since the shell looked.
    changed: bool,
}

impl Kernel {
    /// A node alone, which is not open yet.
    pub(crate) fn new(own: Card, limits: &Limits, now: Instant) -> Self {
        let clock = (own.started, now);
        let config = config(limits);
        let random = ChaCha8Rng::from_seed([0; 32]);
        Self {
            foca: Foca::new(Identity::new(own), config.clone(), random, PostcardCodec),
            config,
            timers: Timers::default(),
            observed: Vec::new(),
            silent: None,
            members_max: limits.members.max(1),
            clock,
            came_back: None,
            has_left: false,
            changed: true,
        }
    }

    /// The node is where others can reach it, at `address`, or nowhere. Comes before any input. All
    /// that is chosen by chance comes from `seed`.
    pub(crate) fn opened(&mut self, address: Option<String>, seed: [u8; 32]) {
        let own = Identity::new(Card { address, ..self.own().clone() });
        let random = ChaCha8Rng::from_seed(seed);
        self.foca = Foca::new(own, self.config.clone(), random, PostcardCodec);
    }

    /// What the node says of itself.
    pub(crate) fn own(&self) -> &Card {
        self.foca.identity().card()
    }

    /// Everybody who is known, this node included, by their ids.
    pub(crate) fn members(&self) -> Vec<Member> {
        let own = self.own();
        // The crate keeps what the node itself was before its card changed, as down.
        let others = self.foca.iter_membership_state().map(member).filter(|m| m.id != own.id);
        let mut all: Vec<_> = others.chain(self.observed.iter().cloned()).collect();
        all.push(own.member(MemberState::Alive));
        all.sort_unstable_by_key(|member| member.id);
        all
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<Member> {
        if id == self.own().id {
            return Some(self.own().member(MemberState::Alive));
        }
        let observed = || self.observed.iter().find(|member| member.id == id).cloned();
        self.told_of(id).map(member).or_else(observed)
    }

    /// When it wants to be woken: never again, once it has left.
    pub(crate) fn next_wake(&self) -> Option<Instant> {
        self.timers.next().filter(|_| !self.has_left)
    }

    /// Whether a member may have changed since this was last asked.
    pub(crate) fn take_changed(&mut self) -> bool {
        std::mem::take(&mut self.changed)
    }

    /// Whether one may have.
    pub(crate) const fn has_changed(&self) -> bool {
        self.changed
    }

    /// Takes one input.
    pub(crate) fn take(&mut self, now: Instant, input: Input<'_>) -> Vec<Action> {
        if self.has_left {
            return Vec::new();
        }
        // Whoever cannot be dialled is no member.
        if self.own().address.is_none() {
            self.observe(input);
            return Vec::new();
        }
        let mut effects = Effects::default();
        let peer = match &input {
            Input::Met(card) | Input::Packet { peer: card, .. } => Some(card.id),
            _ => None,
        };
        match input {
            Input::Met(card) => self.met(now, card, &mut effects),
            Input::Packet { peer, bytes } => self.packet(now, peer, bytes, &mut effects),
            Input::Told(_) => {}
            Input::Gone(id) => self.gone(id, &mut effects),
            Input::Outranked { started } => self.outranked(now, started, &mut effects),
            Input::Catalogue(catalogue) => {
                let card = Card { catalogue, ..self.own().clone() };
                self.become_another(card, &mut effects);
            }
            Input::Leave => self.leave(&mut effects),
            Input::Wake => self.wake(now, &mut effects),
        }
        if !self.has_left {
            // After a change of its own identity the crate goes on only when it is told something.
            said(self.foca.apply_many(std::iter::empty(), true, &mut effects));
        }
        self.act(now, peer, effects)
    }

    /// Takes an input without taking part.
    fn observe(&mut self, input: Input<'_>) {
        self.changed = true;
        match input {
            Input::Met(card) => {
                self.observed.retain(|member| member.name != card.name);
                if self.observed.len() < self.members_max {
                    self.observed.push(card.member(MemberState::Alive));
                }
            }
            Input::Told(mut members) => {
                members.retain(|member| {
                    let address = member.address.as_ref();
                    let can_be_dialled = address.is_some_and(|a| a.parse::<Address>().is_ok());
                    Member::is_name(&member.name) && member.id != self.own().id && can_be_dialled
                });
                members.truncate(self.members_max);
                self.observed = members;
            }
            Input::Gone(id) => self.observed.retain(|member| member.id != id),
            Input::Catalogue(catalogue) => {
                let card = Card { catalogue, ..self.own().clone() };
                self.become_another(card, &mut Effects::default());
            }
            Input::Packet { .. } | Input::Outranked { .. } | Input::Leave | Input::Wake => {}
        }
    }

    fn met(&mut self, now: Instant, card: &Card, effects: &mut Effects) {
        let identity = Identity::new(card.clone());
        if self.is_new(&identity) && self.room() == 0 {
            self.forget_somebody();
        }
        if !self.is_sound(now, &identity) || (self.is_new(&identity) && self.room() == 0) {
            return tracing::warn!(peer = %card.name, "no room for a member, or it cannot be one");
        }
        self.compare_ranks(&identity, effects);
        self.changed = true;
        let alive = Told::alive(identity.clone());
        said(self.foca.apply_many(std::iter::once(alive), true, &mut *effects));
        said(self.foca.announce(identity, effects));
    }

    fn packet(&mut self, now: Instant, peer: &Card, bytes: &[u8], effects: &mut Effects) {
        let own = self.foca.identity().clone();
        let mut room = self.room();
        let may_come_back =
            self.came_back.is_none_or(|at| now.since(at) >= self.config.probe_period);
        let screened = screen(bytes, peer, &own, may_come_back, |identity| {
            let fits = !self.is_new(identity) || room > 0;
            if fits && self.is_new(identity) {
                room -= 1;
            }
            fits && self.is_sound(now, identity)
        });
        let screened = match screened {
            Ok(screened) => screened,
            Err(bad) => return tracing::debug!(peer = %peer.name, why = bad.0, "gossip refused"),
        };
        if room == 0 {
            self.forget_somebody();
        }
        if screened.refused > 0 {
            tracing::debug!(peer = %peer.name, members = screened.refused, "members refused");
        }
        self.compare_ranks(&screened.from, effects);
        let is_alive = self.told_of(peer.id).is_some_and(|told| told.state() == State::Alive);
        self.changed |= screened.members > 0 || !is_alive;
        said(self.foca.handle_data(&screened.packet, effects));
        if *self.foca.identity() != own {
            self.came_back = Some(now);
        }
    }

    fn gone(&mut self, id: NodeId, effects: &mut Effects) {
        let told = self.told_of(id).filter(|told| told.state() != State::Down);
        let Some(told) = told else { return };
        let down = Told::new(told.id().clone(), told.incarnation(), State::Down);
        self.changed = true;
        said(self.foca.apply_many(std::iter::once(down), true, effects));
    }

    /// An earlier life of a peer's name that claims to have begun later is in its way, once it is down.
    fn compare_ranks(&self, peer: &Identity, effects: &mut Effects) {
        let told = self.told_as(peer.key());
        let in_the_way = told.filter(|told| {
            let (known, card) = (told.id().card(), peer.card());
            told.state() == State::Down && known.id != card.id && known.rank() > card.rank()
        });
        if let Some(told) = in_the_way {
            effects.outranked.push((peer.card().id, told.id().card().started));
        }
    }

    fn outranked(&mut self, now: Instant, started: u64, effects: &mut Effects) {
        if started < self.own().started || started >= self.started_max(now) {
            return;
        }
        let card = Card { started: started + 1, ..self.own().clone() };
        self.become_another(card, effects);
    }

    /// Goes by another card from now on.
    fn become_another(&mut self, card: Card, effects: &mut Effects) {
        let revision = card.revision.saturating_add(1);
        let identity = Identity::new(Card { revision, ..card });
        self.changed = true;
        said(self.foca.change_identity(identity, effects));
    }

    fn leave(&mut self, effects: &mut Effects) {
        let card = Card { leaves: true, ..self.own().clone() };
        let num_indirect_probes = at_least_one(FAREWELLS);
        said(self.foca.set_config(foca::Config { num_indirect_probes, ..self.config.clone() }));
        self.become_another(card, effects);
        said(self.foca.leave_cluster(effects));
        self.has_left = true;
        self.changed = true;
    }

    fn wake(&mut self, now: Instant, effects: &mut Effects) {
        let late = self.timers.next().map_or(Duration::ZERO, |due| now.since(due));
        if late > self.config.probe_period {
            tracing::warn!(?late, "this node stood still: it judges nobody for that long");
            return self.timers.put_off(late);
        }
        while let Some(timer) = self.timers.take_due(now) {
            if matches!(timer, Timer::PeriodicGossip(_)) && self.foca.updates_backlog() == 0 {
                self.silent = Some(timer);
                continue;
            }
            self.changed = true;
            said(self.foca.handle_timer(timer, &mut *effects));
        }
    }

    /// Turns what the crate wants done into actions. It sends to members, and to the `peer` that it
    /// has just heard, and to nobody else, whatever it was told to do.
    fn act(&mut self, now: Instant, peer: Option<NodeId>, effects: Effects) -> Vec<Action> {
        self.changed |= effects.changed;
        for (timer, after) in effects.timers {
            if matches!(timer, Timer::PeriodicGossip(_)) {
                self.silent = None;
            }
            self.timers.set(now + after, timer);
        }
        if self.foca.updates_backlog() > 0
            && let Some(timer) = self.silent.take()
        {
            self.timers.set(now, timer);
        }
        let mut actions = Vec::new();
        for (to, packet) in effects.sends {
            let known = self.told_as(to.key()).is_some_and(|told| *told.id() == to);
            if known || peer == Some(to.card().id) {
                actions.push(Action::Send { to, packet });
            }
        }
        let outranked = effects.outranked.into_iter();
        actions.extend(outranked.map(|(peer, started)| Action::Outranked { peer, started }));
        actions
    }

    /// Whether something told of this identity may be believed.
    fn is_sound(&self, now: Instant, identity: &Identity) -> bool {
        identity.card().is_sound(self.started_max(now))
    }

    /// Whether nothing is known of anybody of this name.
    fn is_new(&self, identity: &Identity) -> bool {
        let key = identity.key();
        key != self.foca.identity().key() && self.told_as(key).is_none()
    }

    /// For so many more.
    fn room(&self) -> usize {
        self.members_max.saturating_sub(self.foca.iter_membership_state().len())
    }

    /// Forgets somebody who is down for one who may be there.
    fn forget_somebody(&mut self) {
        let down = self.foca.iter_membership_state().filter(|told| told.state() == State::Down);
        // Whose life began first is the one that most likely is not missed.
        let first = down.map(|told| told.id().clone()).min_by_key(|id| id.card().rank());
        if let Some(first) = first {
            self.changed = true;
            self.timers.forget(first.key());
            said(self.foca.handle_timer(Timer::RemoveDown(first), Effects::default()));
        }
    }

    fn started_max(&self, now: Instant) -> u64 {
        let (then, at) = self.clock;
        let passed = u64::try_from(now.since(at).as_millis()).unwrap_or(u64::MAX);
        then.saturating_add(passed).saturating_add(STARTED_AHEAD_MAX)
    }

    fn told_of(&self, id: NodeId) -> Option<&Told> {
        self.foca.iter_membership_state().find(|told| told.id().card().id == id)
    }

    fn told_as(&self, key: u128) -> Option<&Told> {
        self.foca.iter_membership_state().find(|told| told.id().key() == key)
    }
}

fn member(told: &Told) -> Member {
    told.id().card().member(match told.state() {
        State::Alive => MemberState::Alive,
        State::Suspect => MemberState::Suspect,
        State::Down => MemberState::Down,
    })
}

/// The crate objects to packets that nobody decent sends, and to some that have become pointless on
/// their way. Nothing is lost with them that would not be told again.
fn said(result: Result<(), foca::Error>) {
    if let Err(error) = result {
        tracing::debug!(%error, "gossip");
    }
}
