//! SEMANTICS.md keeps its word: every guarantee is there, says what shows it or what is missing,
//! and cites only tests that exist.
//!
//! A citation is `package::module::test`: a function with `#[test]` in a file of that package whose
//! path has that module in it, or a case of the transport suite.

use std::collections::BTreeMap;
use std::path::Path;

use crate::tidy::{files, repository};

/// The families, and how many guarantees each has.
const FAMILIES: [(char, u32); 6] = [('T', 13), ('V', 4), ('P', 13), ('U', 11), ('R', 7), ('M', 4)];

/// One guarantee's part of the page.
struct Section {
    name: String,
    text: String,
}

impl Section {
    /// What follows a line that begins with `label`, to the next label or the end.
    fn part(&self, label: &str) -> Option<&str> {
        let at = self.text.find(&format!("\n{label}"))? + 1 + label.len();
        let rest = &self.text[at..];
        let end = ["\nShown by:", "\nNot yet:"].iter().filter_map(|next| rest.find(next)).min();
        Some(rest[..end.unwrap_or(rest.len())].trim())
    }
}

/// Every `### T1 …` of the page.
fn sections() -> Vec<Section> {
    let page = std::fs::read_to_string(repository().join("SEMANTICS.md")).unwrap();
    let mut sections = Vec::new();
    for line in page.lines() {
        if let Some(heading) = line.strip_prefix("### ") {
            let name = heading.split_whitespace().next().unwrap_or_default().to_owned();
            sections.push(Section { name, text: String::new() });
        } else if line.starts_with("## ") {
            sections.push(Section { name: String::new(), text: String::new() });
        } else if let Some(section) = sections.last_mut() {
            section.text.push_str(line);
            section.text.push('\n');
        }
    }
    sections.retain(|section| !section.name.is_empty());
    sections
}

/// What is between backticks.
pub(crate) fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn every_guarantee_is_there_once_and_says_what_shows_it() {
    let sections = sections();
    let names: Vec<_> = sections.iter().map(|section| section.name.clone()).collect();
    let all = FAMILIES.iter().flat_map(|(family, count)| {
        let of_family = 1..=*count;
        of_family.map(move |number| format!("{family}{number}"))
    });
    assert_eq!(names, all.collect::<Vec<_>>());
    let mut wrong = Vec::new();
    for section in &sections {
        let shown = section.part("Shown by:");
        if shown.is_none() && section.part("Not yet:").is_none() {
            wrong.push(format!("{} says neither what shows it nor what is missing", section.name));
        }
        if shown.is_some_and(|shown| quoted(shown).next().is_none()) {
            wrong.push(format!("{}: \"Shown by:\" shows nothing", section.name));
        }
        if section.part("Not yet:") == Some("") {
            wrong.push(format!("{}: \"Not yet:\" says nothing", section.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_citation_is_a_test_that_exists() {
    let tests = Tests::of_the_repository();
    let mut wrong = Vec::new();
    for section in sections() {
        for cited in quoted(section.part("Shown by:").unwrap_or_default()) {
            // A command; those of the README are run by hand and in CI.
            if cited.starts_with("cargo ") {
                continue;
            }
            if let Err(why) = find(cited, &tests) {
                wrong.push(format!("{}: `{cited}` {why}", section.name));
            }
        }
        for cited in quoted(section.part("Not yet:").unwrap_or_default()) {
            if cited.starts_with("midflight-") && cited.contains("::") {
                wrong.push(format!("{}: `{cited}` is a test under \"Not yet:\"", section.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Every promise with a mutant, by `tests/mutants/*.patch`: its test is cited here and what it changes is
/// still there. `tests/mutants.sh` shows that the test fails with it.
#[test]
fn promises_without_a_mutant_are_called_unproven() {
    let tests = Tests::of_the_repository();
    let (mut unproven, mut wrong) = (Vec::new(), Vec::new());
    for section in sections() {
        let path = format!("tests/mutants/{}.patch", section.name);
        let Ok(patch) = std::fs::read_to_string(repository().join(&path)) else {
            unproven.push(section.name);
            continue;
        };
        let line = |label: &str| patch.lines().find_map(|line| line.strip_prefix(label));
        let test = line("Test: ").unwrap_or_default();
        if !quoted(section.part("Shown by:").unwrap_or_default()).any(|cited| cited == test) {
            wrong.push(format!("{path}: `{test}` is not cited under {}", section.name));
        }
        if let Err(why) = find(test, &tests) {
            wrong.push(format!("{path}: `{test}` {why}"));
        }
        let source = line("--- a/").map(|path| repository().join(path));
        let source = source.and_then(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
        let (_, changes) = patch.split_once("\n@@").unwrap_or_default();
        let before: String = changes.lines().skip(1).filter_map(unchanged_or_removed).collect();
        if before.is_empty() || !source.contains(&before) {
            wrong.push(format!("{path} does not apply any more"));
        }
    }
    let page = std::fs::read_to_string(repository().join("SEMANTICS.md")).unwrap();
    let (_, list) = page.split_once("Unproven: no mutant breaks ").unwrap_or_default();
    let (list, _) = list.split_once(".\n").unwrap_or_default();
    let named: Vec<_> = list.split([',', ' ', '\n']).filter(|name| !name.is_empty()).collect();
    if named != unproven {
        wrong.push(format!("SEMANTICS.md must call unproven: {}", unproven.join(", ")));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// A line of a patch as it is before the patch.
fn unchanged_or_removed(line: &str) -> Option<String> {
    let (first, rest) = line.split_at_checked(1)?;
    matches!(first, " " | "-").then(|| format!("{rest}\n"))
}

#[test]
fn what_is_no_test_is_not_found() {
    let tests = Tests::of_the_repository();
    let here = "midflight-tests::semantics::";
    for (cited, is_good) in [
        (format!("{here}what_is_no_test_is_not_found"), true),
        (String::from("midflight-transport-api::failing::break_link"), true),
        (format!("{here}what_nobody_wrote"), false),
        (format!("{here}sections"), false),
        (String::from("midflight-tests::elsewhere::what_is_no_test_is_not_found"), false),
        (String::from("midflight-nowhere::semantics::what_is_no_test_is_not_found"), false),
        (String::from("just words"), false),
    ] {
        assert_eq!(find(&cited, &tests).is_ok(), is_good, "{cited}");
    }
}

/// What citations are looked for in.
pub(crate) struct Tests {
    packages: BTreeMap<String, String>,
    cases: Vec<String>,
    /// Every file with its text.
    texts: Vec<(String, String)>,
}

impl Tests {
    pub(crate) fn of_the_repository() -> Self {
        Self { packages: packages(), cases: suite_cases(), texts: files("rs") }
    }
}

/// The folder of each package of the workspace.
fn packages() -> BTreeMap<String, String> {
    let metadata = cargo_metadata::MetadataCommand::new().no_deps().exec().unwrap();
    let folder = |package: &cargo_metadata::Package| {
        let folder = package.manifest_path.parent().unwrap().as_std_path();
        folder.strip_prefix(repository()).unwrap().to_str().unwrap().to_owned()
    };
    metadata.packages.iter().map(|package| (package.name.to_string(), folder(package))).collect()
}

/// The names in the lists of the transport suite and of the attacks on TCP and on nodes: macros make tests of them.
fn suite_cases() -> Vec<String> {
    let of = |path: &str, before: &str, after: &str| {
        let lists = std::fs::read_to_string(repository().join(path)).unwrap();
        let lists = lists.split(before).skip(1).filter_map(|list| list.split_once(after));
        let names = lists.flat_map(|(list, _)| list.split([',', ';', ':']));
        let names = names.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
        names.collect::<Vec<_>>()
    };
    let suite = of("transport-api/src/conformance.rs", "@cases $backend;", "};");
    let attacks = of("transport-tcp/tests/hostile/list.rs", "$use! {", "}");
    let of_peers = of("process/src/hostile/list.rs", "\ncases! {", "\n}");
    [suite, attacks, of_peers].concat()
}

/// What is wrong with a citation.
pub(crate) fn find(cited: &str, tests: &Tests) -> Result<(), String> {
    let Tests { packages, cases, texts } = tests;
    let parts: Vec<_> = cited.split("::").collect();
    let [package, modules @ .., test] = &parts[..] else { return Err("is no citation".into()) };
    let folder = packages.get(*package).ok_or("names no package of the workspace")?;
    if modules.is_empty() {
        return Err("names no module".into());
    }
    let mut found = false;
    for (path, text) in texts {
        // Of packages in one another's folder the innermost has the file.
        let owner = packages.values().filter(|folder| Path::new(path).starts_with(folder));
        if owner.max_by_key(|folder| folder.len()) != Some(folder) {
            continue;
        }
        let stem = path.strip_suffix(".rs").unwrap_or(path);
        let has = |module: &&str| stem.split('/').any(|part| part == *module);
        if modules.iter().all(has) {
            let of_a_list = path.contains("/conformance/") || path.contains("/hostile/");
            let is_case = of_a_list && cases.iter().any(|case| case == test);
            found |= has_test(text, test) || (is_case && text.contains(&format!("fn {test}(")));
        }
    }
    if found { Ok(()) } else { Err("does not exist".into()) }
}

/// Whether a text has a function of that name under `#[test]`.
fn has_test(text: &str, test: &str) -> bool {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let is_it = |line: &str| {
        line.trim_start_matches("async ")
            .strip_prefix("fn ")
            .is_some_and(|rest| rest.strip_prefix(test).is_some_and(|rest| rest.starts_with('(')))
    };
    lines.iter().enumerate().filter(|(_, line)| is_it(line)).any(|(at, _)| {
        let before = lines[..at].iter().rev();
        before
            .take_while(|line| line.starts_with("#[") || line.starts_with("//"))
            .any(|line| *line == "#[test]" || line.starts_with("#[tokio::test"))
    })
}
