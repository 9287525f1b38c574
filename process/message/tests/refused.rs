//! What does not compile, and what the compiler says about it.

#[test]
fn mistakes_are_told_at_compile_time() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/refused/*.rs");
}
