//! Versions side by side, and a state that goes from one to the next and back.

use counter_v1::{Add, Get, Total};
use counter_v2::Reset;
use midflight_dsu::code::{CodeError, CodeFormat as _};
use midflight_dsu::compiled::compiled;
use midflight_dsu::library::{LoadError, mapped};

use crate::fixtures::{Process, bundle, library_of, load, native, stored};

const V1: &str = "examples/counter-v1";
const V2: &str = "examples/counter-v2";

#[tokio::test]
async fn a_state_goes_to_the_next_version_and_back() {
    let folder = tempfile::tempdir().unwrap();
    let (v1, v2) = (load(folder.path(), V1).await, load(folder.path(), V2).await);
    let mut counter = Process::create(&*v1, 0, &());
    let _: Total = counter.call(&Add { seq: 1, amount: 5 });
    let error = counter.start(&Reset { seq: 2 }).unwrap_err();
    assert!(matches!(error, CodeError::Unknown(_)), "{error}");

    let state = counter.instance.save(1).unwrap();
    assert_eq!(counter.instance.size(), state.len() as u64);
    let mut counter = Process::restore(&*v2, 0, 1, &state).unwrap();
    let total: Total = counter.call(&Add { seq: 3, amount: 2 });
    assert_eq!(total, Total { seq: 3, total: 7, handled: 2, code_version: 2 });
    let total: Total = counter.call(&Reset { seq: 4 });
    assert_eq!(total.total, 0);

    let own = counter.instance.save(2).unwrap();
    assert_eq!(own, [0, 3, 1], "total, handled and resets");
    let back = counter.instance.save(1).unwrap();
    let mut counter = Process::restore(&*v1, 0, 1, &back).unwrap();
    let total: Total = counter.call(&Get { seq: 5 });
    assert_eq!(total, Total { seq: 5, total: 0, handled: 4, code_version: 1 });
    let newer = Process::restore(&*v1, 0, 2, &own).err().unwrap();
    assert!(matches!(newer, CodeError::Unknown(_)), "{newer}");
    let short = Process::restore(&*v1, 0, 1, &back[..1]).err().unwrap();
    assert!(matches!(short, CodeError::Decode(_)), "{short}");
    let long = Process::restore(&*v1, 0, 1, &own).err().unwrap();
    assert!(matches!(long, CodeError::Decode(_)), "{long}");
}

#[tokio::test]
async fn two_versions_answer_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let (v1, v2) = (load(folder.path(), V1).await, load(folder.path(), V2).await);
    assert_ne!(v1.id(), v2.id());
    let mut old = Process::create(&*v1, 0, &());
    let mut new = Process::create(&*v2, 0, &());
    for seq in 0..3 {
        let from_old: Total = old.call(&Add { seq, amount: 1 });
        let from_new: Total = new.call(&Add { seq, amount: 10 });
        assert_eq!((from_old.total, from_old.code_version), (seq as i64 + 1, 1));
        assert_eq!((from_new.total, from_new.code_version), (10 * (seq as i64 + 1), 2));
    }
    let mapped: Vec<_> = mapped().into_iter().map(|mapped| mapped.code).collect();
    assert!(mapped.contains(&v1.id()) && mapped.contains(&v2.id()));
}

#[tokio::test]
async fn compiled_in_or_loaded_the_bytes_are_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let loaded = load(folder.path(), V1).await;
    let linked = compiled::<(counter_v1::Counter,)>().unwrap();
    assert_eq!(loaded.description(), linked.description());
    let mut one = Process::create(&*loaded, 0, &());
    let mut other = Process::create(&*linked, 0, &());
    for seq in 0..5 {
        one.start(&Add { seq, amount: 3 }).unwrap();
        other.start(&Add { seq, amount: 3 }).unwrap();
        assert_eq!(one.effects, other.effects);
        assert!(!one.effects.is_empty());
    }
    let state = one.instance.save(1).unwrap();
    assert_eq!(state, other.instance.save(1).unwrap());
    let mut moved = Process::restore(&*linked, 0, 1, &state).unwrap();
    let total: Total = moved.call(&Get { seq: 9 });
    assert_eq!(total.total, 15);
}

#[tokio::test]
async fn the_same_library_loads_twice_and_stays_one() {
    let folder = tempfile::tempdir().unwrap();
    let one = load(folder.path(), V1).await;
    let again = load(folder.path(), V1).await;
    assert_eq!(one.id(), again.id());
    let mut counter = Process::create(&*again, 0, &());
    drop(one);
    let total: Total = counter.call(&Get { seq: 1 });
    assert_eq!(total.code_version, 1);
}

#[tokio::test]
async fn a_library_must_be_what_its_manifest_says() {
    let folder = tempfile::tempdir().unwrap();
    let (v1, v2) = (bundle(V1).await, bundle(V2).await);
    let library = stored(folder.path(), library_of(&v1));
    let format = native();
    let loaded = format.load(&library, &v2.manifest().description()).await;
    assert!(matches!(loaded, Err(LoadError::Description)), "{loaded:?}");
}

#[tokio::test]
async fn messages_that_cannot_be_read_are_errors_and_leave_the_state() {
    let folder = tempfile::tempdir().unwrap();
    let v1 = load(folder.path(), V1).await;
    let mut counter = Process::create(&*v1, 0, &());
    let _: Total = counter.call(&Add { seq: 1, amount: 5 });
    let before = counter.instance.save(1).unwrap();
    let host = crate::fixtures::TestHost::default();
    let call = midflight_dsu::code::Call {
        me: crate::fixtures::pid(1),
        from: None,
        reply_to: None,
        is_wanted: false,
        host: &host,
    };
    let mut effects = vec![1, 2, 3];
    for garbage in [b"".as_slice(), b"\xff\xff\xff", b"\x01\x02\x03\x04\x05"] {
        let error = counter.instance.start(0, garbage, &call, &mut effects).unwrap_err();
        assert!(matches!(error, CodeError::Decode(_)), "{error}");
        assert!(effects.is_empty());
    }
    assert_eq!(counter.instance.save(1).unwrap(), before);
    let missing = v1.create(7, b"", &call, &mut effects).err().unwrap();
    assert!(matches!(missing, CodeError::Unknown(_)), "{missing}");
}
