//! What nothing needs does not stay on the disk, and what may be needed does (R1).

use std::time::Duration;

use midflight_dsu::code_server::sweep::KEPT;
use midflight_dsu::protocol::Deployed;
use midflight_dsu::store::Store;
use midflight_tests::compiled_format::bundle;
use midflight_tests::steps::push_and_deploy;
use midflight_tests::world::simulate;

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn what_was_refused_goes_after_its_time_and_what_can_be_gone_back_to_stays() {
    simulate(5, |world| async move {
        let a = world.node("a", None).await;
        let address = |name| bundle(name, &world.key).0.address();
        let (v1, v2, v3) = (address("counter-v1"), address("counter-v2"), address("counter-v3"));
        for name in ["counter-v1", "counter-v2"] {
            let deployed = push_and_deploy(&a, name, &world).await;
            assert!(matches!(deployed, Deployed::Everywhere { .. }), "{deployed:?}");
        }
        let refused = push_and_deploy(&a, "counter-v3", &world).await;
        assert!(matches!(refused, Deployed::Refused(_)), "{refused:?}");

        let runtime = a.node().runtime();
        let store = Store::new(runtime, "/a");
        let has = async |address| store.bundles().await.unwrap().contains(&address);
        runtime.sleep(KEPT - MINUTE).await;
        assert!(has(v3).await, "who pushes it again need not send it");
        runtime.sleep(30 * MINUTE).await;
        assert!(!has(v3).await && has(v1).await && has(v2).await);
        // What is asked for in between has its time again.
        let again = push_and_deploy(&a, "counter-v3", &world).await;
        assert!(matches!(again, Deployed::Refused(_)), "{again:?}");
        runtime.sleep(KEPT - MINUTE).await;
        assert!(a.has(v3).await);
        runtime.sleep(KEPT - MINUTE).await;
        assert!(has(v3).await);
        runtime.sleep(30 * MINUTE).await;
        assert!(!has(v3).await);
    });
}
