//! Whom an effect is for, when it says a name.

use midflight_message::{Address, NodeId, Pid};
use midflight_process::Turn;
use midflight_runtime::{Instant, spawn};
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

use super::one::{One, SEND_TIMEOUT, Sent, begun};

/// What came of looking.
pub(super) enum Found {
    Process(Pid),
    /// Another node is asked: the process is woken.
    NotYet,
    /// That one has not answered for as long as it may.
    Overdue,
    /// Nobody has the name, or that cannot be found out; the log says why.
    Nobody,
}

impl One<'_, '_> {
    /// Looks a name up, anew for each effect; waits for another node's answer until `until`.
    pub(super) fn find(&mut self, to: Address<'_>, until: Option<Instant>) -> Found {
        let here = self.turn.node().id();
        match to {
            Address::Pid(pid) => Found::Process(pid),
            Address::NameOn(name, node) if node != here => self.ask(name, node, until),
            Address::Name(name) | Address::NameOn(name, _) => {
                match self.turn.node().whereis(name) {
                    Some(pid) => Found::Process(pid),
                    None => self.nobody(name, "nobody has the name"),
                }
            }
        }
    }

    fn ask(&mut self, name: &str, node: NodeId, until: Option<Instant>) -> Found {
        let now = self.now();
        let until = until.unwrap_or(now + SEND_TIMEOUT);
        let waiting = begun(self.waiting, None, now, until);
        if let Some(found) = waiting.found {
            return Found::Process(found);
        }
        match waiting.asking.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Ok(Ok(pid))) => {
                // It stays so while it waits for room.
                (waiting.found, waiting.asking) = (Some(pid), None);
                return Found::Process(pid);
            }
            Some(Ok(Err(why))) => return self.nobody(name, &why),
            Some(Err(TryRecvError::Closed)) => return self.nobody(name, "the node is closing"),
            Some(Err(TryRecvError::Empty)) => {}
            None => waiting.asking = Some(whereis_on(self.turn, name, node)),
        }
        match self.wait(None, Some(until)) {
            Sent::NotYet => Found::NotYet,
            _ => {
                self.nobody(name, "its node has not answered for as long as it may take");
                Found::Overdue
            }
        }
    }

    fn nobody(&self, name: &str, why: &str) -> Found {
        tracing::warn!(me = %self.turn.me(), name, why, "a message is given up");
        Found::Nobody
    }
}

/// Asks a node apart, and gives the process another turn when it has answered.
fn whereis_on(
    turn: &mut Turn<'_>,
    name: &str,
    on: NodeId,
) -> oneshot::Receiver<Result<Pid, String>> {
    let (tell, told) = oneshot::channel();
    let (waker, node, name) = (turn.waker(), turn.node().clone(), name.to_owned());
    let runtime = node.runtime().clone();
    spawn(&runtime, "a name for a process", async move {
        let found = match node.whereis_on(on, &name).await {
            Ok(Some(pid)) => Ok(pid),
            Ok(None) => Err(String::from("nobody has the name there")),
            Err(error) => Err(error.to_string()),
        };
        // A process that has ended meanwhile need not know.
        let _ = tell.send(found);
        waker.wake();
    });
    told
}
