//! The server that both fakes share: it listens, records requests, applies faults, and stops.
//!
//! Each request is handled in its own task, so that a caller that disconnects has caused its effect nevertheless: a
//! real vendor does not undo an order when the client goes away.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

use crate::faults::{FaultKind, malform, refusal};
use crate::{Faults, Record, Reply};

/// Maximum time for requests in progress to end after [`Server::stop`].
const GRACE: Duration = Duration::from_secs(2);

/// Maximum size of a body that is read. Configurations contain base64 pictures, so it is well above their size.
const MAX_BODY: usize = 32 * 1024 * 1024;

/// Why a fake did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No port of 127.0.0.1 is available.
    #[error("cannot listen on 127.0.0.1")]
    Listen(#[source] std::io::Error),
}

/// Stands for a missing response: hyper closes the connection when a service fails.
#[derive(Debug, thiserror::Error)]
#[error("closed without an answer")]
struct ConnectionClosed;

/// A bound listener that does not serve yet, because the state behind its routes needs its address.
pub(crate) struct Listener {
    listener: TcpListener,
    address: SocketAddr,
}

impl Listener {
    pub(crate) async fn bind() -> Result<Self, StartError> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.map_err(StartError::Listen)?;
        let address = listener.local_addr().map_err(StartError::Listen)?;
        Ok(Self { listener, address })
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn serve(self, router: Router) -> Server {
        let (stop, stopping) = watch::channel(());
        let base_url = self.base_url();
        let state = ConnectionState {
            router: router.layer(DefaultBodyLimit::disable()),
            faults: Faults::default(),
            record: Record::default(),
        };
        let (faults, record) = (state.faults.clone(), state.record.clone());
        let task = tokio::spawn(accept(self.listener, state, stopping));
        Server { base_url, faults, record, stop, task }
    }
}

/// A running server, which stops on drop: the accept loop notices the closed `stop` channel.
pub(crate) struct Server {
    pub(crate) base_url: String,
    pub(crate) faults: Faults,
    pub(crate) record: Record,
    stop: watch::Sender<()>,
    task: JoinHandle<()>,
}

impl Server {
    /// Stops listening, and lets requests in progress end for at most [`GRACE`].
    pub(crate) async fn stop(self) {
        drop(self.stop);
        // Otherwise the task ends with a panic, and then nothing is left to stop.
        let _ = self.task.await;
    }
}

/// The state that every connection needs.
#[derive(Clone)]
struct ConnectionState {
    router: Router,
    faults: Faults,
    record: Record,
}

async fn accept(listener: TcpListener, state: ConnectionState, mut stopping: watch::Receiver<()>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            _ = stopping.changed() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve_connection(stream, state.clone(), stopping.clone()));
                }
                Err(error) => {
                    tracing::warn!(%error, "a fake vendor could not accept a connection");
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            },
        }
    }
    drop(listener);
    let rest = async { while connections.join_next().await.is_some() {} };
    // After the grace period the set is dropped, which aborts the rest.
    let _ = tokio::time::timeout(GRACE, rest).await;
}

async fn serve_connection(stream: TcpStream, state: ConnectionState, mut stopping: watch::Receiver<()>) {
    let service = service_fn(move |request| {
        let work = tokio::spawn(answer(request, state.clone()));
        async move { work.await.ok().flatten().ok_or(ConnectionClosed) }
    });
    let mut connection = std::pin::pin!(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        _ = stopping.changed() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection to a fake vendor broke off");
    }
}

/// Handles a request. `None` closes the connection without a response.
async fn answer(request: Request<Incoming>, state: ConnectionState) -> Option<Response> {
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(Body::new(body), MAX_BODY).await else {
        let number = state.record.push(&parts, &[]);
        state.record.reply(number, Reply::Status(StatusCode::PAYLOAD_TOO_LARGE.as_u16()));
        return Some(StatusCode::PAYLOAD_TOO_LARGE.into_response());
    };
    let number = state.record.push(&parts, &body);
    let take_fault = state.faults.take_fault(parts.uri.path());
    let work = || async {
        let service = TowerToHyperService::new(state.router.clone());
        match service.call(Request::from_parts(parts, Body::from(body))).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    };
    let (response, lost) = match take_fault.kind {
        FaultKind::Drop => (None, None),
        FaultKind::Refuse(status, retry_after) => (Some(refusal(status, retry_after)), None),
        FaultKind::Lose => (None, Some(work().await.status().as_u16())),
        FaultKind::Malform(how) => (Some(malform(work().await, how).await), None),
        FaultKind::Normal => (Some(work().await), None),
    };
    if !take_fault.delay.is_zero() {
        tokio::time::sleep(take_fault.delay).await;
    }
    let answered = match &response {
        Some(response) => Reply::Status(response.status().as_u16()),
        None => Reply::Dropped { lost },
    };
    state.record.reply(number, answered);
    response
}
