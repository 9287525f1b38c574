//! Credentials are replaced while endpoints and links live.

use midflight_transport_api::ConnectErrorKind;
use midflight_transport_api::conformance::Party;

use crate::certificates::{Authority, Issued};
use crate::net::{listening, refused, run, talk};

fn names(name: &str) -> [&str; 2] {
    [name, "127.0.0.1"]
}

#[test]
fn a_new_certificate() {
    run(async |net| {
        let issue = |name| Authority::common().issue(&names(name));
        let transport = net.transport(issue("before").credentials());
        let party = Party::with(&transport, listening(None), false).await;
        let [old, new] = [net.party(&issue("old")).await, net.party(&issue("new")).await];
        let living = old.connect(&party).await;
        assert_eq!(living.peer().identity.as_deref(), Some("before"));

        transport.replace(issue("after").credentials()).unwrap();
        talk(&*living, &party).await;
        assert_eq!(old.connect(&party).await.id(), living.id(), "the link stays");
        // As the one dialled, and as the one that dials.
        let link = new.connect(&party).await;
        assert_eq!(link.peer().identity.as_deref(), Some("after"));
        let newest = net.party(&issue("newest")).await;
        talk(&*party.connect(&newest).await, &newest).await;
        assert_eq!(newest.link(0).await.peer().identity.as_deref(), Some("after"));

        // A link made anew to the same endpoint, too.
        assert!(old.end().break_link(party.address()));
        let link = old.connect(&party).await;
        assert_eq!(link.peer().identity.as_deref(), Some("after"));
        talk(&*link, &party).await;
    });
}

/// The way from one authority to another: everybody believes both, then everybody shows the new
/// one's, then nobody believes the old one.
#[test]
fn a_new_authority() {
    run(async |net| {
        let (before, after) = (Authority::new("before"), Authority::new("after"));
        let transport = net.transport(before.issue(&names("node")).credentials());
        let party = Party::with(&transport, listening(None), false).await;
        let old = net.party(&before.issue(&names("old"))).await;
        let living = old.connect(&party).await;

        let both = before.issue(&names("node")).believing(&[&before, &after]);
        transport.replace(both.credentials()).unwrap();
        let moved = after.issue(&names("moved")).believing(&[&before, &after]);
        let moved = net.party(&moved).await;
        talk(&*moved.connect(&party).await, &party).await;

        transport.replace(after.issue(&names("node")).credentials()).unwrap();
        talk(&*living, &party).await;
        let late = net.party(&before.issue(&names("late"))).await;
        for (from, to) in [(&late, &party), (&party, &late)] {
            let error = refused(from, to).await;
            assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        }
        // The old link has ended and is not made again.
        assert!(old.end().break_link(party.address()));
        let error = refused(&old, &party).await;
        assert_eq!(*error.kind(), ConnectErrorKind::Refused, "{error}");
        let new = net.party(&after.issue(&names("new"))).await;
        talk(&*new.connect(&party).await, &party).await;
    });
}

#[test]
fn credentials_that_cannot_be_used_change_nothing() {
    run(async |net| {
        let issue = |name| Authority::common().issue(&names(name));
        let transport = net.transport(issue("before").credentials());
        let party = Party::with(&transport, listening(None), false).await;
        let foreign = Issued { key: issue("other").key, ..issue("after") };
        transport.replace(foreign.credentials()).unwrap_err();
        let link = net.party(&issue("peer")).await.connect(&party).await;
        assert_eq!(link.peer().identity.as_deref(), Some("before"));
    });
}
