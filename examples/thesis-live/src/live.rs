//! A crate that is built, loaded and replaced while the program runs.

use std::error::Error;
use std::path::PathBuf;
use std::sync::Arc;

use midflight_dsu::builder::{BuildOptions, build};
use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX};
use midflight_dsu::keys::development_key;
use midflight_dsu::library::NativeFormat;
use midflight_dsu::probe::Prober;
use midflight_dsu::switch::SwitchLimits;
use midflight_process::{Node, Pid};

/// Any error.
pub(crate) type BoxError = Box<dyn Error + Send + Sync>;

/// The crate and the code server that runs it.
#[derive(Debug)]
pub(crate) struct LiveCrate {
    server: CodeServer,
    options: BuildOptions,
}

impl LiveCrate {
    /// The crate in `folder`; what is built goes to `data`.
    pub(crate) fn new(node: &Node, folder: PathBuf, data: PathBuf) -> Result<Self, BoxError> {
        std::fs::create_dir_all(&data)?;
        let data = data.canonicalize()?;
        let runtime = node.runtime();
        let prober = Prober::new(std::env::current_exe()?, ["probe"]);
        // Bundles are signed by whoever builds them: here that is this program's user.
        let trusted = [development_key(&**runtime, &data)?.public()].into_iter().collect();
        let format = Arc::new(NativeFormat::new(runtime.clone(), prober.clone()));
        let switch = SwitchLimits::default();
        let config = CodeServerConfig {
            data: data.clone(),
            trusted,
            format,
            switch,
            mapped_max: MAPPED_MAX,
        };
        let mut options = BuildOptions::new(folder, &data, prober);
        options.output = Some(data.join("live.mfb"));
        Ok(Self { server: CodeServer::new(config, node.clone()), options })
    }

    /// From the source to running code: every living process is switched between two messages, with
    /// its state. Answers how many run in the new code. After an error all is as it was.
    pub(crate) async fn build_and_switch(&self) -> Result<usize, BoxError> {
        let runtime = self.server.node().runtime().clone();
        let built = build(&runtime, &self.options).await?;
        let address = built.bundle.address();
        self.server.accept(address, &built.bundle.write()?).await?;
        self.server.stage(address).await?;
        Ok(self.server.activate(address).await?)
    }

    /// Starts a process of a behaviour of the crate.
    pub(crate) fn start(&self, behaviour: &str) -> Result<Pid, BoxError> {
        Ok(self.server.start(behaviour, &[])?)
    }
}

/// An error with what caused it.
pub(crate) fn in_words(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
