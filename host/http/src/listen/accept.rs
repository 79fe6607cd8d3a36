//! The accept loop, and the life of one connection.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::connections::{ConnectionLimit, ConnectionPermit, Connections};
use super::stream::{ClientStream, InProgressGuard, RequestBody, TIMEOUTS, Timeouts};
use crate::body::GuardedBody;
use crate::limits::MAX_HEAD_BYTES;

/// Maximum time for which a client may not read from a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// Time to wait when the system cannot accept another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// Time that a client has to read that its connection is over the limit.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// Response to a connection over the limit, before it is closed.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Serves `router` until `stop` completes. Then it accepts no further connection, closes those without a request, and
/// returns when the requests in progress are answered. `on_refused` is called for each connection over a limit of
/// `connections`.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    on_refused: impl Fn(ConnectionLimit),
    stop: impl Future<Output = ()>,
) {
    let (running, stopping) = watch::channel(());
    let mut tasks = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match connections.take(from.ip()) {
                    Ok(permit) => {
                        tasks.spawn(serve_client(stream, from, router.clone(), stopping.clone(), permit));
                    }
                    Err(limit) => {
                        on_refused(limit);
                        tasks.spawn(refuse(stream));
                    }
                },
                Err(error) if is_connection_error(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "cannot accept connections now");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
    drop((listener, running));
    while tasks.join_next().await.is_some() {}
}

/// Tells a client that its connection is over the limit, and closes it.
async fn refuse(mut stream: TcpStream) {
    drop(timeout(REFUSAL_TIMEOUT, stream.write_all(REFUSAL)).await);
}

async fn serve_client(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    stopping: watch::Receiver<()>,
    permit: ConnectionPermit,
) {
    // Responses are small, and their clients wait for them.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    serve_connection(Box::pin(stream), from, TIMEOUTS, router, stopping, permit).await;
}

/// Serves the requests of one connection until it ends, `stopping` is closed, or it is evicted.
pub(super) async fn serve_connection(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    from: SocketAddr,
    timeouts: Timeouts,
    router: Router,
    mut stopping: watch::Receiver<()>,
    permit: ConnectionPermit,
) {
    let progress = permit.progress().clone();
    let router = TowerToHyperService::new(router);
    let service = {
        let progress = progress.clone();
        service_fn(move |mut request: Request<Incoming>| {
            let busy = InProgressGuard::new(progress.clone());
            request.extensions_mut().insert(ConnectInfo(from));
            let body = |body| Body::new(RequestBody::new(body, progress.clone()));
            let responding = router.call(request.map(body));
            async move {
                let response: Result<Response<Body>, _> = responding.await;
                // The request is over when the response is sent.
                response.map(|response| response.map(|body| GuardedBody::new(body, busy)))
            }
        })
    };
    let stream = ClientStream::new(stream, progress.clone(), timeouts);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // `ClientStream` knows more exactly when a head begins.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        _ = stopping.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
        () = permit.evicted() => {
            if !progress.is_busy() {
                tracing::debug!(%from, "evicted a connection without a request");
                return;
            }
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %from, "connection error");
    }
}

fn is_connection_error(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use axum::routing::get;
    use tokio::io::AsyncReadExt as _;
    use tokio::net::TcpSocket;

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const SHORT: Duration = Duration::from_millis(100);
    const TEST_TIMEOUT: Duration = Duration::from_secs(30);

    /// Serves at most `max` connections. Returns the server's address, the limits that were exceeded, and a guard that
    /// stops the server when dropped.
    async fn start(
        max: usize,
        max_per_address: usize,
    ) -> (SocketAddr, Arc<Mutex<Vec<ConnectionLimit>>>, watch::Sender<()>) {
        let connections = Arc::new(Connections::new(max, max_per_address, Vec::new()));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(());
        let refused = Arc::new(Mutex::new(Vec::new()));
        let list = refused.clone();
        let router = Router::new().route("/", get(async || "done"));
        let stopped = async move { while stopped.clone().changed().await.is_ok() {} };
        let on_refused = move |limit| list.lock().expect("a list").push(limit);
        tokio::spawn(serve(listener, router, connections, on_refused, stopped));
        (address, refused, stop)
    }

    async fn open(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("a connection")
    }

    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut text = [0; 1024];
        let request = async {
            stream.write_all(REQUEST).await?;
            stream.read(&mut text).await
        };
        request.await.is_ok_and(|length| text[..length].ends_with(b"done"))
    }

    /// Opens connections until one is answered.
    async fn is_answered_soon(address: SocketAddr) {
        let requests = async {
            while !is_answered(&mut open(address).await).await {
                sleep(SHORT / 20).await
            }
        };
        timeout(TEST_TIMEOUT, requests).await.expect("a connection is accepted again");
    }

    #[tokio::test]
    async fn a_connection_over_the_limit_is_refused_with_503_and_closed() {
        let (address, refused, _stop) = start(10, 1).await;
        let mut first = open(address).await;
        assert!(is_answered(&mut first).await);
        let mut text = String::new();
        open(address).await.read_to_string(&mut text).await.expect("a response");
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("retry-after"), "{text}");
        assert_eq!(*refused.lock().expect("a list"), [ConnectionLimit::Address]);
        assert!(is_answered(&mut first).await, "the other connections continue");
        drop(first);
        is_answered_soon(address).await;
    }

    #[tokio::test]
    async fn a_client_whose_body_is_not_read_still_reads_the_response() {
        let (address, _refused, _stop) = start(10, 10).await;
        let mut stream = open(address).await;
        let body = vec![b'x'; 8 << 20];
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(&body).await.expect("written");
        let mut response = String::new();
        timeout(TEST_TIMEOUT, stream.read_to_string(&mut response)).await.expect("in time").expect("a response");
        assert!(response.starts_with("HTTP/1.1 405"), "{response}");
    }

    #[tokio::test]
    async fn heads_that_are_not_completed_make_room_when_there_is_none() {
        let (address, _refused, _stop) = start(2, 4).await;
        let mut unfinished = [open(address).await, open(address).await];
        for stream in &mut unfinished {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ").await.expect("written");
        }
        sleep(SHORT).await;
        is_answered_soon(address).await;
    }

    #[tokio::test]
    async fn connections_without_a_request_make_room_when_there_is_none() {
        let (address, refused, _stop) = start(2, 4).await;
        let (mut idle, silent) = (open(address).await, open(address).await);
        assert!(is_answered(&mut idle).await);
        is_answered_soon(address).await;
        assert!(refused.lock().expect("a list").contains(&ConnectionLimit::Node));
        drop(silent);
    }

    /// Opens a connection from 127.0.0.`host`, which is a network of its own.
    async fn open_from(host: u8, address: SocketAddr) -> io::Result<TcpStream> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 0, host], 0).into())?;
        socket.connect(address).await
    }

    #[tokio::test]
    async fn eight_networks_that_reopen_unfinished_heads_at_once_keep_nobody_else_out() {
        let (address, refused, _stop) = start(32, 8).await;
        let mut attackers = JoinSet::new();
        for host in (2..=9).flat_map(|host| [host; 8]) {
            attackers.spawn(async move {
                loop {
                    sleep(SHORT / 50).await;
                    let Ok(mut stream) = open_from(host, address).await else { continue };
                    drop(stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ").await);
                    // Until the server closes the connection.
                    while stream.read(&mut [0; 256]).await.is_ok_and(|length| length > 0) {}
                }
            });
        }
        while refused.lock().expect("a list").is_empty() {
            sleep(SHORT / 20).await;
        }
        let (first_half, second_half) = REQUEST.split_at(REQUEST.len() / 2);
        for _ in 0..8 {
            let mut stream = open_from(10, address).await.expect("a connection");
            let mut text = [0; 1024];
            // A head that takes a while is accepted too.
            stream.write_all(first_half).await.expect("written");
            sleep(SHORT * 3).await;
            stream.write_all(second_half).await.expect("written");
            let length = timeout(TEST_TIMEOUT, stream.read(&mut text)).await.expect("in time").expect("a response");
            assert!(text[..length].ends_with(b"done"), "{}", String::from_utf8_lossy(&text[..length]));
        }
    }
}
