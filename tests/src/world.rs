//! A simulated cluster: the same nodes and code servers as the program's, on the in-memory
//! transport, virtual time, files in memory and compiled-in code.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX};
use midflight_dsu::signature::{SigningKey, TrustedKeys};
use midflight_dsu::switch::SwitchLimits;
use midflight_dsu::voting::VoterNames;
use midflight_process::Node;
use midflight_runtime::{Handle, MemoryFiles, SimRuntime};
use midflight_transport_api::Address;
use midflight_transport_inmem::Hub;

use crate::compiled_format::{CompiledFormat, key};

/// Steps a scenario may take before it counts as stuck.
const STEPS_MAX: u64 = 20_000_000;

/// One simulated world.
#[derive(Clone)]
pub struct World {
    /// The network.
    pub hub: Hub,
    /// Tasks, time, chance and files.
    pub runtime: Handle,
    /// The files, of all nodes.
    pub disk: MemoryFiles,
    /// Whose bundles are trusted.
    pub key: Arc<SigningKey>,
}

impl std::fmt::Debug for World {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("World").finish_non_exhaustive()
    }
}

impl World {
    /// Where the node called `name` listens.
    ///
    /// # Panics
    /// When the name is not one.
    #[must_use]
    pub fn address(name: &str) -> Address {
        Address::new("mem", name).expect("a good name")
    }

    /// A node with its code server, control process included, joined to `seed`.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn node(&self, name: &str, seed: Option<&str>) -> CodeServer {
        self.node_with(name, seed, SwitchLimits::default()).await
    }

    /// The same, with bounds of switches of its own.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn node_with(
        &self,
        name: &str,
        seed: Option<&str>,
        switch: SwitchLimits,
    ) -> CodeServer {
        self.node_of(name, seed, switch, VoterNames::default()).await
    }

    /// A node of a cluster in which these nodes decide.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn voting_node(&self, name: &str, seed: Option<&str>, voters: &[&str]) -> CodeServer {
        let voters = VoterNames::new(voters.iter().map(|&name| name.to_owned()).collect());
        self.node_of(name, seed, SwitchLimits::default(), voters.expect("good voters")).await
    }

    async fn node_of(
        &self,
        name: &str,
        seed: Option<&str>,
        switch: SwitchLimits,
        voters: VoterNames,
    ) -> CodeServer {
        let transport = self.hub.transport(self.runtime.clone());
        let builder = Node::builder(name).listen(Self::address(name));
        let node = builder.start(&transport, self.runtime.clone()).await.expect("it starts");
        let files = self.runtime.files();
        let server = CodeServer::new(
            CodeServerConfig {
                data: format!("/{name}").into(),
                trusted: TrustedKeys::from_iter([self.key.public()]),
                format: Arc::new(CompiledFormat { files }),
                switch,
                mapped_max: MAPPED_MAX,
            },
            node.clone(),
        );
        server.serve_with(voters).expect("it serves");
        if let Some(seed) = seed {
            node.connect(&Self::address(seed)).await.expect("it joins");
        }
        server
    }

    /// Nodes of these names, each joined to the first, that know each other.
    ///
    /// # Panics
    /// When they do not start, or do not meet.
    pub async fn cluster<const N: usize>(&self, names: [&str; N]) -> [CodeServer; N] {
        self.cluster_with(names, SwitchLimits::default()).await
    }

    /// The same, with bounds of switches of their own.
    ///
    /// # Panics
    /// When they do not start, or do not meet.
    pub async fn cluster_with<const N: usize>(
        &self,
        names: [&str; N],
        switch: SwitchLimits,
    ) -> [CodeServer; N] {
        let mut servers = Vec::with_capacity(N);
        for name in names {
            let seed = (name != names[0]).then_some(names[0]);
            servers.push(self.node_with(name, seed, switch.clone()).await);
        }
        self.have_met(&servers).await;
        servers.try_into().unwrap_or_else(|_| unreachable!("there are as many"))
    }

    /// Waits until all of these nodes know each other.
    ///
    /// # Panics
    /// When they do not within two minutes.
    pub async fn have_met<'s>(&self, servers: impl IntoIterator<Item = &'s CodeServer>) {
        let servers: Vec<_> = servers.into_iter().collect();
        let all_know =
            || servers.iter().all(|server| server.node().members().len() >= servers.len());
        self.until(Duration::from_secs(120), "all have met", all_know).await;
    }

    /// Waits until `is_so`, which is looked at each millisecond.
    ///
    /// # Panics
    /// When it is not so within `limit`.
    pub async fn until(&self, limit: Duration, what: &str, is_so: impl Fn() -> bool) {
        let began = self.runtime.now();
        while !is_so() {
            assert!(self.runtime.now().since(began) < limit, "not in time: {what}");
            self.runtime.sleep(Duration::from_millis(1)).await;
        }
    }
}

/// Runs a scenario under each of so many seeds; a failure names its seed.
///
/// # Panics
/// When the scenario fails, deadlocks or takes too long.
pub fn simulate<F>(seeds: u64, scenario: impl Fn(World) -> F)
where
    F: Future<Output = ()> + Send + 'static,
{
    for seed in 0..seeds {
        let sim: Arc<SimRuntime> = SimRuntime::new(seed);
        let runtime = sim.handle();
        let key = Arc::new(key(&*runtime));
        let world = World { hub: Hub::new(seed), runtime, disk: sim.disk().clone(), key };
        let guard = SeedOnPanic(seed);
        if let Err(stopped) = sim.run(STEPS_MAX, scenario(world)) {
            panic!("{stopped}");
        }
        std::mem::forget(guard);
    }
}

struct SeedOnPanic(u64);

impl Drop for SeedOnPanic {
    fn drop(&mut self) {
        eprintln!("the failing seed is {}", self.0);
    }
}
