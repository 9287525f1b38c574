//! The Rust in `docs/writing-a-transport.md` is a part of this example, as it is.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::fs;
use std::path::Path;

/// What stands between ```` ```rust ```` and ```` ``` ````.
fn blocks(page: &str) -> Vec<&str> {
    let fenced = page.split("\n```rust\n").skip(1);
    fenced.map(|rest| rest.split("\n```").next().unwrap()).collect()
}

/// The lines without their indentation: a block shows a piece from further in.
fn lines(text: &str) -> String {
    text.lines().map(|line| format!("\n{}", line.trim())).collect::<String>() + "\n"
}

#[test]
fn every_block_of_the_page_is_in_the_example() {
    let example = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut sources = String::new();
    for file in [
        "src/lib.rs",
        "src/place.rs",
        "src/main.rs",
        "tests/shared/folder.rs",
        "tests/conformance.rs",
        "tests/leaks.rs",
    ] {
        sources += &lines(&fs::read_to_string(example.join(file)).unwrap());
    }
    let page = fs::read_to_string(example.join("../../docs/writing-a-transport.md")).unwrap();
    let blocks = blocks(&page);
    assert!(blocks.len() > 10, "the page's blocks were not found");
    assert_eq!(page.matches("\n```").count(), 2 * blocks.len(), "there are blocks of another kind");
    for block in blocks {
        assert!(sources.contains(&lines(block)), "this is not in the example:\n{block}");
    }
}
