//! Which processes watch the members, and what is news to them.

use std::collections::BTreeMap;
use std::sync::Arc;

use midflight_message::NodeId;

use crate::context::Context;
use crate::mailbox::envelope::{Envelope, Sender};
use crate::membership::member::{Member, MemberEvent, MemberState};
use crate::node::inner::Inner;
use crate::peer::wire::Place;
use crate::table::NotDelivered;

/// What was told last, and to whom.
#[derive(Debug, Default)]
pub(crate) struct News {
    told: BTreeMap<NodeId, Member>,
    watchers: Vec<Place>,
}

impl News {
    /// Takes the members as they are now. Answers what is news of it, and who watches.
    pub(crate) fn update(&mut self, members: Vec<Member>) -> (Vec<MemberEvent>, Vec<Place>) {
        let now: BTreeMap<_, _> = members.into_iter().map(|member| (member.id, member)).collect();
        let mut events = Vec::new();
        // Who has gone comes first: a later life of the same name is up after the earlier one is down.
        for (id, before) in &self.told {
            let after = now.get(id);
            if before.is_up() && !after.is_some_and(Member::is_up) {
                events.push(match after {
                    Some(left) if left.state == MemberState::Left => {
                        MemberEvent::Left(left.clone())
                    }
                    _ => MemberEvent::Down(Member { state: MemberState::Down, ..before.clone() }),
                });
            }
        }
        for (id, member) in &now {
            events.extend(news_of(self.told.get(id), member));
        }
        self.told = now;
        (events, self.watchers.clone())
    }
}

/// What is news of a member that is not down.
fn news_of(before: Option<&Member>, member: &Member) -> Option<MemberEvent> {
    let before = before.filter(|before| before.is_up());
    let news = match (before.map(|before| before.state), member.state) {
        (_, MemberState::Down | MemberState::Left) => return None,
        (None, _) => MemberEvent::Up,
        (Some(MemberState::Alive), MemberState::Suspect) => MemberEvent::Suspect,
        (Some(MemberState::Suspect), MemberState::Alive) => MemberEvent::Recovered,
        _ if before != Some(member) => MemberEvent::Changed,
        _ => return None,
    };
    Some(news(member.clone()))
}

impl Inner {
    /// Tells one who watches. One that takes nothing any more is told that it has missed something,
    /// and is not told more.
    pub(crate) fn tell_watcher(self: &Arc<Self>, watcher: Place, events: &[MemberEvent]) {
        let room = self.room();
        for event in events {
            match self.deliver(watcher, news(event.clone()), Some(room)) {
                Ok(()) => continue,
                Err(NotDelivered::Full(_)) => {
                    let _ = self.deliver(watcher, news(MemberEvent::Missed), None);
                }
                Err(NotDelivered::Dead(_)) => {}
            }
            return self.gossip.news.lock().watchers.retain(|other| *other != watcher);
        }
    }
}

fn news(event: MemberEvent) -> Envelope {
    Envelope::Value { from: Sender::NOBODY, value: Box::new(event) }
}

impl Context {
    /// Tells this process of every change among the members, as [`MemberEvent`] messages. Answers the
    /// members as they are now, and the messages are what changes from there. Idempotent.
    ///
    /// A process whose mailbox is full when there is news gets [`MemberEvent::Missed`] instead, the
    /// last: it may watch again.
    #[must_use = "the members that are there already are not told of"]
    pub fn watch_members(&self) -> Vec<Member> {
        let inner = &self.node.inner;
        let mut news = inner.gossip.news.lock();
        if !news.watchers.contains(&self.place) {
            // Those that have ended are taken out by the next news; without any, here.
            if news.watchers.len().is_power_of_two() {
                news.watchers.retain(|watcher| {
                    let slot = inner.table.slot(watcher.index);
                    slot.is_some_and(|slot| slot.lock().is(watcher.generation))
                });
            }
            news.watchers.push(self.place);
        }
        news.told.values().cloned().collect()
    }

    /// Tells this process of members no more. News that have come already stay in the mailbox.
    pub fn unwatch_members(&self) {
        self.node.inner.gossip.news.lock().watchers.retain(|watcher| *watcher != self.place);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn member(id: u64, state: MemberState) -> Member {
        let name = format!("n{id}");
        Member { id: NodeId(id), name, address: None, state, catalogue: [0; 32] }
    }

    #[test]
    fn every_change_is_news_once() {
        use MemberState::{Alive, Down, Suspect};
        let mut news = News::default();
        let mut change = |members: &[Member]| news.update(members.to_vec()).0;
        let up = member(1, Alive);
        assert_eq!(change(std::slice::from_ref(&up)), [MemberEvent::Up(up.clone())]);
        assert_eq!(change(std::slice::from_ref(&up)), []);
        let suspect = member(1, Suspect);
        let known_down = member(2, Down);
        let now = [suspect.clone(), known_down.clone()];
        assert_eq!(change(&now), [MemberEvent::Suspect(suspect.clone())]);
        assert_eq!(change(&[up.clone(), known_down.clone()]), [MemberEvent::Recovered(up.clone())]);
        let other_code = Member { catalogue: [1; 32], ..up };
        let now = [other_code.clone(), known_down];
        assert_eq!(change(&now), [MemberEvent::Changed(other_code.clone())]);
        let down = Member { state: Down, ..other_code };
        assert_eq!(change(std::slice::from_ref(&down)), [MemberEvent::Down(down.clone())]);
        assert_eq!(change(&[]), [], "to forget one who is down is no news");
        let gone = member(5, MemberState::Left);
        assert_eq!(change(&[member(5, Alive)]), [MemberEvent::Up(member(5, Alive))]);
        assert_eq!(change(std::slice::from_ref(&gone)), [MemberEvent::Left(gone.clone())]);
        assert_eq!(change(&[member(5, Down)]), [], "who has left is not down as well");
        let suspected = member(3, Suspect);
        assert_eq!(change(std::slice::from_ref(&suspected)), [MemberEvent::Up(suspected)]);
        let later = member(4, Alive);
        let gone = member(3, Down);
        assert_eq!(
            change(std::slice::from_ref(&later)),
            [MemberEvent::Down(gone), MemberEvent::Up(later.clone())],
            "the earlier life is down before the later is up"
        );
    }
}
