//! The two versions of the behaviour that is upgraded, as real bundles, and a code server for them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use midflight_dsu::builder::{BuildOptions, Built, build};
use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX, StageTimes};
use midflight_dsu::hash::ContentAddress;
use midflight_dsu::library::NativeFormat;
use midflight_dsu::probe::Prober;
use midflight_dsu::signature::TrustedKeys;
use midflight_dsu::switch::SwitchLimits;
use midflight_dsu::versions::Versions;
use midflight_process::{Node, Pid};

use crate::local::text;

/// The word by which the program is asked to be a probe.
const PROBE: &str = "probe";
/// The behaviour's name.
const BEHAVIOUR: &str = "record";

/// A node's code server with both versions built and neither loaded.
pub(crate) struct Bundles {
    pub(crate) server: CodeServer,
    pub(crate) v1: Built,
    pub(crate) v2: Built,
    data: PathBuf,
}

impl Bundles {
    /// Builds what has changed since the last time; the code server begins with nothing.
    pub(crate) async fn new(node: &Node) -> Result<Self, String> {
        let bench = Path::new(env!("CARGO_MANIFEST_DIR"));
        let builds = bench.join("../../target/bench-bundles");
        let data = builds.join(format!("node-{:016x}", node.runtime().random_u64()));
        std::fs::create_dir_all(&data).map_err(|error| format!("{}: {error}", data.display()))?;
        let program = std::env::current_exe().map_err(text)?;
        let prober = Prober::new(program, [PROBE]);
        let bundle = async |folder: &str| {
            let folder = bench.join("behaviours").join(folder);
            let mut options = BuildOptions::new(&folder, &builds, prober.clone());
            options.output = folder.file_name().map(|name| data.join(name));
            let built = build(node.runtime(), &options).await;
            built.map_err(|error| format!("{} does not build: {error}", folder.display()))
        };
        let (v1, v2) = (bundle("record-v1").await?, bundle("record-v2").await?);
        let config = CodeServerConfig {
            data: data.clone(),
            trusted: TrustedKeys::from_iter([v1.signed_by, v2.signed_by]),
            format: Arc::new(NativeFormat::new(node.runtime().clone(), prober)),
            switch: SwitchLimits::default(),
            mapped_max: MAPPED_MAX,
        };
        let server = CodeServer::new(config, node.clone());
        Ok(Self { server, v1, v2, data })
    }

    /// Brings a bundle to where it could run.
    pub(crate) async fn stage(
        &self,
        built: &Built,
    ) -> Result<(ContentAddress, StageTimes), String> {
        let file = std::fs::read(&built.path).map_err(text)?;
        let address = built.bundle.address();
        self.server.accept(address, &file).await.map_err(text)?;
        let times = self.server.stage(address).await.map_err(text)?;
        Ok((address, times))
    }
}

impl Drop for Bundles {
    fn drop(&mut self) {
        // Loaded libraries stay in memory; what is left behind is found under `target`.
        let _ = std::fs::remove_dir_all(&self.data);
    }
}

/// Starts a process in the version that is current.
pub(crate) fn start(node: &Node, versions: &Arc<Versions>) -> Result<Pid, String> {
    // Its start message says nothing.
    let mut start = Vec::new();
    midflight_process::message::encode(&(), &mut start).map_err(text)?;
    midflight_dsu::hosted::start(node, versions, BEHAVIOUR, &start).map_err(text)
}
