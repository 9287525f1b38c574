//! `docs/cloud-haskell.md` keeps its word: it cites only tests that exist, and names only operations
//! that do.

use std::collections::BTreeSet;

use crate::semantics::{Tests, find, quoted};
use crate::tidy::{files, repository};

/// Words in the column "ours" that are Rust's or its usual crates'.
const NOT_OURS: [&str; 8] =
    ["Drop", "Result", "await", "join", "join_all", "midflight_runtime", "select", "tracing"];

/// The rows of the page's tables: what their table is about, and the two cells.
fn rows(page: &str) -> Vec<(String, String, String)> {
    let mut rows = Vec::new();
    let mut heading = String::new();
    for line in page.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        match cells[..] {
            [left, "ours" | "our test, or why there is none"] => heading = left.to_owned(),
            ["---|---"] => {}
            [left, right] if !left.is_empty() && !right.is_empty() => {
                rows.push((heading.clone(), left.to_owned(), right.to_owned()));
            }
            _ => panic!("not a row of two cells: {line}"),
        }
    }
    rows
}

fn page() -> String {
    std::fs::read_to_string(repository().join("docs/cloud-haskell.md")).unwrap()
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// What is public in the crates that programs see, and the variants of their enums.
fn public_words() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (path, text) in files("rs") {
        let is_seen = ["process/", "dsu/"].iter().any(|folder| path.starts_with(folder));
        if !is_seen || !path.contains("src/") {
            continue;
        }
        for line in text.lines().map(str::trim_start) {
            let is_variant = line.starts_with(|c: char| c.is_ascii_uppercase());
            if is_variant || line.starts_with("pub ") {
                found.extend(
                    words(line.split(['(', '{']).next().unwrap_or_default()).map(String::from),
                );
            }
        }
    }
    found
}

/// What is wrong with a page.
fn wrong_in(page: &str) -> Vec<String> {
    let (tests, public) = (Tests::of_the_repository(), public_words());
    let mut wrong = Vec::new();
    for (heading, left, right) in rows(page) {
        for quoted in quoted(&right) {
            if quoted.starts_with("midflight-") && quoted.contains("::") {
                if let Err(why) = find(quoted, &tests) {
                    wrong.push(format!("{left}: `{quoted}` {why}"));
                }
            } else if heading == "theirs" {
                let missing = words(quoted).filter(|word| {
                    !quoted.starts_with("midflight-")
                        && !NOT_OURS.contains(word)
                        && !public.contains(*word)
                });
                wrong.extend(missing.map(|word| format!("{left}: there is no `{word}`")));
            }
        }
    }
    wrong
}

#[test]
fn what_the_page_names_exists() {
    let page = page();
    let wrong = wrong_in(&page);
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(rows(&page).len() > 250, "the tables were not found");
}

/// Their timers are tried to the nanosecond, which takes a clock that does as it is told.
const IN_THE_SIMULATOR_ALONE: [&str; 1] = ["timers"];

/// What stands in `simulated! { … }` in a file of cases.
fn simulated(text: &str) -> String {
    let mut inside = String::new();
    for (at, before) in text.match_indices("\nsimulated! {") {
        let mut open = 0_usize;
        for c in text[at + before.len() - 1..].chars() {
            open = match c {
                '{' => open + 1,
                '}' => open - 1,
                _ => open,
            };
            if open == 0 {
                break;
            }
            inside.push(c);
        }
    }
    inside
}

/// The cases of theirs are tried in memory, over TCP and over TLS.
#[test]
fn what_stands_for_their_cases_runs_on_every_transport() {
    let read = |path: &str| std::fs::read_to_string(repository().join(path)).ok();
    let transports = read("process/tests/transports/main.rs").unwrap();
    let (mut wrong, mut tried) = (BTreeSet::new(), 0);
    for (_, _, right) in rows(&page()).into_iter().filter(|(heading, _, _)| heading != "theirs") {
        for cited in quoted(&right).filter_map(|cited| cited.strip_prefix("midflight-process::")) {
            let Some((module, test)) = cited.split_once("::") else { continue };
            // What has no transport, such as the supervisors' kernel, is tried where it is.
            let Some(text) = read(&format!("process/tests/it/{module}.rs")) else { continue };
            tried += 1;
            let everywhere = transports.contains(&format!("../it/{module}.rs\""))
                && !simulated(&text).contains(&format!("fn {test}("));
            if !everywhere && !IN_THE_SIMULATOR_ALONE.contains(&module) {
                wrong.insert(cited.to_owned());
            }
        }
    }
    assert!(wrong.is_empty(), "these run in the simulator alone: {wrong:#?}");
    assert!(tried > 150, "the citations were not found");
}

#[test]
fn what_does_not_exist_is_noticed() {
    let table = |left: &str, right: &str| {
        let head = ["theirs | ours", "a suite | our test, or why there is none"];
        let head = head[usize::from(right.contains("::"))];
        wrong_in(&format!("| {head} |\n|---|---|\n| {left} | {right} |")).len()
    };
    assert_eq!(table("`send`", "`send`, `Node::spawn`"), 0);
    assert_eq!(table("`send`", "`send_by_pigeon`"), 1);
    let here = "midflight-tests::cloud_haskell::";
    assert_eq!(table("a case", &format!("`{here}what_does_not_exist_is_noticed`")), 0);
    assert_eq!(table("a case", &format!("`{here}what_nobody_wrote`")), 1);
}
