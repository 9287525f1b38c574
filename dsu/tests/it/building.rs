//! `midflight build`: from an ordinary crate to a bundle, or to an error that says what to do.

use midflight_dsu::builder::{BuildError, BuildOptions, Profile, build};
use midflight_runtime::TokioRuntime;

use crate::fixtures::{build_crate, build_data, bundle, prober, root};

#[tokio::test]
async fn building_twice_gives_the_same_address() {
    let once = bundle("examples/counter-v1").await;
    // Elsewhere, from nothing: no file of the first build can play a part.
    let data = tempfile::tempdir().unwrap();
    let mut options = BuildOptions::new(root().join("examples/counter-v1"), data.path(), prober());
    options.output = Some(data.path().join("again.mfb"));
    let again = build(&TokioRuntime::current(), &options).await.unwrap();
    assert_eq!(once.address(), again.bundle.address());
    assert_eq!(std::fs::metadata(&again.path).unwrap().len(), again.size);
    // Another folder has another development key.
    assert_ne!(once.signatures(), again.bundle.signatures());
}

#[tokio::test]
async fn no_folder_of_this_machine_is_in_the_library() {
    let bundle = bundle("examples/counter-v1").await;
    let library = crate::fixtures::library_of(&bundle);
    let folder = root().to_str().unwrap().as_bytes();
    assert!(!library.windows(folder.len()).any(|window| window == folder));
}

#[tokio::test]
async fn what_cannot_be_built_says_why() {
    let data = tempfile::tempdir().unwrap();
    let runtime = TokioRuntime::current();
    let options = |folder: &str| BuildOptions::new(root().join(folder), data.path(), prober());

    let error = build(&runtime, &options("dsu/src")).await.unwrap_err();
    assert!(matches!(error, BuildError::NoCrate { .. }), "{error}");

    let mut without_cargo = options("examples/counter-v1");
    without_cargo.cargo = Some("/nowhere/cargo".into());
    let error = build(&runtime, &without_cargo).await.unwrap_err();
    assert!(matches!(error, BuildError::NoCargo { .. }), "{error}");
    assert!(error.to_string().contains("rustup.rs"), "{error}");

    let mut foreign = options("examples/counter-v1");
    foreign.target = Some("riscv64gc-unknown-linux-gnu".into());
    let error = build(&runtime, &foreign).await.unwrap_err();
    assert!(matches!(error, BuildError::Target { .. }), "{error}");

    let error = build(&runtime, &options("cli")).await.unwrap_err();
    assert!(matches!(error, BuildError::NoLibrary { .. }), "{error}");
}

#[tokio::test]
async fn a_crate_that_does_not_compile_is_no_bundle() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("src")).unwrap();
    let manifest = "[package]\nname = \"broken\"\nedition = \"2024\"\n[workspace]\n";
    std::fs::write(folder.path().join("Cargo.toml"), manifest).unwrap();
    std::fs::write(folder.path().join("src/lib.rs"), "fn broken( {}").unwrap();
    let mut options = BuildOptions::new(folder.path(), build_data(), prober());
    options.profile = Profile::Dev;
    let error = build(&TokioRuntime::current(), &options).await.unwrap_err();
    assert!(matches!(error, BuildError::Compile { .. }), "{error:?}");
}

#[tokio::test]
async fn the_incompatible_counter_builds_too() {
    let built = build_crate("examples/counter-v3-incompatible").await.unwrap();
    let (v2, v3) = (bundle("examples/counter-v2").await, built.bundle);
    let (v2, v3) = (&v2.manifest().behaviours[0], &v3.manifest().behaviours[0]);
    // Only `Add` differs, and it calls itself the same.
    assert_eq!(v2.state, v3.state);
    for (old, new) in v2.accepts.iter().zip(&v3.accepts) {
        assert_eq!(old.message.name(), new.message.name());
        assert_eq!(old.message.version(), new.message.version());
        assert_eq!(old.message == new.message, old.message.name() != "counter.Add");
    }
    // What version 2 converts from is what version 1 has, whatever the structs are called.
    let v1 = bundle("examples/counter-v1").await;
    assert_eq!(v2.restores(1), Some(&v1.manifest().behaviours[0].state));
    assert_eq!(v2.saves(1), v2.restores(1));
}
