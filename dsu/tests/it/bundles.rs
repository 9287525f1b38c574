//! The bundle file: one way to write it, and any other bytes are an error.

use midflight_abi::table::TARGET;
use midflight_dsu::bundle::{Bundle, BundleError, LIBRARY_BYTES_MAX};
use midflight_dsu::check::check;
use midflight_dsu::keys::development_key;
use midflight_dsu::signature::TrustedKeys;
use midflight_runtime::TokioRuntime;

use crate::fixtures::{build_data, bundle, native};

const BLOCK: usize = 512;

const NOW: std::time::Duration = std::time::Duration::ZERO;

fn keys() -> TrustedKeys {
    let key = development_key(&*TokioRuntime::current(), &build_data()).unwrap();
    [key.public()].into_iter().collect()
}

#[tokio::test]
async fn what_is_written_is_read() {
    let bundle = bundle("examples/counter-v1").await;
    let read = Bundle::read(&bundle.write().unwrap()).unwrap();
    assert_eq!(read.address(), bundle.address());
    assert_eq!(read.manifest(), bundle.manifest());
    assert_eq!(read.signatures(), bundle.signatures());
    assert_eq!(read.library(TARGET), bundle.library(TARGET));
    let manifest = bundle.manifest();
    assert_eq!((manifest.name.as_str(), manifest.version, manifest.release), ("counter", 1, 1));
    check(&bundle, &keys(), NOW, &native()).unwrap();
}

#[tokio::test]
async fn a_bundle_cut_anywhere_is_truncated() {
    let bytes = bundle("examples/counter-v1").await.write().unwrap();
    let everywhere = (0..bytes.len()).step_by(997);
    let around_blocks = (0..12).flat_map(|block| [block * BLOCK, block * BLOCK + 1]);
    let at_the_end = bytes.len() - 3..bytes.len();
    for cut in everywhere.chain(around_blocks).chain(at_the_end) {
        let error = Bundle::read(&bytes[..cut]).unwrap_err();
        assert!(matches!(error, BundleError::Truncated { .. }), "cut at {cut}: {error}");
    }
}

#[tokio::test]
async fn a_bundle_with_a_flipped_bit_is_refused() {
    let bytes = bundle("examples/counter-v1").await.write().unwrap();
    let keys = keys();
    let heads = 0..8 * BLOCK;
    let everywhere = (0..bytes.len()).step_by(2_999);
    let at_the_end = bytes.len() - 2 * BLOCK..bytes.len();
    for at in heads.step_by(7).chain(everywhere).chain(at_the_end.step_by(101)) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1 << (at % 8);
        if let Ok(read) = Bundle::read(&flipped) {
            // It reads as a bundle of another address, which nobody has signed.
            assert!(
                check(&read, &keys, NOW, &native()).is_err(),
                "a bit flipped at {at} changes nothing"
            );
        }
    }
}

/// Upper-case digits say the same signature: without care they would verify, and one bundle would have
/// many files.
#[tokio::test]
async fn every_bit_of_the_signatures_matters() {
    let bundle = bundle("examples/counter-v1").await;
    let bytes = bundle.write().unwrap();
    let header = 2 * BLOCK + bundle.manifest_bytes().len();
    let begin = header.next_multiple_of(BLOCK);
    let signature = &bundle.signatures()[0].signature;
    assert!(signature.contains(|digit: char| digit.is_ascii_lowercase()));
    for at in begin..begin + BLOCK {
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            if let Ok(read) = Bundle::read(&flipped) {
                assert!(
                    check(&read, &keys(), NOW, &native()).is_err(),
                    "bit {bit} of the byte at {at}"
                );
            }
        }
    }
}

#[tokio::test]
async fn an_entry_that_claims_to_be_huge_costs_nothing() {
    let bytes = bundle("examples/counter-v1").await.write().unwrap();
    let huge = rewrite_header(&bytes, 0, |header| header.set_size(1 << 60));
    assert!(
        matches!(Bundle::read(&huge), Err(BundleError::TooLarge { size, .. }) if size == 1 << 60)
    );
    // Within the bound, but not there.
    let long = rewrite_header(&bytes, 0, |header| header.set_size(1 << 20));
    assert!(matches!(Bundle::read(&long), Err(BundleError::Truncated { .. })));
}

#[tokio::test]
async fn entries_have_their_names_and_kinds() {
    let bytes = bundle("examples/counter-v1").await.write().unwrap();
    let renamed = rewrite_header(&bytes, 0, |header| header.set_path("manifest.yaml").unwrap());
    assert!(
        matches!(Bundle::read(&renamed), Err(BundleError::Entry { found, .. }) if found == "manifest.yaml")
    );
    let linked = rewrite_header(&bytes, 0, |header| header.set_entry_type(tar::EntryType::Symlink));
    assert!(matches!(Bundle::read(&linked), Err(BundleError::Entry { .. })));
    let owned = rewrite_header(&bytes, 0, |header| header.set_uid(1_000));
    assert!(matches!(Bundle::read(&owned), Err(BundleError::NotCanonical)));
}

#[tokio::test]
async fn more_entries_than_listed_are_refused() {
    let bytes = bundle("examples/counter-v1").await.write().unwrap();
    let mut more = bytes[..bytes.len() - 2 * BLOCK].to_vec();
    let mut header = tar::Header::new_ustar();
    header.set_path("extra").unwrap();
    header.set_size(0);
    header.set_cksum();
    more.extend_from_slice(header.as_bytes());
    more.resize(more.len() + 2 * BLOCK, 0);
    assert!(
        matches!(Bundle::read(&more), Err(BundleError::UnknownEntry { found }) if found == "extra")
    );
    let mut longer = bytes;
    longer.push(0);
    assert!(matches!(Bundle::read(&longer), Err(BundleError::NotCanonical)));
}

#[tokio::test]
async fn a_manifest_must_fit_its_libraries_and_itself() {
    let good = bundle("examples/counter-v1").await;
    let library = good.library(TARGET).unwrap().1.to_vec();
    let with = |change: &dyn Fn(&mut midflight_dsu::bundle::Manifest), library: &[u8]| {
        let mut manifest = good.manifest().clone();
        change(&mut manifest);
        Bundle::new(manifest, vec![library.to_vec()]).unwrap_err()
    };
    let error = with(&|_| {}, b"other");
    assert!(matches!(error, BundleError::LibraryHash { .. }), "{error}");
    let error = with(&|m| m.name = "../etc/passwd".into(), &library);
    assert!(matches!(error, BundleError::WrongManifest { .. }), "{error}");
    let error = with(&|m| m.version = 9, &library);
    assert!(matches!(error, BundleError::WrongManifest { .. }), "{error}");
    let error = with(&|m| m.libraries[0].target = "/".into(), &library);
    assert!(matches!(error, BundleError::WrongManifest { .. }), "{error}");
    let error = with(&|m| m.libraries[0].size = LIBRARY_BYTES_MAX + 1, &library);
    assert!(matches!(error, BundleError::TooLarge { .. }), "{error}");
    let error = with(&|m| m.behaviours.push(m.behaviours[0].clone()), &library);
    assert!(matches!(error, BundleError::Description(_)), "{error}");
    let error = with(&|m| m.behaviours.clear(), &library);
    assert!(matches!(error, BundleError::WrongManifest { .. }), "{error}");
}

#[tokio::test]
async fn a_manifest_of_another_format_is_told_so() {
    let bundle = bundle("examples/counter-v1").await;
    let text = String::from_utf8(bundle.manifest_bytes().to_vec()).unwrap();
    let bytes = bundle.write().unwrap();
    let newer = text.replacen("\"format\":1", "\"format\":2", 1);
    let mut changed = bytes;
    changed[BLOCK..BLOCK + newer.len()].copy_from_slice(newer.as_bytes());
    let error = Bundle::read(&changed).unwrap_err();
    assert!(matches!(error, BundleError::Format { ours: 1, theirs: 2 }), "{error}");
}

fn rewrite_header(bytes: &[u8], at: usize, change: impl FnOnce(&mut tar::Header)) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    let mut header = tar::Header::new_ustar();
    header.as_mut_bytes().copy_from_slice(&bytes[at..at + BLOCK]);
    change(&mut header);
    header.set_cksum();
    bytes[at..at + BLOCK].copy_from_slice(header.as_bytes());
    bytes
}
