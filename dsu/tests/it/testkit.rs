//! The kit that authors test their updates with, on behaviours of ours and on some that are wrong on purpose.

mod behaviours;
mod points;
mod round_trip;
mod shadow;

use std::sync::Arc;

use midflight_abi::Behaviours;
use midflight_dsu::code::Code;
use midflight_dsu::compiled::compiled;
use midflight_dsu::testkit::UpdateTest;

/// The update of a behaviour, both versions compiled in.
fn update<Old: Behaviours, New: Behaviours>(behaviour: &str) -> UpdateTest {
    UpdateTest::new(compiled::<Old>().unwrap(), compiled::<New>().unwrap(), behaviour).unwrap()
}

/// The code of the bundle that is built of the crate in that folder, loaded from its file.
async fn bundled(path: &str) -> Arc<dyn Code> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("built.mfb");
    std::fs::write(&file, crate::fixtures::bundle(path).await.write().unwrap()).unwrap();
    midflight_dsu::testkit::bundle(&file).unwrap()
}
