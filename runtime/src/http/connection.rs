//! One connection, from its first byte to its end: HTTP/1.1, or HTTP/2 from a client that knows (h2c, as Knative's proxy
//! speaks it), within limits whatever the client does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

/// The most bytes of a head, and of what is read ahead of a body.
pub(crate) const HEAD_BYTES_MAX: usize = 64 * 1024;
/// How long a connection may be there without a request: one that is used for no more, or whose client does not read.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// How long a connection that is to end may take to say goodbye.
const GOODBYE_LIMIT: Duration = Duration::from_secs(5);
/// How long a connection that was just made may take to send something, once the server is to stop.
const LAST_WORD_LIMIT: Duration = Duration::from_secs(1);
/// How long is waited for the rest of a beginning.
const PEEK_PAUSE: Duration = Duration::from_millis(5);
/// How many requests one connection may have under way; HTTP/2 tells its client so.
const STREAMS_MAX: u32 = 128;
/// How many streams a client may open and give up before its connection is ended (CVE-2023-44487).
const RESETS_MAX: usize = 20;
/// The bytes that a client may send ahead of what was read: for a request, and for a connection.
const WINDOW_BYTES: u32 = 64 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 512 * 1024;
/// How often a quiet HTTP/2 client is asked whether it is there, and how long it has to say so.
const PING_INTERVAL: Duration = Duration::from_secs(20);
const PING_LIMIT: Duration = Duration::from_secs(10);
/// How every HTTP/2 connection begins (RFC 9113, 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How connections are told to end.
#[derive(Debug, Clone)]
pub(crate) struct End {
    /// After what is under way.
    pub(crate) stop: CancellationToken,
    /// Now.
    pub(crate) cut_off: CancellationToken,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    One,
    Two,
}

/// What a connection has to do.
#[derive(Debug, Default)]
struct Activity {
    running: AtomicUsize,
    begun: AtomicU64,
}

/// A request that is being answered.
struct Running(Arc<Activity>);

impl Running {
    fn begin(activity: &Arc<Activity>) -> Self {
        activity.running.fetch_add(1, Ordering::Relaxed);
        activity.begun.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(activity))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Activity {
    /// Comes back once nothing was asked for as long as [`IDLE_LIMIT`], and nothing is being answered.
    async fn ceases(&self) {
        loop {
            let begun = self.begun.load(Ordering::Relaxed);
            tokio::time::sleep(IDLE_LIMIT).await;
            if self.running.load(Ordering::Relaxed) == 0 && self.begun.load(Ordering::Relaxed) == begun {
                return;
            }
        }
    }
}

/// Serves one connection to its end; a head may take `head_limit`.
pub(crate) async fn converse(
    stream: TcpStream,
    router: TowerToHyperService<Router>,
    end: End,
    head_limit: Duration,
) {
    // Answers are short: none waits to be joined by a next one.
    let _ = stream.set_nodelay(true);
    let protocol = tokio::select! {
        protocol = tokio::time::timeout(head_limit, spoken(&stream)) => protocol.ok().flatten(),
        () = async { end.stop.cancelled().await; tokio::time::sleep(LAST_WORD_LIMIT).await } => None,
    };
    let Some(protocol) = protocol else { return };
    let activity = Arc::new(Activity::default());
    let service = service_fn({
        let activity = Arc::clone(&activity);
        move |request: hyper::Request<Incoming>| {
            let running = Running::begin(&activity);
            let answer = router.call(request);
            async move {
                let answer = answer.await;
                drop(running);
                answer
            }
        }
    });
    let stream = TokioIo::new(stream);
    // How a connection ends is the client's business. The two kinds have the same methods, and no trait for them.
    macro_rules! to_its_end {
        ($connection:expr) => {{
            let mut connection = std::pin::pin!($connection);
            let leave = tokio::select! {
                // First: what was sent is read before the connection is told to end, which closes one that has read nothing.
                biased;
                _ = connection.as_mut() => return,
                () = end.stop.cancelled() => None,
                () = activity.ceases() => Some(GOODBYE_LIMIT),
            };
            connection.as_mut().graceful_shutdown();
            let patience = async {
                match leave {
                    Some(limit) => tokio::time::sleep(limit).await,
                    // Then the server cuts off whatever is left.
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                _ = connection => {}
                () = patience => {}
                () = end.cut_off.cancelled() => {}
            }
        }};
    }
    match protocol {
        Protocol::One => to_its_end!(
            hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(head_limit)
                .max_buf_size(HEAD_BYTES_MAX)
                // A client that has sent its request and closes its side still waits for the answer.
                .half_close(true)
                .serve_connection(stream, service)
        ),
        Protocol::Two => to_its_end!(
            hyper::server::conn::http2::Builder::new(TokioExecutor::new())
                .timer(TokioTimer::new())
                .max_header_list_size(HEAD_BYTES_MAX as u32)
                .max_concurrent_streams(STREAMS_MAX)
                .max_pending_accept_reset_streams(RESETS_MAX)
                .max_local_error_reset_streams(RESETS_MAX)
                .initial_stream_window_size(WINDOW_BYTES)
                .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
                .max_send_buf_size(WINDOW_BYTES as usize)
                .keep_alive_interval(PING_INTERVAL)
                .keep_alive_timeout(PING_LIMIT)
                .serve_connection(stream, service)
        ),
    }
}

/// What the client speaks, as soon as its first bytes tell; nothing if it has gone.
async fn spoken(stream: &TcpStream) -> Option<Protocol> {
    let mut start = [0; PREFACE.len()];
    loop {
        let seen = match stream.peek(&mut start).await {
            Ok(0) | Err(_) => return None,
            Ok(count) => start.get(..count)?,
        };
        if seen == PREFACE {
            return Some(Protocol::Two);
        }
        if !PREFACE.starts_with(seen) {
            return Some(Protocol::One);
        }
        tokio::time::sleep(PEEK_PAUSE).await;
    }
}
