//! A library brings what has another form into its own, whatever the bytes; one of an earlier ABI does not.

use midflight_abi::Description;
use midflight_dsu::code::{Code, CodeError, CodeFormat as _, Reader};
use midflight_dsu::compare::{Conflict, compare};
use midflight_message::{Message, Schema, TypeInfo, decode};
use serde::{Deserialize, Serialize};

use crate::checks::patched;
use crate::fixtures::{Process, bundle, bytes, library_of, load, native, stored};

const V1: &str = "tests/fixtures/clerk-v1";
const V2: &str = "tests/fixtures/clerk-v2";

fn index(code: &dyn Code, name: &str) -> u32 {
    let accepts = &code.description().behaviours[0].accepts;
    accepts.iter().position(|accept| accept.message.name() == name).unwrap() as u32
}

#[tokio::test]
async fn a_library_of_an_earlier_abi_reads_only_its_own_form() {
    let folder = tempfile::tempdir().unwrap();
    let (v1, v2) = (load(folder.path(), V1).await, load(folder.path(), V2).await);
    let conflicts = |new: &dyn Code| {
        let compared = compare(v1.description(), new.description());
        compared.conflicts().cloned().collect::<Vec<_>>()
    };
    assert_eq!(conflicts(&*v2), []);

    // The table as it was in minor 1: shorter.
    let newest = bundle(V2).await;
    let library = patched(&patched(library_of(&newest), 12, 1), 16, 144);
    let described = Description::new(newest.manifest().behaviours.clone(), None);
    let old = native().load(&stored(folder.path(), &library), &described).await.unwrap();
    assert_eq!(old.description().conversions, None);
    let note = clerk_v1::Note { text: "old".into(), weight: 1 };
    let place = Reader::Message(index(&*old, "clerk.Note"));
    let written = clerk_v1::Note::type_info();
    let refused = old.translate(0, place, written, &bytes(&note));
    assert_eq!(refused, Err(CodeError::OwnFormOnly));
    let conflicts = conflicts(&*old);
    let note = Conflict::OtherForm { type_name: "clerk.Note".into() };
    assert!(conflicts.contains(&note), "{conflicts:?}");
    // What is its own it still takes.
    let mut clerk = Process::create(&*old, 0, &());
    let order = clerk_v2::Order { item: "tea".into(), price: (1, 2) };
    let receipt: clerk_v2::Receipt = clerk.call(&order);
    assert_eq!(receipt.number, 1);
}

#[tokio::test]
async fn a_library_brings_what_was_written_into_its_own_form() {
    let folder = tempfile::tempdir().unwrap();
    let v2 = load(folder.path(), V2).await;
    let translate =
        |reader, written: &TypeInfo, value: &[u8]| v2.translate(0, reader, written, value);
    let order = Reader::Message(index(&*v2, "clerk.Order"));
    let old = bytes(&clerk_v1::Order { item: "tea".into(), pence: 275 });
    for _ in 0..2 {
        let ours = translate(order, clerk_v1::Order::type_info(), &old).unwrap();
        assert_eq!(decode::<clerk_v2::Order>(&ours).unwrap().price, (2, 75));
    }
    let receipt = bytes(&clerk_v1::Receipt { number: 3 });
    let ours = translate(Reader::Reply(0), clerk_v1::Receipt::type_info(), &receipt).unwrap();
    assert_eq!(decode::<clerk_v2::Receipt>(&ours).unwrap().number, 3);

    // Everywhere something else: an error, and never a panic.
    for cut in 0..old.len() {
        let cut = translate(order, clerk_v1::Order::type_info(), &old[..cut]);
        assert!(matches!(cut, Err(CodeError::Decode(_))), "{cut:?}");
    }
    let long = [&*old, b"x"].concat();
    let long = translate(order, clerk_v1::Order::type_info(), &long);
    assert!(matches!(long, Err(CodeError::Decode(_))), "{long:?}");
    let other = translate(order, clerk_v1::Note::type_info(), &old);
    assert!(
        matches!(&other, Err(CodeError::Decode(why)) if why.contains("clerk.Note")),
        "{other:?}"
    );
    for reader in [Reader::Message(99), Reader::Reply(1), Reader::State(9)] {
        let nothing = translate(reader, clerk_v1::Order::type_info(), &old);
        assert!(matches!(nothing, Err(CodeError::Unknown(_))), "{nothing:?}");
    }
    let none = v2.translate(7, order, clerk_v1::Order::type_info(), &old);
    assert!(matches!(none, Err(CodeError::Unknown(_))), "{none:?}");
}

/// A writer whose lists are said to be long, and whose schema is one of very many.
#[derive(Serialize, Deserialize, Schema)]
struct Claims {
    item: String,
    pence: u64,
    rest: Vec<()>,
}

#[tokio::test]
async fn a_writer_that_claims_much_gets_nothing_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let v2 = load(folder.path(), V2).await;
    let order = Reader::Message(index(&*v2, "clerk.Order"));
    let claims = TypeInfo::of_schema::<Claims>("clerk.Order", 1).unwrap();
    // Three times an end without end: of the list, of the text, of the number.
    for value in
        [b"\x01a\x05\xff\xff\xff\xff\xff\xff\xff\x7f".as_slice(), b"\xff\xff\xff\x7f", b"\x01a\xff"]
    {
        let refused = v2.translate(0, order, &claims, value);
        assert!(matches!(refused, Err(CodeError::Decode(_))), "{refused:?}");
    }
    // More forms than are kept, each of them read, the first once more in the end.
    for number in (0..300).chain([0]) {
        let schema = format!(
            "#0\n#0 = clerk.Order@1: struct {{ item: string, n{number}: u8, pence: u64 }}\n"
        );
        let written = TypeInfo::parse("clerk.Order", 1, &schema).unwrap();
        let ours = v2.translate(0, order, &written, b"\x01a\x07\x05").unwrap();
        assert_eq!(decode::<clerk_v2::Order>(&ours).unwrap().price, (0, 5));
    }
}
