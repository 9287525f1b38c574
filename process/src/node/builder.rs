//! Starting a node.

use std::sync::Arc;

use midflight_message::{Message, NodeId};
use midflight_runtime::{Handle, spawn};
use midflight_transport_api::{Address, Bind, Needs, OpenError, Transport};

use crate::context::Context;
use crate::functions::{Entry, Function, FunctionError, FunctionTable};
use crate::membership::gossip;
use crate::membership::member::Member;
use crate::node::inner::{Inner, Parts};
use crate::node::limits::Limits;
use crate::node::{IntoExitReason, Node};
use crate::peer::handshake::Secret;
use crate::peer::idle;
use crate::peer::sink::Acceptor;
use crate::roles::table::RoleTable;
use crate::roles::{Access, Roles};
use crate::scheduler::runner;
use crate::timers;

/// How a node is to be started.
#[derive(Debug)]
#[must_use = "a builder does nothing until it starts the node"]
pub struct NodeBuilder {
    name: String,
    cluster: String,
    listen: Option<Address>,
    advertise: Option<Address>,
    secret: Option<Secret>,
    needs: Needs,
    proven_names: bool,
    limits: Limits,
    access: Access,
    functions: FunctionTable,
    /// The first function that could not be registered.
    refused: Option<FunctionError>,
}

/// A node could not be started.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The name is not one.
    #[error("`{0}` is no node name: 1 to 64 letters, digits, `-`, `_` or `.`")]
    BadName(String),
    /// A limit is 0 where at least 1 is needed.
    #[error("the limit `{0}` is 0, and must be at least 1")]
    BadLimit(&'static str),
    /// A function could not be registered.
    #[error(transparent)]
    Function(#[from] FunctionError),
    /// An address is advertised that leads nowhere.
    #[error(
        "{0} is advertised, and the node listens nowhere: give the address to listen at as well"
    )]
    ListensNowhere(Address),
    /// A probe would last longer than the time between two.
    #[error("the limit `probe_timeout` must be less than `probe_period`")]
    BadProbe,
    /// The transport could not open an endpoint.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl Node {
    /// A node called `name`, which only dials until [`NodeBuilder::listen`] says otherwise.
    pub fn builder(name: impl Into<String>) -> NodeBuilder {
        NodeBuilder {
            name: name.into(),
            cluster: "midflight".into(),
            listen: None,
            advertise: None,
            secret: None,
            needs: Needs::default(),
            proven_names: false,
            limits: Limits::default(),
            access: Access::default(),
            functions: FunctionTable::default(),
            refused: None,
        }
    }
}

impl NodeBuilder {
    /// Listens at `address`.
    pub fn listen(mut self, address: Address) -> Self {
        self.listen = Some(address);
        self
    }

    /// Tells others to dial `address`, which leads to where the node [listens](Self::listen).
    pub fn advertise(mut self, address: Address) -> Self {
        self.advertise = Some(address);
        self
    }

    /// The cluster's name (default `midflight`); nodes of different clusters refuse each other.
    pub fn cluster(mut self, name: impl Into<String>) -> Self {
        self.cluster = name.into();
        self
    }

    /// The secret that every node of the cluster must prove to know.
    pub fn secret(mut self, secret: Secret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// What the transport must offer: without it the node does not start.
    pub fn needs(mut self, needs: Needs) -> Self {
        self.needs = needs;
        self
    }

    /// Refuses peers whose name is not the identity that the transport has proven (over TLS: the first
    /// DNS name of the certificate), so that no node goes by the name of another. The transport must
    /// prove identities.
    pub const fn proven_names(mut self) -> Self {
        self.needs.peer_identity = true;
        self.proven_names = true;
        self
    }

    /// What the peer of this name may do here. Where the transport proves who a peer is, that is the name;
    /// elsewhere it is what the peer calls itself, which only the cluster's secret vouches for. A name that
    /// ends with `*` stands for all that begin so ([`RoleTable`]).
    pub fn roles(mut self, peer: impl Into<String>, roles: Roles) -> Self {
        self.access.table.grant(peer, roles);
        self
    }

    /// What all peers may do here, instead of what was said before; [`Node::set_roles`] changes it later.
    pub fn role_table(mut self, table: RoleTable) -> Self {
        self.access.table = table;
        self
    }

    /// What peers may do here that [`roles`](Self::roles) does not name (default: everything).
    pub fn other_roles(mut self, roles: Roles) -> Self {
        self.access.table.grant("*", roles);
        self
    }

    /// Takes the links to peers at such addresses for as good as encrypted and proven, so that their
    /// peers may spawn, publish and deploy. Of a link that a peer has made, the address is what the peer
    /// says: this is for a node that listens where only the machine's own users can reach it.
    pub fn trust_links(
        mut self,
        trusts: impl Fn(&Address) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.access.trusts = Some(Arc::new(trusts));
        self
    }

    /// Other bounds than the default ones.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Registers a process that others may start by name: [`Functions::register`](crate::Functions::register).
    /// What is wrong with it, [`NodeBuilder::start`] says.
    pub fn function<A, F, T>(self, function: &Function<A>, run: F) -> Self
    where
        A: Message,
        F: Fn(Context, A) -> T + Send + Sync + 'static,
        T: Future<Output: IntoExitReason> + Send + 'static,
    {
        self.enter(function.name(), Entry::process::<A, F, T>(run))
    }

    /// Registers a function that answers calls:
    /// [`Functions::register_callable`](crate::Functions::register_callable).
    pub fn callable<A, R, F, T>(self, function: &Function<A, R>, run: F) -> Self
    where
        A: Message,
        R: Message,
        F: Fn(Context, A) -> T + Send + Sync + 'static,
        T: Future<Output = R> + Send + 'static,
    {
        self.enter(function.name(), Entry::callable::<A, R, F, T>(run))
    }

    fn enter(mut self, name: &str, entry: Entry) -> Self {
        // The bound is looked at by `start`, as limits may come after functions.
        if let Err(error) = self.functions.register(name, entry, usize::MAX) {
            self.refused.get_or_insert(error);
        }
        self
    }

    /// Starts the node.
    ///
    /// # Errors
    /// See [`StartError`].
    pub async fn start(
        self,
        transport: &dyn Transport,
        runtime: Handle,
    ) -> Result<Node, StartError> {
        if !Member::is_name(&self.name) {
            return Err(StartError::BadName(self.name));
        }
        check_limits(&self.limits)?;
        if let Some(error) = self.refused {
            return Err(error.into());
        }
        if self.functions.len() > self.limits.functions {
            return Err(FunctionError::TooMany.into());
        }
        transport.capabilities().meet(&self.needs)?;
        let bind = match (self.listen, self.advertise) {
            (Some(listen), advertise) => Bind::Listen { listen, advertise },
            (None, None) => Bind::DialOnly,
            (None, Some(address)) => return Err(StartError::ListensNowhere(address)),
        };
        let dials_only = bind == Bind::DialOnly;
        // 0 is no identity.
        let id = NodeId(runtime.random_u64().max(1));
        let inner = Arc::new(Inner::new(Parts {
            id,
            name: self.name,
            cluster: self.cluster,
            secret: self.secret,
            proven_names: self.proven_names,
            limits: self.limits,
            access: self.access,
            runtime,
            functions: self.functions,
        }));
        let node = Node { inner };
        let inner = &node.inner;
        let acceptor = Arc::new(Acceptor(Arc::downgrade(inner)));
        let end_point = transport.open(bind, acceptor).await?;
        let address = (!dials_only).then(|| end_point.address().to_string());
        if let (Some(address), None) = (&address, &inner.secret)
            && transport.capabilities().crosses_processes
            && !transport.capabilities().peer_identity
        {
            let roles = inner.access.read().table.of("");
            tracing::warn!(
                "this node asks nobody for proof: whoever reaches {address} may call itself as it likes, \
                 and has the roles {roles} unless that name has others. Give the cluster a secret \
                 (NodeBuilder::secret, --secret-file), or use a transport that proves who a peer is \
                 (TLS, --transport tls)"
            );
        }
        let mut seed = [0; 32];
        inner.runtime.fill_random(&mut seed);
        inner.gossip.kernel.lock().opened(address, seed);
        let _first = inner.end_point.set(end_point);
        for number in 0..inner.queues.runners() {
            spawn(&inner.runtime, "runner", runner::run(node.clone(), number));
        }
        for number in 0..inner.timers.shards() {
            spawn(&inner.runtime, "timers", timers::run(node.clone(), number));
        }
        spawn(&inner.runtime, "membership", gossip::run(node.clone()));
        spawn(&inner.runtime, "idle links", idle::run(Arc::downgrade(inner)));
        Ok(node)
    }
}

fn check_limits(limits: &Limits) -> Result<(), StartError> {
    if limits.probe_timeout >= limits.probe_period {
        return Err(StartError::BadProbe);
    }
    let least_one = [
        ("mailbox_messages", limits.mailbox_messages as usize),
        ("mailbox_bytes", limits.mailbox_bytes as usize),
        ("window_messages", limits.window_messages as usize),
        ("window_bytes", limits.window_bytes as usize),
        ("peer_bytes", usize::from(limits.peer_bytes > 0)),
        ("connect_timeout", usize::from(!limits.connect_timeout.is_zero())),
        ("processes", limits.processes as usize),
        ("peers", limits.peers),
        ("idle_timeout", usize::from(!limits.idle_timeout.is_zero())),
        ("types", limits.types),
        ("lanes", limits.lanes),
        ("probe_timeout", usize::from(!limits.probe_timeout.is_zero())),
        ("suspect_timeout", usize::from(!limits.suspect_timeout.is_zero())),
        ("turn_messages", limits.turn_messages),
        ("slice", usize::from(!limits.slice.is_zero())),
    ];
    match least_one.iter().find(|(_, limit)| *limit == 0) {
        Some((name, _)) => Err(StartError::BadLimit(name)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use midflight_runtime::SimRuntime;
    use midflight_transport_inmem::Hub;

    use super::*;

    fn start(builder: NodeBuilder) -> Result<Node, StartError> {
        let sim = SimRuntime::new(1);
        let runtime = sim.handle();
        let transport = Hub::new(1).transport(runtime.clone());
        sim.run(100_000, async move { builder.start(&transport, runtime).await }).unwrap()
    }

    fn address(name: &str) -> Address {
        Address::new("mem", name).unwrap()
    }

    #[test]
    fn what_is_advertised_is_said_in_whatever_order_it_was_given() {
        let builder = || Node::builder("a");
        for builder in [
            builder().listen(address("here")).advertise(address("there")),
            builder().advertise(address("there")).listen(address("here")),
        ] {
            assert_eq!(start(builder).unwrap().address(), Some(address("there")));
        }
        let error = start(builder().advertise(address("there"))).unwrap_err();
        assert!(matches!(error, StartError::ListensNowhere(_)), "{error}");
    }

    #[test]
    fn limits_of_nothing_are_refused_by_name() {
        type Change = fn(&mut Limits);
        let zeros: [(&str, Change); 6] = [
            ("connect_timeout", |limits| limits.connect_timeout = Duration::ZERO),
            ("peers", |limits| limits.peers = 0),
            ("types", |limits| limits.types = 0),
            ("slice", |limits| limits.slice = Duration::ZERO),
            ("peer_bytes", |limits| limits.peer_bytes = 0),
            ("window_bytes", |limits| limits.window_bytes = 0),
        ];
        for (name, zero) in zeros {
            let mut limits = Limits::default();
            zero(&mut limits);
            let error = start(Node::builder("a").limits(limits)).unwrap_err();
            assert!(matches!(error, StartError::BadLimit(limit) if limit == name), "{error}");
        }
    }
}
