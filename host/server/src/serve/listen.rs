//! Taking connections. `axum::serve` does nearly the same, and waits for ever for a request that is never written whole, and for an
//! answer that is never read: whoever sends a letter a minute, or reads nothing, keeps a connection.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ConnectInfo;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_io_timeout::TimeoutStream;

/// How long the head of a request may take to come, and how long a connection is kept for the next one.
const HEAD: Duration = Duration::from_secs(30);
/// How long somebody may take none of an answer.
const UNREAD: Duration = Duration::from_secs(30);
/// How long to wait when there is no room for another connection.
const FULL: Duration = Duration::from_millis(200);

/// Answers what comes until `stop` is there; then takes nothing new, and ends when what came is answered. A connection ends when its
/// request is answered, and those without one at once.
pub(crate) async fn serve(listener: TcpListener, router: Router, stop: impl Future<Output = ()>) {
    let (tell, told) = watch::channel(());
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => drop(connections.spawn(connection(stream, from, router.clone(), told.clone()))),
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken now");
                    tokio::time::sleep(FULL).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop((listener, tell));
    while connections.join_next().await.is_some() {}
}

async fn connection(stream: TcpStream, from: SocketAddr, router: Router, mut told: watch::Receiver<()>) {
    // Answers are small, and whoever asks waits for them.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(UNREAD));
    let router = TowerToHyperService::new(router);
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(ConnectInfo(from));
        router.call(request.map(Body::new))
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = &mut served => ended,
        _ = told.changed() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %from, "a connection broke off");
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
