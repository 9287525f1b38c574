//! What the tests share: built bundles, a host, and short ways to call code.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use midflight_abi::Level;
use midflight_abi::effect::{Effect, Effects};
use midflight_dsu::builder::{BuildOptions, Built, build};
use midflight_dsu::bundle::Bundle;
use midflight_dsu::code::{Call, Code, CodeError, Host, Instance, OpEnd, Progress};
use midflight_dsu::hash::CodeId;
use midflight_dsu::probe::Prober;
use midflight_dsu::store::StoredLibrary;
use midflight_message::{Message, NodeId, Pid, decode, encode};
use midflight_runtime::TokioRuntime;

/// The data folder of all builds, kept between runs so that only what changed is compiled.
pub(crate) fn build_data() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("dsu-data")
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("dsu lies in the repository")
}

pub(crate) fn prober() -> Prober {
    Prober::new(env!("CARGO_BIN_EXE_midflight-probe"), Vec::<String>::new())
}

/// Builds the crate in the folder `path` of the repository.
pub(crate) async fn build_crate(path: &str) -> Result<Built, midflight_dsu::builder::BuildError> {
    let folder = tempfile::tempdir().unwrap();
    let mut options = BuildOptions::new(root().join(path), build_data(), prober());
    options.output = Some(folder.path().join("built.mfb"));
    build(&TokioRuntime::current(), &options).await
}

/// The bundle of the crate in the folder `path`, built once per run.
pub(crate) async fn bundle(path: &str) -> Bundle {
    static BUILT: tokio::sync::Mutex<BTreeMap<String, Bundle>> =
        tokio::sync::Mutex::const_new(BTreeMap::new());
    let mut built = BUILT.lock().await;
    if let Some(bundle) = built.get(path) {
        return bundle.clone();
    }
    let bundle = build_crate(path).await.unwrap_or_else(|e| panic!("{path}: {e:?}")).bundle;
    built.insert(path.to_owned(), bundle.clone());
    bundle
}

/// Native code, as a node of this machine takes it.
pub(crate) fn native() -> midflight_dsu::library::NativeFormat {
    midflight_dsu::library::NativeFormat::new(TokioRuntime::current(), prober())
}

pub(crate) fn library_of(bundle: &Bundle) -> &[u8] {
    bundle.library(midflight_abi::table::TARGET).expect("built for this machine").1
}

/// A library in a file of its own, as a store would have it. One that is there may be loaded: writing
/// to it would take the relocated pages from under the code that runs.
pub(crate) fn stored(folder: &Path, library: &[u8]) -> StoredLibrary {
    let id = CodeId::of(library);
    let path = folder.join(format!("{id}.so"));
    if !path.exists() {
        std::fs::write(&path, library).unwrap();
    }
    StoredLibrary { id, path }
}

/// Loads the bundle of a crate from a folder of its own.
pub(crate) async fn load(folder: &Path, path: &str) -> Arc<dyn Code> {
    use midflight_dsu::code::CodeFormat as _;
    let bundle = bundle(path).await;
    let library = stored(folder, library_of(&bundle));
    native().load(&library, &bundle.manifest().description()).await.unwrap()
}

/// A host that remembers what was logged.
#[derive(Debug, Default)]
pub(crate) struct TestHost {
    pub(crate) log: Mutex<Vec<String>>,
}

impl Host for TestHost {
    fn log(&self, level: Level, text: &str) {
        self.log.lock().unwrap().push(format!("{level:?}: {text}"));
    }

    fn now_nanos(&self) -> u64 {
        5_000_000_000
    }

    fn unix_nanos(&self) -> u64 {
        9
    }

    fn fill_random(&self, buffer: &mut [u8]) {
        buffer.fill(4);
    }

    fn whereis(&self, name: &str) -> Option<Pid> {
        (name == "known").then_some(pid(77))
    }

    fn reserve(&self) -> Option<Pid> {
        Some(pid(99))
    }
}

pub(crate) const fn pid(index: u32) -> Pid {
    Pid { node: NodeId(3), index, generation: 1 }
}

pub(crate) fn bytes<M: Message>(message: &M) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

/// A process: an instance, and the effects of its last call.
pub(crate) struct Process {
    pub(crate) host: TestHost,
    pub(crate) effects: Vec<u8>,
    pub(crate) instance: Box<dyn Instance>,
    /// Whether it is told that it is to come to rest.
    pub(crate) is_wanted: bool,
    accepts: Vec<String>,
}

impl Process {
    pub(crate) fn create<M: Message>(code: &dyn Code, behaviour: u32, start: &M) -> Self {
        let host = TestHost::default();
        let mut effects = Vec::new();
        let call = Call { me: pid(1), from: None, reply_to: None, is_wanted: false, host: &host };
        let instance = code.create(behaviour, &bytes(start), &call, &mut effects).unwrap();
        Self { accepts: accepts(code, behaviour), host, effects, instance, is_wanted: false }
    }

    pub(crate) fn restore(
        code: &dyn Code,
        behaviour: u32,
        version: u32,
        state: &[u8],
    ) -> Result<Self, CodeError> {
        let instance = code.restore(behaviour, version, state)?;
        let accepts = accepts(code, behaviour);
        let (host, effects) = (TestHost::default(), Vec::new());
        Ok(Self { accepts, host, effects, instance, is_wanted: false })
    }

    /// Has it handle a call.
    pub(crate) fn start<M: Message>(&mut self, message: &M) -> Result<Progress, CodeError> {
        let index = self.accepts.iter().position(|name| name == M::NAME);
        let index = index.unwrap_or(self.accepts.len()) as u32;
        let (host, from) = (&self.host, Some(pid(2)));
        let call = Call { me: pid(1), from, reply_to: Some(41), is_wanted: self.is_wanted, host };
        self.instance.start(index, &bytes(message), &call, &mut self.effects)
    }

    pub(crate) fn resume(&mut self, op: u64, end: OpEnd<'_>) -> Result<Progress, CodeError> {
        let (host, is_wanted) = (&self.host, self.is_wanted);
        let call = Call { me: pid(1), from: None, reply_to: None, is_wanted, host };
        self.instance.resume(op, end, &call, &mut self.effects)
    }

    pub(crate) fn effects(&self) -> Vec<Effect<'_>> {
        Effects::new(&self.effects).collect::<Result<_, _>>().unwrap()
    }

    /// The reply among the effects.
    pub(crate) fn reply<R: Message>(&self) -> R {
        for effect in self.effects() {
            if let Effect::Reply { call: 41, payload, .. } = effect {
                return decode(payload).unwrap();
            }
        }
        panic!("no reply among {:?}", self.effects())
    }

    /// Calls it and returns the reply.
    pub(crate) fn call<M: Message, R: Message>(&mut self, message: &M) -> R {
        assert_eq!(self.start(message), Ok(Progress::Done));
        self.reply()
    }
}

fn accepts(code: &dyn Code, behaviour: u32) -> Vec<String> {
    let behaviour = &code.description().behaviours[behaviour as usize];
    behaviour.accepts.iter().map(|accept| accept.message.name().to_owned()).collect()
}
