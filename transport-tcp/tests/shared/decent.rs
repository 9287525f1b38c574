//! A decent peer of an endpoint under attack: asks one thing after the other over one link.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use midflight_runtime::{Handle, Task, spawn, timeout};
use midflight_transport_api::conformance::{Party, send};
use midflight_transport_api::{Address, Bind, Link};

use crate::clock::now;
use crate::ground::Ground;

/// Between an answer and the next question.
const PAUSE: Duration = Duration::from_millis(5);
/// A question that waits so long for its answer is not served.
const STALL: Duration = Duration::from_secs(10);

/// See the [module](self).
pub(crate) struct Decent {
    runtime: Handle,
    host: Arc<crate::host::Host>,
    address: Address,
    link: Arc<dyn Link>,
    tally: Arc<Tally>,
    asking: Task,
}

#[derive(Default)]
struct Tally {
    answers: AtomicU64,
    /// The longest that an answer took, in nanoseconds.
    longest: AtomicU64,
}

impl Decent {
    /// Connects, and begins to ask.
    pub(crate) async fn begin(ground: &Ground) -> Self {
        let listen = ground.address("127.0.0.1:0");
        let bind = Bind::Listen { listen, advertise: None };
        let party = Party::with(&*ground.transport, bind, false).await;
        let address = party.address().clone();
        let link = party.end().connect(ground.endpoint.address()).await.expect("it is served");
        let tally = Arc::new(Tally::default());
        let ask = ask(party, link.clone(), tally.clone(), ground.runtime.clone());
        let asking = spawn(&ground.runtime, "decent", ask);
        let (runtime, host) = (ground.runtime.clone(), ground.host.clone());
        Self { runtime, host, address, link, tally, asking }
    }

    /// It has been served all the while over its one link, and is now.
    pub(crate) async fn served(&self) {
        let before = self.answers();
        let more = async {
            while self.answers() < before + 3 {
                assert!(!self.asking.is_ended(), "the decent peer has lost its link");
                self.runtime.sleep(PAUSE).await;
            }
        };
        timeout(&*self.runtime, STALL, more).await.expect("the decent peer is served");
        assert!(self.longest() < STALL, "an answer took {:?}", self.longest());
        assert!(!self.host.has_lost(&self.address), "the decent peer's link was lost");
        self.link.open().expect("the link lives");
    }

    /// Goes without a word, and waits until that has been noticed.
    pub(crate) async fn leave(self) {
        self.asking.abort();
        self.asking.ended().await;
        self.host.loss(&self.address).await;
    }

    /// How many answers came.
    pub(crate) fn answers(&self) -> u64 {
        self.tally.answers.load(Ordering::Relaxed)
    }

    /// The longest that an answer took.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.tally.longest.load(Ordering::Relaxed))
    }
}

impl Drop for Decent {
    fn drop(&mut self) {
        self.asking.abort();
    }
}

/// Asks until the link is lost.
async fn ask(party: Party, link: Arc<dyn Link>, tally: Arc<Tally>, runtime: Handle) {
    let Ok(connection) = link.open() else { return };
    for n in 0_u64.. {
        let began = now(&runtime);
        if send(&*link, connection, &n.to_le_bytes()).await.is_err() {
            return;
        }
        let (answer, lost) = (party.received(), party.lost());
        tokio::select! {
            (_, payload) = answer => assert_eq!(payload[..], n.to_le_bytes()),
            _ = lost => return,
        }
        let took = u64::try_from((now(&runtime) - began).as_nanos()).unwrap_or(u64::MAX);
        tally.longest.fetch_max(took, Ordering::Relaxed);
        tally.answers.fetch_add(1, Ordering::Relaxed);
        runtime.sleep(PAUSE).await;
    }
}
