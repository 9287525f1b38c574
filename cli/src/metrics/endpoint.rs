//! Where Prometheus asks for numbers, and an orchestrator whether the node is ready: two pages over HTTP/1.1, a
//! connection for each request.
//!
//! It says nothing that changes anything and asks nobody who he is: keep it on loopback, or behind
//! something that does. What a stranger can make it hold is bounded.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_channel::oneshot;
use midflight_runtime::{Handle, spawn, timeout};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::Page;
use crate::error::Error;
use crate::network::HostPort;
use crate::readiness::Readiness;

/// Requests served at one time; others wait in the system's queue.
const AT_ONCE: usize = 8;
/// Bytes of a request's head.
const HEAD_MAX: usize = 8 * 1_024;
/// How long a request, with its answer, may take.
const LIMIT: Duration = Duration::from_secs(10);
/// How long to wait after a connection could not be taken.
const PAUSE: Duration = Duration::from_millis(100);

const METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const PLAIN: &str = "text/plain; charset=utf-8";

/// What is asked for here.
struct Pages {
    metrics: Page,
    readiness: Arc<Readiness>,
}

/// Serves the pages at `at`, for as long as the program runs; answers where.
pub(crate) async fn serve(
    runtime: &Handle,
    at: &HostPort,
    metrics: Page,
    readiness: Arc<Readiness>,
) -> Result<SocketAddr, Error> {
    let unusable = |source| Error::Machine { what: format!("no metrics at {at}"), source };
    let listener = TcpListener::bind((at.host(), at.port())).await.map_err(unusable)?;
    let address = listener.local_addr().map_err(unusable)?;
    let runtime = runtime.clone();
    let pages = Arc::new(Pages { metrics, readiness });
    spawn(&runtime.clone(), "metrics", accept(runtime, listener, pages));
    Ok(address)
}

async fn accept(runtime: Handle, listener: TcpListener, pages: Arc<Pages>) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Ok(place) = places.clone().acquire_owned().await {
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                // Such as no descriptors left.
                tracing::warn!(%error, "a request for metrics was not taken");
                runtime.sleep(PAUSE).await;
                continue;
            }
        };
        let (served, pages) = (runtime.clone(), pages.clone());
        spawn(&runtime, "a request for metrics", async move {
            // Who asks too slowly gets no answer.
            let _ = timeout(&*served, LIMIT, answer(&served, stream, pages)).await;
            drop(place);
        });
    }
}

async fn answer(runtime: &Handle, mut stream: TcpStream, pages: Arc<Pages>) -> std::io::Result<()> {
    let Some(head) = head(&mut stream).await? else { return Ok(()) };
    let (status, kind, body) = match asked(&head) {
        Asked::Metrics => ("200 OK", METRICS, text(runtime, pages).await),
        Asked::Ready => match pages.readiness.why_not() {
            None => ("200 OK", PLAIN, "ready\n".to_owned()),
            Some(why) => ("503 Service Unavailable", PLAIN, format!("not ready: {why}\n")),
        },
        Asked::Elsewhere => ("404 Not Found", PLAIN, "there are /metrics and /ready\n".to_owned()),
        Asked::Wrongly => ("405 Method Not Allowed", PLAIN, "only GET\n".to_owned()),
    };
    let length = body.len();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\
         Connection: close\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}

/// Makes the page on a thread that may be kept.
async fn text(runtime: &Handle, pages: Arc<Pages>) -> String {
    let (tell, told) = oneshot::channel();
    let work = move || {
        // Who asked may have gone.
        let _ = tell.send(pages.metrics.text());
    };
    runtime.spawn_blocking("metrics", Box::new(work));
    told.await.unwrap_or_default()
}

/// A request's head. `None`: it is too long, or ends in the middle.
async fn head(stream: &mut TcpStream) -> std::io::Result<Option<Vec<u8>>> {
    let mut head = Vec::new();
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let mut part = [0; 1_024];
        let read = stream.read(&mut part).await?;
        if read == 0 || head.len() + read > HEAD_MAX {
            return Ok(None);
        }
        head.extend_from_slice(&part[..read]);
    }
    Ok(Some(head))
}

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Asked {
    Metrics,
    Ready,
    Elsewhere,
    Wrongly,
}

fn asked(head: &[u8]) -> Asked {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let mut words = line.split(|byte| *byte == b' ');
    let (method, path) = (words.next(), words.next().unwrap_or_default());
    let path = path.split(|byte| *byte == b'?').next().unwrap_or_default();
    match (method, path) {
        (Some(b"GET"), b"/metrics") => Asked::Metrics,
        (Some(b"GET"), b"/ready") => Asked::Ready,
        (Some(b"GET"), _) => Asked::Elsewhere,
        _ => Asked::Wrongly,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_pages_are_there() {
        assert_eq!(asked(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n"), Asked::Metrics);
        assert_eq!(asked(b"GET /metrics?x=1 HTTP/1.1\r\n\r\n"), Asked::Metrics);
        assert_eq!(asked(b"GET /ready HTTP/1.1\r\n\r\n"), Asked::Ready);
        assert_eq!(asked(b"GET / HTTP/1.1\r\n\r\n"), Asked::Elsewhere);
        assert_eq!(asked(b"POST /metrics HTTP/1.1\r\n\r\n"), Asked::Wrongly);
        assert_eq!(asked(b"\r\n\r\n"), Asked::Wrongly);
    }
}
