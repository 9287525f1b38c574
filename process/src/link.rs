//! How far a link's handshake is, for those who wait for it.

use std::sync::Arc;

use futures_channel::oneshot;
use midflight_message::NodeId;
use midflight_transport_api::Link;
use parking_lot::Mutex;

/// How a link's handshake ended: the peer's node, or why there is none.
pub(crate) type Outcome = Result<NodeId, String>;

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
