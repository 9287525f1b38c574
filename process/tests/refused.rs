//! What does not compile, and what the compiler says about it.

#[test]
fn a_typed_handle_takes_nothing_but_its_protocol() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/refused/*.rs");
}
