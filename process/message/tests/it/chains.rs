//! Messages of another version, and the functions by which they become the reader's.

use std::collections::BTreeMap;

use midflight_message::{
    Certainty, DecodeReason, Message, MismatchReason, Resolution, Schema, TypeInfo,
    decode_resolved, encode, resolve, translate,
};
use serde::{Deserialize, Serialize};

fn bytes(message: &impl Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(message, &mut bytes).unwrap();
    bytes
}

fn chain<W: Message, R: Message>() -> Resolution {
    let resolution = resolve(W::type_info(), R::type_info());
    assert!(matches!(resolution, Resolution::Chain(_)), "{resolution:?}");
    resolution
}

fn read<W: Message, R: Message>(theirs: &W) -> Result<R, midflight_message::DecodeError> {
    let resolution = chain::<W, R>();
    let read = decode_resolved::<R>(&bytes(theirs), &resolution);
    let translated = translate::<R>(R::type_info(), &bytes(theirs), &resolution);
    assert_eq!(translated.ok(), read.as_ref().ok().map(bytes), "as bytes, the same");
    read
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug, Clone)]
#[message(name = "c.Add", version = 1)]
struct AddV1 {
    amount: i32,
}

/// The same version from another program: a field less, and a narrower one.
#[derive(Serialize, Deserialize, Message)]
#[message(name = "c.Add", version = 1)]
struct TheirV1 {
    note: String,
    amount: i16,
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "c.Add", version = 2, from(AddV1))]
struct AddV2 {
    cents: i64,
}

impl From<AddV1> for AddV2 {
    fn from(old: AddV1) -> Self {
        Self { cents: i64::from(old.amount) * 100 }
    }
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "c.Add", version = 3, try_from(AddV2 = Add::from_v2))]
struct Add {
    cents: u64,
}

impl Add {
    fn from_v2(old: AddV2) -> Result<Self, String> {
        let cents =
            old.cents.try_into().map_err(|_negative| format!("{} is negative", old.cents))?;
        Ok(Self { cents })
    }
}

#[test]
fn one_step() {
    assert_eq!(chain::<AddV1, AddV2>().certainty(), Certainty::Always);
    assert_eq!(read::<_, AddV2>(&AddV1 { amount: 7 }).unwrap(), AddV2 { cents: 700 });
}

#[test]
fn version_by_version_from_a_structure_that_is_not_quite_ours() {
    let theirs = TheirV1 { note: "gone".to_owned(), amount: 7 };
    assert_eq!(read::<_, Add>(&theirs).unwrap(), Add { cents: 700 });
    let resolution = chain::<TheirV1, Add>();
    let Resolution::Chain(plan) = &resolution else { panic!("{resolution:?}") };
    assert_eq!(plan.converted()[0].to_string(), "c.Add is converted from version 1 to 3");
}

#[test]
fn a_step_that_refuses_is_predicted_and_says_why() {
    let Certainty::MayFail(risk) = chain::<AddV1, Add>().certainty() else { panic!() };
    assert_eq!(risk.to_string(), "the conversion from c.Add@2 to c.Add@3 refuses it");
    let error = read::<_, Add>(&AddV1 { amount: -7 }).unwrap_err();
    assert_eq!(
        error.to_string(),
        "c.Add@3 cannot be decoded: the conversion from version 2 to 3 refused it: -700 is negative"
    );
}

#[test]
fn what_no_function_leads_to_is_incompatible() {
    for (theirs, ours) in
        [(Add::type_info(), AddV1::type_info()), (Add::type_info(), AddV2::type_info())]
    {
        let Resolution::Incompatible(mismatch) = resolve(theirs, ours) else { panic!() };
        assert_eq!(mismatch.why, MismatchReason::Version);
        assert!(
            mismatch.to_string().contains("theirs is version 3, ours is version"),
            "{mismatch}"
        );
    }
    // What someone else sent has no functions.
    let parsed = TypeInfo::parse("c.Add", 3, Add::type_info().schema()).unwrap();
    let Resolution::Incompatible(mismatch) = resolve(AddV1::type_info(), &parsed) else { panic!() };
    assert_eq!(mismatch.why, MismatchReason::Version);
}

#[test]
fn the_old_type_must_still_be_readable() {
    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Add", version = 1)]
    struct Odd {
        amount: String,
    }
    let Resolution::Incompatible(mismatch) = resolve(Odd::type_info(), Add::type_info()) else {
        panic!()
    };
    assert_eq!(mismatch.to_string(), "c.Add: field `amount`: theirs is string, ours is i32");
}

/// An older program that was told of the newer version.
#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "c.Add", version = 1, from(AddV2 = Older::back))]
struct Older {
    amount: i32,
}

impl Older {
    fn back(new: AddV2) -> Self {
        Self { amount: (new.cents / 100).try_into().unwrap_or(i32::MAX) }
    }
}

#[test]
fn an_older_reader_may_have_the_way_back() {
    assert_eq!(read::<_, Older>(&AddV2 { cents: 250 }).unwrap(), Older { amount: 2 });
}

#[derive(Serialize, Deserialize, Message)]
#[message(name = "c.Order")]
struct TheirOrder {
    first: AddV1,
    lines: Vec<(u8, AddV1)>,
    by_name: BTreeMap<String, Option<AddV1>>,
    choice: TheirChoice,
    late: AddV1,
    as_it_was: AddV1,
}

#[derive(Serialize, Deserialize, Schema)]
enum TheirChoice {
    None,
    One(AddV1),
    Two(u8, AddV1),
    Named { add: AddV1 },
}

#[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
#[message(name = "c.Order")]
struct Order {
    lines: Vec<(u16, Add)>,
    #[serde(alias = "first")]
    only: Wrapped,
    choice: Choice,
    by_name: BTreeMap<String, Option<Add>>,
    late: Option<Add>,
    as_it_was: AddV1,
}

#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
struct Wrapped(Add);

#[derive(Serialize, Deserialize, Schema, PartialEq, Debug)]
enum Choice {
    Named { add: Add },
    Two(u8, Add),
    One(Add),
    None,
}

fn order(choice: TheirChoice, amount: i32) -> TheirOrder {
    let add = AddV1 { amount };
    TheirOrder {
        first: AddV1 { amount: 1 },
        lines: vec![(1, AddV1 { amount: 2 }), (2, add.clone())],
        by_name: BTreeMap::from([
            ("a".to_owned(), Some(AddV1 { amount: 3 })),
            ("b".to_owned(), None),
        ]),
        choice,
        late: AddV1 { amount: 4 },
        as_it_was: AddV1 { amount: 5 },
    }
}

#[test]
fn parts_are_converted_where_they_are() {
    let add = |cents| Add { cents };
    let choices = [
        (TheirChoice::None, Choice::None),
        (TheirChoice::One(AddV1 { amount: 1 }), Choice::One(add(100))),
        (TheirChoice::Two(9, AddV1 { amount: 1 }), Choice::Two(9, add(100))),
        (TheirChoice::Named { add: AddV1 { amount: 1 } }, Choice::Named { add: add(100) }),
    ];
    for (theirs, ours) in choices {
        let expected = Order {
            lines: vec![(1, add(200)), (2, add(600))],
            only: Wrapped(add(100)),
            choice: ours,
            by_name: BTreeMap::from([("a".to_owned(), Some(add(300))), ("b".to_owned(), None)]),
            late: Some(add(400)),
            as_it_was: AddV1 { amount: 5 },
        };
        assert_eq!(read::<_, Order>(&order(theirs, 6)).unwrap(), expected);
    }
}

#[test]
fn a_part_that_is_refused_has_its_path() {
    let error = read::<_, Order>(&order(TheirChoice::None, -6)).unwrap_err();
    assert_eq!(error.field_path, "lines[].1");
    assert!(matches!(error.reason, DecodeReason::NotConverted { from: 2, to: 3, .. }), "{error}");
    let resolution = chain::<TheirOrder, Order>();
    let Resolution::Chain(plan) = &resolution else { panic!() };
    let paths: Vec<_> = plan.converted().iter().map(|one| one.path.as_str()).collect();
    let expected = [
        "first",
        "lines[].1",
        "by_name{}",
        "choice.One",
        "choice.Two.1",
        "choice.Named.add",
        "late",
    ];
    assert_eq!(paths, expected);
    assert!(plan.risks().iter().map(|risk| risk.path.as_str()).eq(expected), "{:?}", plan.risks());
}

/// A newtype is a named type, too, and options may have come or gone around it.
mod wrappers {
    use super::*;

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Amount", version = 1)]
    struct AmountV1(u32);

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "c.Amount", version = 2, from(AmountV1 = Amount::times_ten))]
    struct Amount(u64);

    impl Amount {
        fn times_ten(old: AmountV1) -> Self {
            Self(u64::from(old.0) * 10)
        }
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Both")]
    struct Theirs {
        came: AmountV1,
        went: Option<AmountV1>,
    }

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "c.Both")]
    struct Ours {
        went: Amount,
        came: Option<Amount>,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Around", version = 5)]
    struct TheirAround(AmountV1);

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "c.Around", version = 5)]
    struct Around(Amount);

    #[test]
    fn are_seen_through() {
        let theirs = Theirs { came: AmountV1(1), went: Some(AmountV1(2)) };
        let ours = Ours { came: Some(Amount(10)), went: Amount(20) };
        assert_eq!(read::<_, Ours>(&theirs).unwrap(), ours);
        let error = read::<_, Ours>(&Theirs { came: AmountV1(1), went: None }).unwrap_err();
        assert_eq!((error.field_path.as_str(), error.reason), ("went", DecodeReason::Absent));
        assert_eq!(read::<_, Around>(&TheirAround(AmountV1(3))).unwrap(), Around(Amount(30)));
        assert_eq!(read::<_, Amount>(&AmountV1(3)).unwrap(), Amount(30));
    }

    #[test]
    fn a_version_within_an_option_of_the_readers_is_not_overlooked() {
        #[derive(Serialize, Deserialize, Message)]
        #[message(name = "c.Both")]
        struct Without {
            came: Option<Other>,
            #[serde(default)]
            went: u8,
        }
        #[derive(Serialize, Deserialize, Message)]
        #[message(name = "c.Amount", version = 9)]
        struct Other(u32);
        #[derive(Serialize, Deserialize, Message)]
        #[message(name = "c.Both")]
        struct Short {
            came: AmountV1,
        }
        let resolution = resolve(Short::type_info(), Without::type_info());
        let Resolution::Incompatible(mismatch) = resolution else { panic!("{resolution:?}") };
        assert_eq!(
            mismatch.to_string(),
            "c.Both: field `came`: theirs is c.Amount@1, ours is c.Amount@9"
        );
    }
}

/// Old types whose parts are the newest again: each level is converted where it is.
mod circles {
    use super::*;

    /// What the writer has.
    #[derive(Serialize, Deserialize, Message, Clone)]
    #[message(name = "c.Tree", version = 1)]
    struct Theirs {
        value: u8,
        kids: Vec<Theirs>,
    }

    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Tree", version = 1)]
    struct TreeV1 {
        value: u8,
        kids: Vec<Tree>,
    }

    #[derive(Serialize, Deserialize, Message, PartialEq, Debug)]
    #[message(name = "c.Tree", version = 2, from(TreeV1 = Tree::from_v1))]
    struct Tree {
        kids: Vec<Tree>,
        sum: u64,
    }

    impl Tree {
        fn from_v1(old: TreeV1) -> Self {
            let below: u64 = old.kids.iter().map(|kid| kid.sum).sum();
            Self { sum: below + u64::from(old.value), kids: old.kids }
        }
    }

    fn leaf(value: u8) -> Theirs {
        Theirs { value, kids: Vec::new() }
    }

    #[test]
    fn each_level_is_converted() {
        let theirs =
            Theirs { value: 1, kids: vec![leaf(2), Theirs { value: 3, kids: vec![leaf(4)] }] };
        let tree = read::<_, Tree>(&theirs).unwrap();
        assert_eq!(tree.sum, 10);
        assert_eq!(tree.kids[1].kids[0].sum, 4);
    }

    #[test]
    fn depth_is_bounded() {
        let deep =
            |levels| (0..levels).fold(leaf(0), |kid, _| Theirs { value: 1, kids: vec![kid] });
        assert_eq!(read::<_, Tree>(&deep(60)).unwrap().sum, 60);
        let error = read::<_, Tree>(&deep(120)).unwrap_err();
        assert_eq!(error.reason, DecodeReason::TooDeep);
    }
}

/// A reader whose options have no end must not be taken for a match.
#[test]
fn a_wrapper_that_never_ends_fits_nothing() {
    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Nest")]
    struct Theirs {
        a: Empty,
    }
    #[derive(Serialize, Deserialize, Schema)]
    struct Empty {}
    #[derive(Serialize, Deserialize, Message)]
    #[message(name = "c.Nest")]
    struct Ours {
        a: Nest,
    }
    #[derive(Serialize, Deserialize, Schema)]
    struct Nest(Option<Box<Nest>>);
    let resolution = resolve(Theirs::type_info(), Ours::type_info());
    let Resolution::Incompatible(mismatch) = resolution else { panic!("{resolution:?}") };
    assert_eq!(mismatch.why, MismatchReason::TooComplex);
}
