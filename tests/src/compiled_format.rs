//! A format of code for the simulator: a bundle's "library" is the name of code that is compiled
//! in. Everything around it is real: manifest, signature, store, staging, switching.

use std::sync::Arc;

use async_trait::async_trait;
use midflight_abi::Description;
use midflight_abi::table::{ABI_MAJOR, ABI_MINOR};
use midflight_dsu::bundle::{Bundle, LIBRARY_BYTES_MAX, LibraryEntry, Manifest, PanicStrategy};
use midflight_dsu::check::{CheckError, Facts};
use midflight_dsu::code::{Code, CodeFormat};
use midflight_dsu::compiled::compiled;
use midflight_dsu::library::LoadError;
use midflight_dsu::probe::{ProbeError, ProbeReport, ProbeRequest};
use midflight_dsu::signature::SigningKey;
use midflight_dsu::store::StoredLibrary;
use midflight_runtime::Runtime;

use crate::recorder::Recorder;
use crate::renumbered::renumbered;
use crate::teller::Teller;

/// The target of compiled-in code.
pub const TARGET: &str = "compiled-in";
/// The end of a library that ends its probe.
const FAILS: &str = "and fails its probe";

/// The code with this name; `counter-v2 as 3` is that of `counter-v2`, which then says it is version 3.
///
/// # Panics
/// When there is none: a mistake in a test.
#[must_use]
pub fn code(name: &str) -> Arc<dyn Code> {
    if let Some((name, number)) = name.split_once(" as ") {
        return renumbered(code(name), number.parse().expect("a version"));
    }
    let code = match name {
        "counter-v1" => compiled::<(counter_v1::Counter,)>(),
        "counter-v2" => compiled::<(counter_v2::Counter,)>(),
        "counter-v3" => compiled::<(counter_v3_incompatible::Counter,)>(),
        "clerk-v1" => compiled::<(clerk_v1::Clerk,)>(),
        "clerk-v2" => compiled::<(clerk_v2::Clerk,)>(),
        "clerk-v3" => compiled::<(crate::clerk_v3::Clerk,)>(),
        "ponger-v1" => compiled::<(ponger_v1::Ponger,)>(),
        "ponger-v2" => compiled::<(ponger_v2::Ponger,)>(),
        "waiter-v1" => compiled::<(waiter::Waiter,)>(),
        "waiter-v2" => compiled::<(waiter::v2::Waiter,)>(),
        "errands-v1" => compiled::<(crate::errands::v1::Errands,)>(),
        "errands-v2" => compiled::<(crate::errands::v2::Errands,)>(),
        "rally-v1" => compiled::<(rally_v1::Rally,)>(),
        "rally-v2" => compiled::<(rally_v2::Rally,)>(),
        "till-v1" => compiled::<(till::Till,)>(),
        "till-v2" => compiled::<(till::v2::Till,)>(),
        "relay-v1" => {
            use relay::v1::{Codec, Consumer, Producer};
            compiled::<(Producer, Codec, Consumer)>()
        }
        "relay-v2" => {
            use relay::v2::{Codec, Consumer, Producer};
            compiled::<(Producer, Codec, Consumer)>()
        }
        "spoiler-v1" => compiled::<(spoiler::v1::Spoiler,)>(),
        "spoiler-v2" => compiled::<(spoiler::Spoiler,)>(),
        "teller" => compiled::<(Teller,)>(),
        "recorder" => compiled::<(Recorder,)>(),
        other => panic!("no code is called {other}"),
    };
    code.expect("compiled-in code describes itself")
}

/// A signed bundle of compiled-in code, and its file.
///
/// # Panics
/// When the bundle is not one: a mistake in a test.
#[must_use]
pub fn bundle(name: &str, key: &SigningKey) -> (Bundle, Vec<u8>) {
    bundle_with(name, name.as_bytes().to_vec(), key)
}

/// As [`bundle`], with a library of so many bytes, which cannot be compressed.
///
/// # Panics
/// When the bundle is not one: a mistake in a test.
#[must_use]
pub fn bundle_of_size(
    name: &str,
    bytes: usize,
    runtime: &dyn Runtime,
    key: &SigningKey,
) -> (Bundle, Vec<u8>) {
    let mut library = format!("{name}\n").into_bytes();
    while library.len() < bytes {
        library.extend_from_slice(&runtime.random_u64().to_le_bytes());
    }
    bundle_with(name, library, key)
}

/// As [`bundle`], of a library that ends its probe.
///
/// # Panics
/// When the bundle is not one: a mistake in a test.
#[must_use]
pub fn bundle_that_fails_its_probe(name: &str, key: &SigningKey) -> (Bundle, Vec<u8>) {
    bundle_with(name, format!("{name}\n{FAILS}").into_bytes(), key)
}

fn bundle_with(name: &str, library: Vec<u8>, key: &SigningKey) -> (Bundle, Vec<u8>) {
    let description = code(name).description().clone();
    let first = &description.behaviours[0];
    let version = description.behaviours.iter().map(|b| b.code_version).max();
    let version = version.expect("there is a behaviour");
    let manifest = Manifest {
        format: Manifest::FORMAT,
        name: first.name.clone(),
        version,
        release: version.into(),
        behaviours: description.behaviours.clone(),
        conversions: description.conversions.clone(),
        abi_major: ABI_MAJOR,
        abi_minor: ABI_MINOR,
        panic_strategy: PanicStrategy::Unwind,
        rustc: String::from("compiled in"),
        libraries: vec![LibraryEntry::of(TARGET, &library)],
    };
    let mut bundle = Bundle::new(manifest, vec![library]).expect("a good manifest");
    bundle.sign(key).expect("one signature");
    let file = bundle.write().expect("a good bundle");
    (bundle, file)
}

/// A key for tests.
#[must_use]
pub fn key(runtime: &dyn Runtime) -> SigningKey {
    SigningKey::generate(runtime)
}

/// Takes names of compiled-in code for libraries.
#[derive(Debug)]
pub struct CompiledFormat {
    /// The store's files: where the names lie.
    pub files: Arc<dyn midflight_runtime::Files>,
}

impl CompiledFormat {
    async fn bytes(&self, library: &StoredLibrary) -> Vec<u8> {
        let read = self.files.read(library.path.clone(), LIBRARY_BYTES_MAX).await;
        read.expect("it is stored")
    }

    async fn named(&self, library: &StoredLibrary) -> Arc<dyn Code> {
        let bytes = self.bytes(library).await;
        let name = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        code(std::str::from_utf8(name).expect("a name"))
    }
}

#[async_trait]
impl CodeFormat for CompiledFormat {
    fn target(&self) -> &str {
        TARGET
    }

    fn check(&self, _library: &[u8]) -> Result<Facts, CheckError> {
        Ok(Facts {
            abi_major: ABI_MAJOR,
            abi_minor: ABI_MINOR,
            table_size: 0,
            panic_strategy: PanicStrategy::Unwind,
        })
    }

    async fn probe(
        &self,
        library: &StoredLibrary,
        request: &ProbeRequest,
    ) -> Result<ProbeReport, ProbeError> {
        if self.bytes(library).await.ends_with(FAILS.as_bytes()) {
            return Err(ProbeError::Signal { signal: 6, complaint: FAILS.into(), state: None });
        }
        let code = self.named(library).await;
        let verdict = |state: &midflight_dsu::probe::ProbeState| {
            midflight_dsu::probe::try_state(&*code, state, request.state_bytes_max)
        };
        Ok(ProbeReport {
            description: code.description().clone(),
            rustc: String::from("compiled in"),
            states: request.states.iter().map(verdict).collect(),
            stays: None,
        })
    }

    async fn load(
        &self,
        library: &StoredLibrary,
        _expected: &Description,
    ) -> Result<Arc<dyn Code>, LoadError> {
        Ok(self.named(library).await)
    }
}
