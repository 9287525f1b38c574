//! What the program shows.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn one_crashes_and_comes_back() {
    assert_eq!(divide(TokioRuntime::current()).await.unwrap(), [1, 1]);
}
