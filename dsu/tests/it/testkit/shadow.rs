//! The new version as a shadow of the old one.

use midflight_dsu::testkit::{Difference, Input, Script, UpdateTest};

use super::behaviours::{FailsLate, Forgets, Good, Miscounts, Put, Scale, Shows};
use super::update;

/// Its version is told in each reply, and is to differ.
fn scales<New: midflight_abi::Behaviours>() -> UpdateTest {
    update::<(Scale,), New>("scale")
        .allowing(|it| it.place.starts_with("reply") && it.field == "by")
}

/// Has a scale of the old version with a shadow weigh a gram so often, and answers at which the shadow was found wrong.
fn weigh(test: &UpdateTest, before: u64, times: u64) -> Option<(u64, Vec<Difference>)> {
    let script = (0..before).fold(Script::new(&()), |script, _| script.call(&Put { grams: 1 }));
    let mut shadow = test.shadow(&script).unwrap();
    for n in 1..=times {
        let handled = shadow.give(&Input::call(&Put { grams: 1 }).unwrap()).unwrap();
        // Whatever the shadow does, the old version answers, and what is sent is its own.
        assert_eq!(handled.reply::<Shows>(), Some(Shows { grams: before + n, by: 1 }));
        assert_eq!(handled.outputs().len(), 2, "{handled:?}");
    }
    shadow.finding().map(|finding| (finding.input, finding.differences.clone()))
}

#[test]
fn a_good_version_is_found_in_nothing_and_what_is_allowed_is() {
    assert_eq!(weigh(&scales::<(Good,)>(), 3, 100), None);
    let (input, differences) = weigh(&update::<(Scale,), (Good,)>("scale"), 3, 100).unwrap();
    assert_eq!((input, differences.len()), (1, 1));
    assert_eq!(differences[0].to_string(), "reply scale.Shows: `by` is 2, and should be 1");
}

#[test]
fn a_wrong_reply_is_found_and_the_old_version_goes_on() {
    let (input, differences) = weigh(&scales::<(Miscounts,)>(), 2, 100).unwrap();
    assert_eq!(input, 2, "the fourth in all");
    assert_eq!(differences[0].to_string(), "reply scale.Shows: `grams` is 5, and should be 4");
}

#[test]
fn what_the_conversion_forgot_is_found_at_the_first_message() {
    assert_eq!(weigh(&scales::<(Forgets,)>(), 2, 100), None);
    assert_eq!(weigh(&scales::<(Forgets,)>(), 3, 100).unwrap().0, 1);
}

#[test]
fn a_fault_after_ten_thousand_messages_is_found() {
    assert_eq!(weigh(&scales::<(FailsLate,)>(), 0, 10_000), None);
    let (input, differences) = weigh(&scales::<(FailsLate,)>(), 0, 10_100).unwrap();
    assert_eq!(input, 10_001);
    assert!(
        differences[0].to_string().contains("no more room after 10001 puts"),
        "{differences:?}"
    );
}

#[test]
fn a_crash_is_found_and_sends_nothing() {
    let test = update::<(till::Till,), (till::v2::Till,)>("till").allowing(|it| it.field == "by");
    let mut shadow = test.shadow(&Script::new(&())).unwrap();
    for amount in [1, till::UNLUCKY, 2] {
        let pay = till::Pay { amount, receipt_to: None };
        let handled = shadow.give(&Input::call(&pay).unwrap()).unwrap();
        assert_eq!(handled.reply::<till::Total>().map(|total| total.by), Some(1));
    }
    let finding = shadow.finding().unwrap();
    assert_eq!(finding.input, 2, "{finding}");
    let told = finding.to_string();
    assert!(told.contains("handling is failed (panicked:"), "{told}");
    assert!(told.contains("and should be handled"), "{told}");
}

#[tokio::test]
async fn bundles_have_shadows_too() {
    let v1 = super::bundled("examples/counter-v1").await;
    let v2 = super::bundled("examples/counter-v2").await;
    let test = UpdateTest::new(v1, v2, "counter").unwrap();
    let mut shadow = test.shadow(&Script::new(&())).unwrap();
    let add = Input::call(&counter_v1::Add { seq: 1, amount: 5 }).unwrap();
    let handled = shadow.give(&add).unwrap();
    assert_eq!(handled.reply::<counter_v1::Total>().unwrap().code_version, 1);
    let finding = shadow.finding().unwrap().to_string();
    assert!(finding.contains("`code_version` is 2, and should be 1"), "{finding}");
}
