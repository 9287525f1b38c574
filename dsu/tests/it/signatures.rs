//! Who vouches for a bundle.

use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use midflight_abi::table::TARGET;
use midflight_dsu::bundle::{Bundle, BundleError};
use midflight_dsu::check::{CheckError, check};
use midflight_dsu::keys::{KeyFileError, development_key, signing_key};
use midflight_dsu::signature::{PublicKey, Scope, SignatureError, SigningKey, TrustedKeys};
use midflight_runtime::{SimRuntime, TokioRuntime};

use crate::fixtures::{bundle, native};

const NOW: Duration = Duration::from_secs(1_000);

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
        check(bundle, keys, NOW, &native()).map(|checked| checked.signed_by)
    };
    assert_eq!(
        verdict(&bundle, &trusting(&[&ours])),
        Err(CheckError::Signature(SignatureError::Unsigned))
    );
    bundle.sign(&theirs).unwrap();
    let error = verdict(&bundle, &trusting(&[&ours])).unwrap_err();
    assert!(matches!(error, CheckError::Signature(SignatureError::Untrusted { .. })), "{error}");
    bundle.sign(&ours).unwrap();
    assert_eq!(verdict(&bundle, &trusting(&[&ours])), Ok(ours.public()));
    assert_eq!(verdict(&bundle, &trusting(&[&theirs])), Ok(theirs.public()));
    assert!(verdict(&bundle, &TrustedKeys::default()).is_err());
}

#[tokio::test]
async fn a_signature_is_good_for_one_bundle_only() {
    let ours = key(1);
    let mut bundle = unsigned().await;
    bundle.sign(&ours).unwrap();
    let signatures = bundle.signatures().to_vec();
    let mut manifest = bundle.manifest().clone();
    manifest.release += 1;
    let library = bundle.library(TARGET).unwrap().1.to_vec();
    let other = Bundle::new(manifest, vec![library]).unwrap();
    let error =
        trusting(&[&ours]).verify("counter", other.address(), &signatures, NOW).unwrap_err();
    assert_eq!(error, SignatureError::Bad { key: ours.public() });
}

fn verdict(
    bundle: &Bundle,
    keys: &TrustedKeys,
    now: Duration,
) -> Result<PublicKey, SignatureError> {
    keys.verify(&bundle.manifest().name, bundle.address(), bundle.signatures(), now)
}

#[tokio::test]
async fn as_many_different_keys_as_asked_for_must_have_signed() {
    let (a, b, stranger) = (key(1), key(2), key(3));
    let trusted = trusting(&[&a, &b]).with_threshold(2);
    let mut bundle = unsigned().await;
    bundle.sign(&a).unwrap();
    // Neither the same key again nor one that is not trusted makes two.
    bundle.sign(&a).unwrap();
    bundle.sign(&stranger).unwrap();
    let too_few = Err(SignatureError::TooFew { good: 1, needed: 2 });
    assert_eq!(verdict(&bundle, &trusted, NOW), too_few);
    bundle.sign_until(&b, Some(NOW.as_secs())).unwrap();
    assert_eq!(verdict(&bundle, &trusted, NOW), too_few, "one that has expired does not count");
    bundle.sign(&b).unwrap();
    assert_eq!(verdict(&bundle, &trusted, NOW), Ok(a.public()));
    // Twice the very same signature in the file.
    let twice = [bundle.signatures()[0].clone(), bundle.signatures()[0].clone()];
    assert_eq!(trusted.verify("counter", bundle.address(), &twice, NOW), too_few);
}

#[tokio::test]
async fn a_signature_is_good_until_it_expires() {
    let ours = key(1);
    let mut bundle = unsigned().await;
    bundle.sign_until(&ours, Some(1_000)).unwrap();
    let at = |seconds| verdict(&bundle, &trusting(&[&ours]), Duration::from_secs(seconds));
    assert_eq!(at(999), Ok(ours.public()));
    let expired = Err(SignatureError::Expired { key: ours.public(), expired: 1_000 });
    assert_eq!((at(1_000), at(5_000)), (expired.clone(), expired));
    // The time is signed, too: neither another nor none is believed.
    for other in [None, Some(0), Some(9_000)] {
        let mut changed = bundle.signatures().to_vec();
        changed[0].expires = other;
        let error = trusting(&[&ours]).verify("counter", bundle.address(), &changed, NOW);
        assert_eq!(error, Err(SignatureError::Bad { key: ours.public() }), "{other:?}");
    }
}

#[tokio::test]
async fn a_key_vouches_for_the_bundles_of_its_scopes_alone() {
    let (ours, theirs) = (key(1), key(2));
    let scoped = |scope: &str| TrustedKeys::default().and(ours.public(), scope.parse().unwrap());
    let mut bundle = unsigned().await;
    bundle.sign(&ours).unwrap();
    for scope in ["counter", "cou*", "*"] {
        assert_eq!(verdict(&bundle, &scoped(scope), NOW), Ok(ours.public()), "{scope}");
    }
    let error =
        verdict(&bundle, &scoped("shop.*").and(ours.public(), "till".parse().unwrap()), NOW);
    let (key, bundle_name, scopes) = (ours.public(), "counter".into(), "shop.*, till".into());
    assert_eq!(error, Err(SignatureError::OutOfScope { key, bundle: bundle_name, scopes }));
    // What it may not vouch for it does not help others to vouch for either.
    bundle.sign(&theirs).unwrap();
    let two = scoped("shop.*").and(theirs.public(), Scope::everything()).with_threshold(2);
    let too_few = SignatureError::TooFew { good: 1, needed: 2 };
    assert_eq!(verdict(&bundle, &two, NOW), Err(too_few));
}

#[tokio::test]
async fn signing_again_replaces() {
    let ours = key(1);
    let mut bundle = unsigned().await;
    bundle.sign(&ours).unwrap();
    bundle.sign(&ours).unwrap();
    assert_eq!(bundle.signatures().len(), 1);
}

#[tokio::test]
async fn no_more_sign_a_bundle_than_a_node_takes() {
    let mut bundle = unsigned().await;
    let last = key(16);
    for seed in 1..=16 {
        bundle.sign(&key(seed)).unwrap();
    }
    assert_eq!(verdict(&bundle, &trusting(&[&last]), NOW), Ok(last.public()));
    let before = bundle.signatures().to_vec();
    let error = bundle.sign(&key(17)).unwrap_err();
    assert!(matches!(error, BundleError::TooManySignatures), "{error}");
    assert_eq!(bundle.signatures(), before, "it is as it was");
    // Who has signed it already may sign it anew.
    bundle.sign_until(&key(1), Some(2_000)).unwrap();
    assert_eq!((bundle.signatures().len(), bundle.signatures()[15].expires), (16, Some(2_000)));
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
