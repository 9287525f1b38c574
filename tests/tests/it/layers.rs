//! The arrows of ARCHITECTURE.md, and no others.

use std::collections::BTreeMap;

use cargo_metadata::{DependencyKind, MetadataCommand};

/// What each of our crates may use of ours. `None`: anything.
fn allowed(name: &str) -> Option<&'static [&'static str]> {
    Some(match name {
        "midflight-transport-api" | "midflight-macros" | "midflight-runtime" => &[],
        "midflight-transport-stream" => &["midflight-transport-api", "midflight-runtime"],
        "midflight-transport-tcp" | "midflight-transport-inmem" => {
            &["midflight-transport-stream", "midflight-transport-api", "midflight-runtime"]
        }
        "midflight-message" => &["midflight-macros"],
        "midflight-abi" => &["midflight-macros", "midflight-message"],
        "midflight-process" => {
            &["midflight-transport-api", "midflight-message", "midflight-runtime"]
        }
        "midflight-dsu" => &[
            "midflight-process",
            "midflight-message",
            "midflight-transport-api",
            "midflight-abi",
            "midflight-runtime",
        ],
        "midflight-cli" | "midflight-tests" | "midflight-bench" | "midflight-fuzz"
        | "midflight-pairs" | "midflight-soak" => return None,
        // Versions of one crate, each a bundle.
        "spoiler-v1" | "spoiler-v2" => &["midflight-abi", "spoiler"],
        "relay-v1" | "relay-v2" => &["midflight-abi", "relay"],
        "evolving-v1" | "evolving-v2" | "evolving-v3" => &["midflight-abi", "evolving"],
        // Examples and fixtures: a bundle uses the SDK and nothing else of ours.
        _ => &["midflight-abi"],
    })
}

/// Programs among the examples, which may use anything.
const PROGRAMS: [&str; 4] = ["ping-pong", "supervised", "thesis-live", "unix-transport"];

#[test]
fn the_arrows_hold() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let ours: BTreeMap<_, _> =
        metadata.packages.iter().map(|package| (package.name.to_string(), package)).collect();
    assert!(ours.len() > 10, "the workspace was not found");
    let mut wrong = Vec::new();
    for (name, package) in &ours {
        for dependency in &package.dependencies {
            if !ours.contains_key(&dependency.name) {
                continue;
            }
            let dev = dependency.kind == DependencyKind::Development;
            let may = match allowed(name) {
                _ if PROGRAMS.contains(&name.as_str()) => true,
                None => true,
                Some(_) if dev => dependency.name != "midflight-cli",
                Some(allowed) => allowed.contains(&dependency.name.as_str()),
            };
            if !may {
                wrong.push(format!("{name} -> {}", dependency.name));
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that ARCHITECTURE.md does not draw: {wrong:#?}");
}

#[test]
fn the_transport_api_stays_tiny() {
    let metadata = MetadataCommand::new().no_deps().exec().unwrap();
    let api = metadata.packages.iter().find(|p| p.name.as_str() == "midflight-transport-api");
    let normal: Vec<_> = api
        .unwrap()
        .dependencies
        .iter()
        .filter(|d| d.kind == DependencyKind::Normal && !d.optional)
        .map(|d| d.name.as_str())
        .collect();
    assert_eq!(normal, ["async-trait", "bytes"]);
    let features = &api.unwrap().features;
    assert!(!features.contains_key("default"), "the suite is asked for by name");
    assert_eq!(features["conformance"], ["dep:proptest"]);
}
