//! A node's control process: takes bundles, passes them on, answers operators.
//!
//! Code travels as the typed messages of [`protocol`](crate::protocol). The process itself waits
//! for nothing but this node's own files: what talks to others, checks or runs code is done by a
//! process of its own.

mod access;
mod answers;
mod back;
mod catch_up;
mod course;
mod deploy;
pub(crate) mod drain;
mod drive;
mod fetch;
mod gate;
mod history;
pub(crate) mod lease;
mod letters;
mod numbers;
pub(crate) mod others;
mod participant;
mod relocate;
mod requests;
mod rollouts;
mod takes;
mod traces;
mod versions;
mod watchman;

use std::future::pending;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::future::{Either, select};
use midflight_process::message::Message;
use midflight_process::{
    Context, EventKinds, NodeEvent, NodeId, Pid, Received, ReplyTo, SpawnError,
};
use parking_lot::Mutex;
use tokio::sync::mpsc;

use crate::code_server::{AcceptError, CodeServer, with_sources};
use crate::hash::ContentAddress;
use crate::incoming::{Incoming, Took};
use crate::protocol::{
    Activate, CONTROL, Chunk, Claim, Come, Deactivate, Deploy, Drain, Fetch, HistoryRequest,
    LettersRequest, MayCome, Measure, NumbersRequest, Offer, ProcessesRequest, Propose, Release,
    Relocate, Rollback, RolloutsRequest, Stage, Start, StatusRequest, Stays, Takes, TraceRequest,
    VoterCall, Wanted, Wish,
};
use crate::unlike::{LOOK_EVERY, Told};
use crate::versions::GoBack;
use crate::voting::{VoterNames, Voting};
use lease::Leases;

/// The control process could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The node has no room.
    #[error(transparent)]
    Spawn(#[from] SpawnError),
    /// The node has a control process already.
    #[error(transparent)]
    Register(#[from] midflight_process::RegisterError),
}

/// One request to the control process.
enum Request {
    Offer(Received<Offer>),
    Chunk(Received<Chunk>),
    Fetch(Received<Fetch>),
    Claim(Received<Claim>),
    Release(Received<Release>),
    Stage(Received<Stage>),
    Activate(Received<Activate>),
    Deactivate(Received<Deactivate>),
    Deploy(Received<Deploy>),
    Start(Received<Start>),
    Status(Received<StatusRequest>),
    Processes(Received<ProcessesRequest>),
    Letters(Received<LettersRequest>),
    Numbers(Received<NumbersRequest>),
    Takes(Received<Takes>),
    Trace(Received<TraceRequest>),
    History(Received<HistoryRequest>),
    Rollback(Received<Rollback>),
    Propose(Received<Propose>),
    Voter(Received<VoterCall>),
    Rollouts(Received<RolloutsRequest>),
    Wish(Received<Wish>),
    Measure(Received<Measure>),
    /// Another node has said what code it has.
    Told(Received<NodeEvent>),
    Relocate(Received<Relocate>),
    MayCome(Received<MayCome>),
    Come(Received<Come>),
    Stays(Received<Stays>),
    Drain(Received<Drain>),
}

/// What the control process and its helpers share.
#[derive(Clone)]
pub(crate) struct Control {
    pub(crate) server: CodeServer,
    incoming: Arc<Mutex<Incoming>>,
    leases: Arc<Mutex<Leases>>,
    catching_up: catch_up::CatchingUp,
    drivers: drive::Drivers,
    voting: Voting,
    /// See [`drain`]: whether nothing is to come or start here any more.
    drained: Arc<AtomicBool>,
}

impl CodeServer {
    /// Starts the node's control process, registered as [`CONTROL`]. What is decided of the rollouts that this node drives is
    /// kept in its own data folder, and nowhere else.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn serve(&self) -> Result<Pid, ServeError> {
        self.serve_with(VoterNames::default())
    }

    /// As [`CodeServer::serve`]; what is decided is kept by a majority of the voters, which all nodes of the cluster must name
    /// alike.
    ///
    /// # Errors
    /// [`ServeError`].
    pub fn serve_with(&self, voters: VoterNames) -> Result<Pid, ServeError> {
        let control = Control {
            server: self.clone(),
            incoming: Arc::default(),
            leases: Arc::default(),
            catching_up: <_>::default(),
            drivers: <_>::default(),
            voting: Voting::new(self.node(), voters),
            drained: Arc::default(),
        };
        let verdicts = self.versions().verdicts();
        let pid = self.node().spawn(CONTROL, move |cx| async move {
            cx.watch_events(EventKinds::CODE);
            if let Err(error) = control.server.restore().await {
                let error = with_sources(&error);
                tracing::error!(error, "this node cannot begin with what it kept");
            }
            control.begin_to_watch();
            control.look_at_the_others();
            let mut told = Told::default();
            let mut verdicts = verdicts;
            loop {
                let request = match select(pin!(next(&cx)), pin!(next_verdict(&mut verdicts))).await
                {
                    Either::Left((Some(Request::Told(_)), _)) => {
                        control.look_at_the_others();
                        continue;
                    }
                    Either::Left((request, _)) => request,
                    Either::Right((back, _)) => {
                        control.begin_to_go_back(back);
                        continue;
                    }
                };
                told.look(&control.server, cx.now());
                control.let_go();
                control.sweep().await;
                if request.is_none() {
                    control.server.record_again().await;
                    control.look_at_the_others();
                }
                control.incoming.lock().forget_idle(cx.now());
                if let Some(request) = request.and_then(|request| control.allowed(request)) {
                    control.take(request).await;
                }
            }
        })?;
        self.node().register(CONTROL, pid)?;
        Ok(pid)
    }
}

/// The next version that is to go back.
async fn next_verdict(verdicts: &mut Option<mpsc::Receiver<GoBack>>) -> GoBack {
    let next = async { verdicts.as_mut()?.recv().await };
    match next.await {
        Some(back) => back,
        None => pending().await,
    }
}

/// The next request; `None`: there was none for a while, and it is time to look round.
async fn next(cx: &Context) -> Option<Request> {
    cx.receive()
        .on(Request::Offer)
        .on(Request::Chunk)
        .on(Request::Fetch)
        .on(Request::Claim)
        .on(Request::Release)
        .on(Request::Stage)
        .on(Request::Activate)
        .on(Request::Deactivate)
        .on(Request::Deploy)
        .on(Request::Start)
        .on(Request::Status)
        .on(Request::Processes)
        .on(Request::Letters)
        .on(Request::Numbers)
        .on(Request::Takes)
        .on(Request::Trace)
        .on(Request::History)
        .on(Request::Rollback)
        .on(Request::Propose)
        .on(Request::Voter)
        .on(Request::Rollouts)
        .on(Request::Wish)
        .on(Request::Measure)
        .on(Request::Told)
        .on(Request::Relocate)
        .on(Request::MayCome)
        .on(Request::Come)
        .on(Request::Stays)
        .on(Request::Drain)
        .timeout(LOOK_EVERY)
        .await
}

impl Control {
    async fn take(&self, request: Request) {
        match request {
            Request::Offer(Received { message, reply_to, .. }) => {
                reply(reply_to, self.offer(&message).await);
            }
            Request::Chunk(Received { message, reply_to, .. }) => {
                self.chunk(&message, reply_to);
            }
            Request::Fetch(Received { message, reply_to, .. }) => {
                reply(reply_to, self.part(&message).await);
            }
            Request::Start(Received { message, reply_to, .. }) => {
                self.apart("midflight.start", reply_to, |control, _cx| async move {
                    control.start(&message)
                });
            }
            Request::Status(Received { reply_to, .. }) => reply(reply_to, self.status()),
            Request::Processes(Received { message, reply_to, .. }) => {
                self.list_processes(message, reply_to);
            }
            Request::Numbers(Received { reply_to, .. }) => {
                self.beside("count processes", reply_to, numbers::numbers);
            }
            Request::Takes(Received { message, reply_to, .. }) => {
                reply(reply_to, self.takes(&message));
            }
            Request::Trace(Received { message, from, reply_to, .. }) => {
                reply(reply_to, self.trace(&message, from));
            }
            Request::Letters(Received { message, reply_to, .. }) => {
                self.apart("midflight.letters", reply_to, |control, _cx| async move {
                    control.letters(message).await
                });
            }
            Request::History(Received { message, reply_to, .. }) => {
                reply(reply_to, self.history(&message));
            }
            of_a_rollout => self.take_of_a_rollout(of_a_rollout),
        }
    }

    /// Answers from a process of its own. One that cannot be started drops the call, which tells
    /// the caller so.
    pub(crate) fn apart<R, F>(
        &self,
        name: &'static str,
        reply_to: Option<ReplyTo>,
        answer: impl FnOnce(Self, Context) -> F,
    ) where
        R: Message,
        F: Future<Output = R> + Send + 'static,
    {
        let control = self.clone();
        let spawned = self.server.node().spawn(name, |cx| {
            let answer = answer(control, cx);
            async move { reply(reply_to, answer.await) }
        });
        if let Err(error) = spawned {
            tracing::error!(name, %error, "a request was dropped");
        }
    }

    /// The name of a node that this one has a link to.
    fn name_of(&self, node: NodeId) -> Option<String> {
        let peers = self.server.node().peers();
        peers.into_iter().find(|peer| peer.id == node).map(|peer| peer.name)
    }

    async fn offer(&self, offer: &Offer) -> Wanted {
        let address = match offer.address.parse::<ContentAddress>() {
            Ok(address) => address,
            Err(error) => return Wanted::Refused(error.to_string()),
        };
        if self.server.has(address).await {
            return Wanted::No;
        }
        let now = self.server.node().runtime().now();
        self.incoming.lock().offer(address, offer.size, now)
    }

    fn chunk(&self, chunk: &Chunk, reply_to: Option<ReplyTo>) {
        let address = match chunk.address.parse::<ContentAddress>() {
            Ok(address) => address,
            Err(error) => return reply(reply_to, Wanted::Refused(error.to_string())),
        };
        let now = self.server.node().runtime().now();
        let took = self.incoming.lock().chunk(address, chunk.offset, &chunk.bytes, now);
        match took {
            Took::Wanted(wanted) => reply(reply_to, wanted),
            Took::Whole(file) => {
                self.apart("midflight.accept", reply_to, move |control, _cx| async move {
                    match control.accept(address, &file).await {
                        Ok(()) => Wanted::No,
                        Err(error) => Wanted::Refused(with_sources(&error)),
                    }
                });
            }
        }
    }

    /// Takes a bundle's whole file.
    pub(crate) async fn accept(
        &self,
        address: ContentAddress,
        file: &[u8],
    ) -> Result<(), AcceptError> {
        let accepted = self.server.accept(address, file).await;
        match &accepted {
            Ok(()) => tracing::info!(%address, bytes = file.len(), "bundle accepted"),
            Err(error) => {
                tracing::warn!(%address, error = with_sources(error), "bundle refused");
            }
        }
        accepted
    }
}

fn reply<R: Message>(reply_to: Option<ReplyTo>, answer: R) {
    // Without a caller there is nobody to tell.
    if let Some(reply_to) = reply_to {
        reply_to.reply(answer);
    }
}
