//! Roles from a file, which may change while the node runs; and what is said of a node that is open.

use crate::tools::{NodeProcess, end, midflight, run, until};

fn arg(path: &std::path::Path) -> String {
    path.to_str().unwrap().to_owned()
}

#[tokio::test]
async fn roles_come_from_a_file_and_change_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roles");
    std::fs::write(&file, "operator* = all\n* = none # nobody else\n").unwrap();
    let node = NodeProcess::start_with("a", &["--roles", &arg(&file)]).await;
    let status = ["status", "--json", "--node", &node.address];
    run(&status).await.expect(0, &[]);

    std::fs::write(&file, "operator* = send\n* = none\n").unwrap();
    node.logs(&["hold from now on"]).await;
    run(&status).await.expect(4, &["inspect"]);

    // What is wrong is said, with its line, and what was there holds.
    std::fs::write(&file, "operator* = all\n* = non\n").unwrap();
    node.logs(&["line 2: `non` is no role", "the roles from before hold on"]).await;
    run(&status).await.expect(4, &["inspect"]);

    // As while somebody writes it.
    std::fs::write(&file, "").unwrap();
    node.logs(&["no line for all others"]).await;
    run(&status).await.expect(4, &["inspect"]);

    std::fs::write(&file, "operator* = all\n* = send\n").unwrap();
    node.signal(rustix::process::Signal::HUP);
    until("the operator may look again", async || run(&status).await.code == Some(0)).await;
}

#[tokio::test]
async fn a_file_of_roles_that_is_none_is_refused_with_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("roles");
    std::fs::write(&file, "# mine\na = all\nb send\n").unwrap();
    for (roles, words) in [
        (arg(&file), ["line 3", "NAME = ROLES"]),
        (arg(&folder.path().join("missing")), ["missing", "cannot be read"]),
    ] {
        let mut command = midflight(["node", "--listen", "127.0.0.1:0", "--roles", &roles]);
        command.arg("--data").arg(folder.path().join("data"));
        end(command).await.expect(5, &words);
    }
    let mut both = midflight(["node", "--listen", "127.0.0.1:0", "--role", "a=all"]);
    both.args(["--roles", &arg(&file)]);
    end(both).await.expect(2, &["--role"]);
}

#[tokio::test]
async fn a_node_that_is_open_to_strangers_says_so_once() {
    let open = NodeProcess::start_with("a", &[]).await;
    let log = open.log();
    assert_eq!(log.matches("asks nobody for proof").count(), 1, "{log}");
    assert!(log.contains(&open.address) && log.contains("--secret-file"), "{log}");
    let folder = tempfile::tempdir().unwrap();
    let secret = crate::tools::secret_file(&folder, "secret", "a secret that is long enough");
    let closed = NodeProcess::start_with("a", &["--secret-file", &secret]).await;
    assert!(!closed.log().contains("asks nobody for proof"), "{}", closed.log());
}
