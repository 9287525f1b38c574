//! What a node keeps is under its hash, and is hashed when it is taken out.

use midflight_dsu::store::{Store, StoreError};
use midflight_runtime::{Handle, SimRuntime, TokioRuntime};

use crate::fixtures::bundle;

#[tokio::test]
async fn bundles_and_libraries_come_back() {
    let bundle = bundle("examples/counter-v1").await;
    let folder = tempfile::tempdir().unwrap();
    let on_disk = TokioRuntime::current();
    let in_memory: Handle = SimRuntime::new(1);
    for runtime in [on_disk, in_memory] {
        let store = Store::new(&runtime, folder.path());
        assert!(matches!(store.bundle(bundle.address()).await, Err(StoreError::Missing { .. })));
        store.put_bundle(&bundle).await.unwrap();
        assert_eq!(store.bundles().await.unwrap(), [bundle.address()]);
        let back = store.bundle(bundle.address()).await.unwrap();
        assert_eq!(back.manifest(), bundle.manifest());
        let library = store.put_library(b"library").await.unwrap();
        assert_eq!(store.put_library(b"library").await.unwrap(), library);
        assert_eq!(store.library(library.id).await.unwrap(), library);
        store.remove_bundle(bundle.address()).await.unwrap();
        store.remove_bundle(bundle.address()).await.unwrap();
        assert!(store.bundles().await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_damaged_library_is_seen_and_kept_anew() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::new(&TokioRuntime::current(), folder.path());
    let library = store.put_library(b"library").await.unwrap();
    std::fs::write(&library.path, b"damaged").unwrap();
    assert!(matches!(store.library(library.id).await, Err(StoreError::Damaged { .. })));
    store.put_library(b"library").await.unwrap();
    assert_eq!(store.library(library.id).await.unwrap(), library);
}
