//! Who does not know the cluster's secret can neither join nor push nor look.

use std::os::unix::fs::PermissionsExt as _;

use crate::tools::{NodeProcess, bundle, end, midflight, run, secret_file};

#[tokio::test]
async fn a_wrong_secret_neither_joins_nor_pushes() {
    let folder = tempfile::tempdir().unwrap();
    let right = secret_file(&folder, "right", "a secret that is long enough");
    let wrong = secret_file(&folder, "wrong", "another that is long enough");
    let node = NodeProcess::start("a", &["--secret-file", &right]).await;
    let bundle = bundle("counter-v1").await;
    let bundle = bundle.to_str().unwrap();

    for bad in [&["--secret-file", &wrong][..], &[]] {
        let push = [&["push", bundle, "--node", &node.address], bad].concat();
        run(&push).await.expect(4, &[&node.address, "secret"]);
        let status = [&["status", "--node", &node.address], bad].concat();
        run(&status).await.expect(4, &["--secret-file"]);
        let data = folder.path().join("data");
        let mut joining = midflight(["node", "--name", "b", "--listen", "127.0.0.1:0"]);
        joining.args(["--join", &node.address]).args(bad).arg("--data").arg(data);
        end(joining).await.expect(4, &[&node.address, "secret"]);
    }
    let status = node.status(&["--secret-file", &right]).await;
    assert_eq!(status["versions"], serde_json::json!([]), "nothing has come through");

    let mut pushing = midflight(["push", bundle, "--wait", "--node", &node.address]);
    pushing.env("MIDFLIGHT_SECRET_FILE", &right);
    end(pushing).await.expect(0, &[]);
}

#[tokio::test]
async fn a_secret_file_is_looked_at() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing").to_str().unwrap().to_owned();
    run(&["status", "--secret-file", &missing]).await.expect(5, &["missing", "cannot be read"]);
    let short = secret_file(&folder, "short", "short\n");
    run(&["status", "--secret-file", &short]).await.expect(5, &["5 bytes", "at least 16"]);
    let open = secret_file(&folder, "open", "a secret that is long enough");
    std::fs::set_permissions(&open, std::fs::Permissions::from_mode(0o644)).unwrap();
    let status = ["status", "--secret-file", &open, "--node", "127.0.0.1:1"];
    run(&status).await.expect(3, &["others", "chmod 600"]);
}
