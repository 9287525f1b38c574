//! A simulated cluster: the same nodes and code servers as the program's, on the in-memory
//! transport, virtual time, files in memory and compiled-in code.

use std::future::Future;
use std::sync::Arc;

use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX};
use midflight_dsu::signature::{SigningKey, TrustedKeys};
use midflight_dsu::switch::SwitchLimits;
use midflight_dsu::voting::VoterNames;
use midflight_process::Node;
use midflight_runtime::{Handle, SimRuntime};
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
        let world = World { hub: Hub::new(seed), runtime, key };
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
