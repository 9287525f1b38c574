//! How far each link's handshake is, for those who wait for it.

use std::collections::VecDeque;
use std::sync::Arc;

use futures_channel::oneshot;
use midflight_message::NodeId;
use midflight_transport_api::{Link, LinkId};
use parking_lot::Mutex;
use rustc_hash::FxHashMap;

use crate::peer::handshake::Refused;

/// How a link's handshake ended: the peer's node, or why there is none.
pub(crate) type Outcome = Result<NodeId, Refused>;

/// How many links that have ended are remembered.
const ENDED_MAX: usize = 64;

/// The links of a node. A link may end before those who asked for it have looked: how the last ones
/// ended is remembered.
#[derive(Default)]
pub(crate) struct Links {
    living: FxHashMap<LinkId, Arc<LinkState>>,
    ended: VecDeque<(LinkId, Arc<LinkState>)>,
}

impl Links {
    pub(crate) fn add(&mut self, id: LinkId, state: Arc<LinkState>) {
        self.living.insert(id, state);
    }

    pub(crate) fn end(&mut self, id: LinkId) {
        let Some(state) = self.living.remove(&id) else { return };
        self.ended.push_back((id, state));
        if self.ended.len() > ENDED_MAX {
            self.ended.pop_front();
        }
    }

    /// The link, up or lost a moment ago.
    pub(crate) fn get(&self, id: LinkId) -> Option<Arc<LinkState>> {
        let ended = || self.ended.iter().find(|(ended, _)| *ended == id).map(|(_, state)| state);
        self.living.get(&id).or_else(ended).cloned()
    }

    /// Every link that is up or in its handshake.
    pub(crate) fn living(&self) -> Vec<Arc<LinkState>> {
        self.living.values().cloned().collect()
    }
}

/// What a link's sink and those who wait for its handshake share.
pub(crate) struct LinkState {
    pub(crate) link: Arc<dyn Link>,
    progress: Mutex<Progress>,
}

enum Progress {
    UnderWay(Vec<oneshot::Sender<Outcome>>),
    Done(Outcome),
}

impl LinkState {
    pub(crate) fn new(link: Arc<dyn Link>) -> Self {
        Self { link, progress: Mutex::new(Progress::UnderWay(Vec::new())) }
    }

    /// Is told how the handshake ends.
    pub(crate) fn outcome(&self) -> oneshot::Receiver<Outcome> {
        let (tell, told) = oneshot::channel();
        match &mut *self.progress.lock() {
            Progress::UnderWay(waiting) => waiting.push(tell),
            // The receiver is in our hand: it takes it.
            Progress::Done(outcome) => drop(tell.send(outcome.clone())),
        }
        told
    }

    /// Ends the handshake; only the first end counts.
    pub(crate) fn finish(&self, outcome: Outcome) {
        let mut progress = self.progress.lock();
        if let Progress::UnderWay(waiting) = &mut *progress {
            for tell in std::mem::take(waiting) {
                // Whoever has stopped waiting needs no answer.
                let _ = tell.send(outcome.clone());
            }
            *progress = Progress::Done(outcome);
        }
    }

    pub(crate) fn is_under_way(&self) -> bool {
        matches!(*self.progress.lock(), Progress::UnderWay(_))
    }
}
