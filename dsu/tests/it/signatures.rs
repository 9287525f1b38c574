//! Who vouches for a bundle.

use std::os::unix::fs::PermissionsExt as _;

use midflight_abi::table::TARGET;
use midflight_dsu::bundle::Bundle;
use midflight_dsu::check::{CheckError, check};
use midflight_dsu::keys::{KeyFileError, development_key, signing_key};
use midflight_dsu::signature::{PublicKey, SignatureError, SigningKey, TrustedKeys};
use midflight_runtime::{SimRuntime, TokioRuntime};

use crate::fixtures::{bundle, native};

fn key(seed: u64) -> SigningKey {
    SigningKey::generate(&*SimRuntime::new(seed))
}

fn trusting(keys: &[&SigningKey]) -> TrustedKeys {
    keys.iter().map(|key| key.public()).collect()
}

/// Counter 1, as it was before anyone signed it.
async fn unsigned() -> Bundle {
    let built = bundle("examples/counter-v1").await;
    let library = built.library(TARGET).unwrap().1.to_vec();
    Bundle::new(built.manifest().clone(), vec![library]).unwrap()
}

#[tokio::test]
async fn a_good_signature_by_a_trusted_key_is_needed() {
    let (ours, theirs) = (key(1), key(2));
    let mut bundle = unsigned().await;
    let verdict = |bundle: &Bundle, keys: &TrustedKeys| {
        check(bundle, keys, &native()).map(|checked| checked.signed_by)
    };
    assert_eq!(
        verdict(&bundle, &trusting(&[&ours])),
        Err(CheckError::Signature(SignatureError::Unsigned))
    );
    bundle.sign(&theirs);
    let error = verdict(&bundle, &trusting(&[&ours])).unwrap_err();
    assert!(matches!(error, CheckError::Signature(SignatureError::Untrusted { .. })), "{error}");
    bundle.sign(&ours);
    assert_eq!(verdict(&bundle, &trusting(&[&ours])), Ok(ours.public()));
    assert_eq!(verdict(&bundle, &trusting(&[&theirs])), Ok(theirs.public()));
    assert!(verdict(&bundle, &TrustedKeys::default()).is_err());
}

#[tokio::test]
async fn a_signature_is_good_for_one_bundle_only() {
    let ours = key(1);
    let mut bundle = unsigned().await;
    bundle.sign(&ours);
    let signatures = bundle.signatures().to_vec();
    let mut manifest = bundle.manifest().clone();
    manifest.release += 1;
    let library = bundle.library(TARGET).unwrap().1.to_vec();
    let other = Bundle::new(manifest, vec![library]).unwrap();
    let error = trusting(&[&ours]).verify(other.address(), &signatures).unwrap_err();
    assert_eq!(error, SignatureError::Bad { key: ours.public() });
}

#[tokio::test]
async fn signing_again_replaces() {
    let ours = key(1);
    let mut bundle = unsigned().await;
    bundle.sign(&ours);
    bundle.sign(&ours);
    assert_eq!(bundle.signatures().len(), 1);
}

#[tokio::test]
async fn the_development_key_is_made_once_and_is_its_owners() {
    let data = tempfile::tempdir().unwrap();
    let runtime = TokioRuntime::current();
    let first = development_key(&*runtime, data.path()).unwrap();
    let second = development_key(&*runtime, data.path()).unwrap();
    assert_eq!(first.public(), second.public());
    let path = data.path().join("keys/development.key");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let public = std::fs::read_to_string(path.with_extension("pub")).unwrap();
    assert_eq!(public.parse::<PublicKey>(), Ok(first.public()));
    assert_eq!(signing_key(&path).unwrap().public(), first.public());
    assert_eq!(std::fs::read_dir(data.path().join("keys")).unwrap().count(), 2);
}

#[tokio::test]
async fn a_key_file_with_something_else_is_an_error() {
    let data = tempfile::tempdir().unwrap();
    let path = data.path().join("key");
    assert!(matches!(signing_key(&path), Err(KeyFileError::Gone { .. })));
    std::fs::write(&path, "no key").unwrap();
    assert!(matches!(signing_key(&path), Err(KeyFileError::NoKey { .. })));
}
