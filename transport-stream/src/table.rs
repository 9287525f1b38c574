//! Which peer has which link, and who wins when both dial. Pure: decisions, no streams.
//!
//! ```text
//!  dialler                                          acceptor
//!  connect ── Use, Join, Wait                       ticket: numbers the stream
//!     │                                             hello ── Linked: does it live? then Linked again,
//!     │ Dial                                          │      or as below; Crossed, TooMany, Closed
//!     │ ─────────────── hello ───────────────────────>│
//!     │<─────────────── welcome, or a refusal ────────│ Welcome
//!  welcomed ── Yield: waits for the other's           │
//!     │ Confirm: insert                               │
//!     │ ─────────────── confirmation, frames ────────>│
//!                                                   confirmed ── Wait: an old link's loss is to be told
//!                                                     │ Take: insert       Stale: another was quicker
//!  remove: the loss has been told                   remove
//! ```
//!
//! Of two crossing dials that of the smaller address counts: the acceptor with the smaller address
//! refuses the other's, and the one with the larger gives up its own ("yields") when the other's
//! hello comes. Nobody confirms who has yielded or has a link already. If the dial that counted comes to
//! nothing, the other may win again ([`Table::dial_again`]).

use std::collections::BTreeMap;

use midflight_transport_api::Address;

/// What the table needs to know of a link.
pub(crate) trait Entry: Clone {
    /// Whether it can be given to one who connects.
    fn is_usable(&self) -> bool;
}

/// Numbers one attempt; a later one is greater.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Table<L, D> {
    me: Address,
    links_max: usize,
    peers: BTreeMap<Address, PeerState<L, D>>,
    /// Other names under which living links were dialled.
    aliases: BTreeMap<Address, Address>,
    next_ticket: u64,
    links: usize,
    /// Links that have ended by agreement, and whose streams have not yet: as many as there may be links.
    lingering: usize,
    closed: bool,
}

#[derive(Debug)]
struct PeerState<L, D> {
    /// From its beginning until its loss has been told.
    link: Option<L>,
    dial: Option<Dial<D>>,
    /// The accepted socket whose confirmation we wait for.
    accept: Option<Ticket>,
}

#[derive(Debug)]
struct Dial<D> {
    ticket: Ticket,
    shared: D,
    yielded: bool,
}

/// What to do about a connect.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Connect<L, D> {
    Use(L),
    /// Somebody dials already.
    Join(D),
    Dial(Ticket, D),
    /// Something must change first.
    Wait,
    TooMany,
    Closed,
}

/// What to do about a hello.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Greeted<L> {
    Welcome,
    /// There is a link: see whether it lives.
    Linked(L),
    /// Another attempt counts: a dial of ours, or a later one of the peer's own.
    Crossed,
    TooMany,
    Closed,
}

/// What to do about a welcome.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Welcomed {
    Confirm,
    /// The other side's dial counts, or there is a link already.
    Yield,
    TooMany,
}

/// What to do about a confirmation.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Confirmed {
    Take,
    /// Until the loss of the old link has been told.
    Wait,
    /// Another attempt has taken this one's place, or the endpoint is closed.
    Stale,
}

impl<L: Entry, D: Clone> Table<L, D> {
    pub(crate) const fn new(me: Address, links_max: usize) -> Self {
        Self {
            me,
            links_max,
            peers: BTreeMap::new(),
            aliases: BTreeMap::new(),
            next_ticket: 0,
            links: 0,
            lingering: 0,
            closed: false,
        }
    }

    /// Somebody here wants the link to `peer`; `dial` is what those share who wait for the dial.
    pub(crate) fn connect(&mut self, peer: &Address, dial: impl FnOnce() -> D) -> Connect<L, D> {
        if self.closed {
            return Connect::Closed;
        }
        let key = self.key(peer);
        if let Some(state) = self.peers.get(&key) {
            match (&state.link, &state.dial) {
                (Some(link), _) if link.is_usable() => return Connect::Use(link.clone()),
                (_, Some(dial)) => return Connect::Join(dial.shared.clone()),
                (Some(_), None) => return Connect::Wait,
                (None, None) if state.accept.is_some() => return Connect::Wait,
                (None, None) => {}
            }
        }
        if self.links >= self.links_max {
            return Connect::TooMany;
        }
        let ticket = self.ticket();
        let shared = dial();
        let dial = Dial { ticket, shared: shared.clone(), yielded: false };
        self.state(key).dial = Some(dial);
        Connect::Dial(ticket, shared)
    }

    /// Numbers an attempt: a stream that has arrived, or a dial.
    pub(crate) const fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }

    /// A hello came from `peer`, on the stream that has arrived with `ticket`.
    ///
    /// A peer dials once at a time, so that of its streams the latest to arrive counts. Hellos may come in
    /// another order: a dial that the peer has given up long ago may have its hello read last, and
    /// must not take the place of the one that it confirms.
    pub(crate) fn hello(&mut self, peer: &Address, ticket: Ticket) -> Greeted<L> {
        if self.closed {
            return Greeted::Closed;
        }
        let wins = *peer < self.me;
        let full = self.links >= self.links_max;
        let state = self.state(peer.clone());
        if state.accept.is_some_and(|accepted| accepted > ticket) {
            return Greeted::Crossed;
        }
        match &state.link {
            Some(link) if link.is_usable() => return Greeted::Linked(link.clone()),
            None if full => {
                self.tidy(peer);
                return Greeted::TooMany;
            }
            _ => {}
        }
        if let Some(dial) = &mut state.dial {
            if !wins && !dial.yielded {
                return Greeted::Crossed;
            }
            dial.yielded = true;
        }
        state.accept = Some(ticket);
        Greeted::Welcome
    }

    /// The dial of `dialled` was welcomed by one who calls itself `peer`. On `Confirm`,
    /// [`insert`](Self::insert) must follow at once.
    pub(crate) fn welcomed(&self, dialled: &Address, peer: &Address, ticket: Ticket) -> Welcomed {
        let key = self.key(dialled);
        let ours = self
            .peers
            .get(&key)
            .and_then(|state| state.dial.as_ref())
            .is_some_and(|dial| dial.ticket == ticket && !dial.yielded);
        let free = self.peers.get(peer).is_none_or(|state| state.link.is_none());
        if !ours || !free || self.closed {
            return Welcomed::Yield;
        }
        // Others may have become links since the dial began.
        if self.links >= self.links_max { Welcomed::TooMany } else { Welcomed::Confirm }
    }

    /// The confirmation of an accepted socket came. On `Take`, [`insert`](Self::insert) must follow
    /// at once.
    pub(crate) fn confirmed(&self, peer: &Address, ticket: Ticket) -> Confirmed {
        let Some(state) = self.peers.get(peer) else { return Confirmed::Stale };
        if state.accept != Some(ticket) || self.closed {
            return Confirmed::Stale;
        }
        match &state.link {
            Some(_) => Confirmed::Wait,
            // Others may have become links since the welcome.
            None if self.links >= self.links_max => Confirmed::Stale,
            None => Confirmed::Take,
        }
    }

    /// `link` is the link to `peer` now, dialled under the name `dialled`.
    pub(crate) fn insert(&mut self, dialled: &Address, peer: &Address, link: L) {
        if dialled != peer {
            self.aliases.insert(dialled.clone(), peer.clone());
        }
        self.state(peer.clone()).link = Some(link);
        self.links += 1;
    }

    /// The loss of the link to `peer` has been told.
    pub(crate) fn remove(&mut self, peer: &Address) {
        if let Some(state) = self.peers.get_mut(peer)
            && state.link.take().is_some()
        {
            self.links -= 1;
            self.aliases.retain(|_, canonical| canonical != peer);
            self.tidy(peer);
        }
    }

    /// A link has ended by agreement. Answers whether its stream may be read to its end.
    pub(crate) const fn linger(&mut self) -> bool {
        let may = self.lingering < self.links_max;
        self.lingering += may as usize;
        may
    }

    /// The stream of a link that ended has ended, too.
    pub(crate) const fn lingered(&mut self) {
        self.lingering -= 1;
    }

    /// Whether there is no link any more, and no stream of one.
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.links == 0 && self.lingering == 0
    }

    /// The dial has ended, one way or another.
    pub(crate) fn dial_ended(&mut self, ticket: Ticket) {
        self.peers.retain(|_, state| {
            state.dial.take_if(|dial| dial.ticket == ticket);
            !state.is_empty()
        });
    }

    /// The next attempt of a dial may win again.
    pub(crate) fn dial_again(&mut self, dialled: &Address) {
        let key = self.key(dialled);
        if let Some(state) = self.peers.get_mut(&key)
            && state.accept.is_none()
            && let Some(dial) = &mut state.dial
        {
            dial.yielded = false;
        }
    }

    /// The accepted socket has become a link or has been given up.
    pub(crate) fn accept_ended(&mut self, peer: &Address, ticket: Ticket) {
        if let Some(state) = self.peers.get_mut(peer) {
            state.accept.take_if(|accept| *accept == ticket);
            self.tidy(peer);
        }
    }

    /// The link to `peer`, living or not yet told lost.
    pub(crate) fn link(&self, peer: &Address) -> Option<L> {
        self.peers.get(&self.key(peer)).and_then(|state| state.link.clone())
    }

    pub(crate) fn links(&self) -> Vec<L> {
        self.peers.values().filter_map(|state| state.link.clone()).collect()
    }

    /// Answers whether this was what closed it.
    pub(crate) const fn close(&mut self) -> bool {
        !std::mem::replace(&mut self.closed, true)
    }

    pub(crate) const fn is_closed(&self) -> bool {
        self.closed
    }

    fn key(&self, peer: &Address) -> Address {
        self.aliases.get(peer).unwrap_or(peer).clone()
    }

    fn state(&mut self, peer: Address) -> &mut PeerState<L, D> {
        self.peers.entry(peer).or_insert(PeerState { link: None, dial: None, accept: None })
    }

    fn tidy(&mut self, peer: &Address) {
        if self.peers.get(peer).is_some_and(PeerState::is_empty) {
            self.peers.remove(peer);
        }
    }
}

impl<L, D> PeerState<L, D> {
    const fn is_empty(&self) -> bool {
        self.link.is_none() && self.dial.is_none() && self.accept.is_none()
    }
}

#[cfg(test)]
mod tests;
