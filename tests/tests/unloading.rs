//! Libraries come and go in a real node: what is proven safe is unloaded, what is not stays and says why, and
//! nothing grows (U3; E06, E19).
//!
//! A program of its own, and one test at a time: what is measured are the whole program's mappings.
#![expect(clippy::unwrap_used, reason = "a test may")]

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use cycler::{Count, Counted, Nap, VERSION, Work};
use midflight_abi::table::TARGET;
use midflight_dsu::builder::{BuildOptions, Built, Profile, build};
use midflight_dsu::bundle::{Bundle, LibraryEntry};
use midflight_dsu::code::Stays;
use midflight_dsu::code_server::{CodeServer, CodeServerConfig, MAPPED_MAX, StageError};
use midflight_dsu::hash::{CodeId, ContentAddress};
use midflight_dsu::hosted::ProbationLimits;
use midflight_dsu::library::NativeFormat;
use midflight_dsu::policy::Policy;
use midflight_dsu::signature::{SigningKey, TrustedKeys};
use midflight_dsu::switch::SwitchLimits;
use midflight_dsu::versions::{Cause, Holder};
use midflight_process::message::Message;
use midflight_process::{Node, Pid};
use midflight_runtime::{Handle, TokioRuntime};
use midflight_tests::real::{data, prober, repository};
use midflight_tests::steps::{stage_file, start};
use midflight_transport_inmem::Hub;
use tokio::sync::{Mutex, oneshot};

const PATIENCE: Duration = Duration::from_secs(60);
/// Cycles after which what there is at first has been set aside.
const WARM_UP: u32 = 50;

/// The most that a library of this size keeps in statics.
const STATICS_KIB: usize = 6;
/// By how much the heap may grow and shrink meanwhile.
const SPREAD_KIB: usize = 4_096;

/// One test at a time.
static ALONE: Mutex<()> = Mutex::const_new(());

/// A node, and what it takes to make bundles for it.
struct Ground {
    server: CodeServer,
    data: tempfile::TempDir,
    key: SigningKey,
    /// Libraries that other tests have left.
    left: usize,
}

impl Ground {
    async fn new(mapped_max: usize) -> Self {
        let runtime: Handle = TokioRuntime::current();
        let transport = Hub::new(1).transport(runtime.clone());
        let node = Node::builder("a").start(&transport, runtime.clone()).await.unwrap();
        let (key, data) = (SigningKey::generate(&*runtime), tempfile::tempdir().unwrap());
        let probation = ProbationLimits { messages: 0, ..ProbationLimits::default() };
        let config = CodeServerConfig {
            data: data.path().to_owned(),
            trusted: TrustedKeys::from_iter([key.public()]),
            format: Arc::new(NativeFormat::new(runtime, prober())),
            switch: SwitchLimits { probation, ..SwitchLimits::default() },
            mapped_max,
        };
        let left = midflight_dsu::library::mapped().len();
        Self { server: CodeServer::new(config, node), data, key, left }
    }

    /// The bundle of `cycler`'s library as of version `number`, and its file.
    fn cycler(&self, built: &Bundle, number: u32) -> (Bundle, Vec<u8>) {
        let (_, library) = built.library(TARGET).unwrap();
        let library = patched(library, number);
        let mut manifest = built.manifest().clone();
        manifest.version = number;
        manifest.release = number.into();
        manifest.libraries = vec![LibraryEntry::of(TARGET, &library)];
        for behaviour in &mut manifest.behaviours {
            behaviour.code_version = number;
        }
        let mut bundle = Bundle::new(manifest, vec![library]).unwrap();
        bundle.sign(&self.key).unwrap();
        let file = bundle.write().unwrap();
        (bundle, file)
    }

    async fn stage(&self, bundle: &Bundle) -> ContentAddress {
        let mut bundle = bundle.clone();
        bundle.sign(&self.key).unwrap();
        stage_file(&self.server, bundle.address(), &bundle.write().unwrap()).await;
        bundle.address()
    }

    /// What no node does yet: forgets a version's files, so that ten thousand do not fill the disk.
    fn forget(&self, address: ContentAddress, code: CodeId) {
        let data = self.data.path();
        std::fs::remove_file(data.join("bundles").join(format!("{address}.mfb"))).unwrap();
        std::fs::remove_file(data.join("code").join(format!("{code}.so"))).unwrap();
    }

    /// Sends a call, whose answer comes later; none where the process has ended.
    fn ask<M: Message>(&self, pid: Pid, message: M) -> oneshot::Receiver<Option<Counted>> {
        let (tell, told) = oneshot::channel();
        let spawned = self.server.node().spawn("client", move |cx| async move {
            let _ = tell.send(cx.call::<_, Counted>(pid, message, PATIENCE).await.ok());
        });
        spawned.unwrap();
        told
    }

    /// What keeps a version.
    fn holders(&self, address: ContentAddress) -> Vec<Holder> {
        let version = self.server.versions().get(address).unwrap();
        version.holders(self.server.node(), 9).0
    }

    /// How many libraries this test has in memory.
    fn mapped(&self) -> usize {
        self.server.mapped().len() - self.left
    }

    /// Waits until no more than so many libraries of this test are in memory.
    async fn until_mapped(&self, count: usize) {
        let runtime = self.server.node().runtime();
        let deadline = runtime.now() + PATIENCE;
        while self.mapped() > count {
            assert!(runtime.now() < deadline, "{:?}", self.server.mapped());
            self.server.retire();
            tokio::task::yield_now().await;
        }
    }
}

/// The library with another number in the place of its version.
fn patched(library: &[u8], number: u32) -> Vec<u8> {
    let (mut library, from) = (library.to_vec(), VERSION.to_le_bytes());
    let mut found = 0;
    for at in 0..library.len() - from.len() {
        if library[at..].starts_with(&from) {
            library[at..at + from.len()].copy_from_slice(&number.to_le_bytes());
            found += 1;
        }
    }
    assert!(found > 0, "the version is not found in the library");
    library
}

async fn built(folder: &str, profile: Profile) -> Built {
    let runtime = TokioRuntime::current();
    let mut options = BuildOptions::new(repository().join(folder), data(), prober());
    options.profile = profile;
    options.output = Some(data().join(format!("unloading-{:016x}.mfb", runtime.random_u64())));
    let built = build(&runtime, &options).await.unwrap();
    std::fs::remove_file(&built.path).unwrap();
    built
}

/// What a program holds of its machine.
#[derive(Debug, Clone, Copy)]
struct Held {
    memory_kib: usize,
    mappings: usize,
    descriptors: usize,
}

impl Held {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        let memory_kib = memory.split_whitespace().next().unwrap().parse().unwrap();
        let mappings = std::fs::read_to_string("/proc/self/maps").unwrap().lines().count();
        let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
        Self { memory_kib, mappings, descriptors }
    }
}

fn is_mapped(folder: &Path) -> bool {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    maps.contains(folder.to_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_come_and_go_and_nothing_grows() {
    let _alone = ALONE.lock().await;
    let cycles: u32 = match std::env::var("MIDFLIGHT_CYCLES") {
        Ok(cycles) => cycles.parse().unwrap(),
        Err(_) => 300,
    };
    let ground = Ground::new(MAPPED_MAX).await;
    let built = built("tests/fixtures/cycler", Profile::Lto).await.bundle;
    let (mut cycler, mut before, mut early) = (None, None, Held::now());
    for number in 1..=cycles {
        let (bundle, file) = ground.cycler(&built, number);
        let address = bundle.address();
        stage_file(&ground.server, address, &file).await;
        ground.server.activate(address).await.unwrap();
        let pid = *cycler.get_or_insert_with(|| start(&ground.server, "cycler", &()));
        let counted = ground.ask(pid, Count {}).await.unwrap();
        assert_eq!(counted, Some(Counted { n: number.into(), code_version: number }));
        ground.until_mapped(1).await;
        let code = ground.server.versions().get(address).unwrap().code.id();
        if let Some((address, code)) = before.replace((address, code)) {
            ground.forget(address, code);
        }
        if number == WARM_UP {
            early = Held::now();
        }
    }
    let late = Held::now();
    println!("after {WARM_UP} cycles: {early:?}\nafter {cycles}: {late:?}");
    assert_eq!(ground.server.versions().all().len(), 1);
    assert!(late.mappings <= early.mappings + 40, "{early:?} {late:?}");
    assert!(late.descriptors <= early.descriptors + 8, "{early:?} {late:?}");
    // What is lost with a library is what lies in its statics: its types' descriptions and its panic hook.
    let grown = late.memory_kib.saturating_sub(early.memory_kib);
    let lost = STATICS_KIB * (cycles as usize).saturating_sub(WARM_UP as usize);
    assert!(grown <= lost + SPREAD_KIB, "{early:?} {late:?}");
    ground.server.node().kill(cycler.unwrap(), "enough");
    ground.server.node().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_runs_or_waits_in_a_library_defers_its_unloading_and_is_named() {
    let _alone = ALONE.lock().await;
    let ground = Ground::new(MAPPED_MAX).await;
    let server = &ground.server;
    let built = built("tests/fixtures/cycler", Profile::Lto).await.bundle;
    let (v1, file) = ground.cycler(&built, 1);
    stage_file(server, v1.address(), &file).await;
    server.activate(v1.address()).await.unwrap();
    let (v2, file) = ground.cycler(&built, 2);
    stage_file(server, v2.address(), &file).await;
    let (works, naps) = (start(server, "cycler", &()), start(server, "cycler", &()));
    let worked = ground.ask(works, Work { millis: 3_000 });
    let napped = ground.ask(naps, Nap { millis: 5_000 });
    let both = [(works, Cause::Running), (naps, Cause::Suspended)];
    let both = both.map(|(pid, cause)| Holder { pid: Some(pid), cause });
    let deadline = server.node().runtime().now() + PATIENCE;
    while ground.holders(v1.address()) != both {
        assert!(server.node().runtime().now() < deadline, "{:?}", ground.holders(v1.address()));
        tokio::task::yield_now().await;
    }
    server.activate_by(v2.address(), Policy::Drain).await.unwrap();
    assert_eq!(server.retire(), 0);
    assert_eq!(ground.holders(v1.address()), both);
    // To end a process ends neither its handler nor the code that it is in.
    server.node().kill(works, "enough");
    assert_eq!(server.retire(), 0);
    assert_eq!(ground.mapped(), 2);
    assert_eq!(worked.await.unwrap(), Some(Counted { n: 1, code_version: 1 }));
    assert_eq!(napped.await.unwrap(), Some(Counted { n: 1, code_version: 1 }));
    server.node().kill(naps, "enough");
    ground.until_mapped(1).await;
    assert!(server.versions().get(v1.address()).is_none());
    server.node().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_proven_stays_with_its_reason_until_no_more_is_taken() {
    let _alone = ALONE.lock().await;
    let mapped = midflight_dsu::library::mapped().len();
    let ground = Ground::new(mapped + 1).await;
    let server = &ground.server;
    let v1 = built("examples/counter-v1", Profile::Release).await.bundle;
    let address = ground.stage(&v1).await;
    let code = server.versions().get(address).unwrap().code.id();
    server.give_up(address);
    assert!(server.versions().get(address).is_none());
    let stays = server.mapped().into_iter().find(|mapped| mapped.code == code).unwrap().stays;
    assert_eq!(stays, Some(Stays::ThreadLocal));
    assert!(is_mapped(ground.data.path()));
    // It may come again, since it is there.
    ground.stage(&v1).await;
    let mut v2 = built("examples/counter-v2", Profile::Release).await.bundle;
    v2.sign(&ground.key).unwrap();
    server.accept(v2.address(), &v2.write().unwrap()).await.unwrap();
    let refused = server.stage(v2.address()).await.unwrap_err();
    assert!(matches!(refused, StageError::TooManyMapped { .. }), "{refused}");
    server.node().shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_starts_threads_stays_however_it_was_built() {
    let _alone = ALONE.lock().await;
    let ground = Ground::new(MAPPED_MAX).await;
    let tied = built("tests/fixtures/tied", Profile::Lto).await.bundle;
    let address = ground.stage(&tied).await;
    let code = ground.server.versions().get(address).unwrap().code.id();
    ground.server.give_up(address);
    let stays =
        ground.server.mapped().into_iter().find(|mapped| mapped.code == code).unwrap().stays;
    assert!(matches!(stays, Some(Stays::Thread | Stays::ThreadLocal)), "{stays:?}");
    ground.server.node().shutdown().await;
}
