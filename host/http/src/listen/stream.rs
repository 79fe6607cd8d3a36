//! The stream of one connection: its phase, its timeouts, and how it is closed.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::body::{Bytes, HttpBody};
use hyper::body::{Frame, Incoming, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::limits::MAX_BODY_BYTES;

/// Limits in time and bytes for discarding the rest of a body after its request was answered.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_LINGER_BYTES: usize = MAX_BODY_BYTES;

/// Timeouts of a connection that waits for a request.
#[derive(Clone, Copy)]
pub(super) struct Timeouts {
    /// Time for the whole head of a request, from its first byte.
    head: Duration,
    /// Time until the first byte of a request. Load balancers keep connections for 60 seconds, and a request that one
    /// sends while the node closes the connection is lost: the node has to be the last to close it.
    idle: Duration,
}

pub(super) const TIMEOUTS: Timeouts = Timeouts { head: Duration::from_secs(30), idle: Duration::from_secs(75) };

impl Timeouts {
    fn deadline(self, (phase, since): (Phase, Instant)) -> Option<Instant> {
        match phase {
            Phase::Idle => Some(since + self.idle),
            Phase::Head => Some(since + self.head),
            // A request's body and its handler have limits of their own.
            Phase::Request => None,
        }
    }
}

/// The phase of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// The connection waits for the first byte of a head.
    Idle,
    /// The connection waits for the rest of a head.
    Head,
    /// A request is in progress.
    Request,
}

/// The phase of a connection, and since when it lasts.
pub(super) struct Progress {
    phase: Mutex<(Phase, Instant)>,
    /// Whether a body was not read to its end.
    is_unread: AtomicBool,
    /// Task that reads from the connection. Often it does so before its request is over, and then waits without a
    /// deadline.
    reader: Mutex<Option<Waker>>,
}

impl Progress {
    /// Creates the progress of a new, idle connection.
    pub(super) fn new(now: Instant) -> Self {
        Self { phase: Mutex::new((Phase::Idle, now)), is_unread: AtomicBool::new(false), reader: Mutex::default() }
    }

    /// Returns the phase and its beginning.
    pub(super) fn phase(&self) -> (Phase, Instant) {
        *self.lock()
    }

    /// Returns whether a request is in progress.
    pub(super) fn is_busy(&self) -> bool {
        self.phase().0 == Phase::Request
    }

    /// Records that bytes have arrived. Unless a request is in progress, they begin the head of the next one.
    pub(super) fn begin_head(&self) {
        let mut phase = self.lock();
        if phase.0 == Phase::Idle {
            *phase = (Phase::Head, Instant::now());
        }
    }

    fn enter(&self, phase: Phase) {
        *self.lock() = (phase, Instant::now());
    }

    fn lock(&self) -> MutexGuard<'_, (Phase, Instant)> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reader(&self) -> MutexGuard<'_, Option<Waker>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A guard that marks a request as in progress until it is dropped.
pub(super) struct InProgressGuard(Arc<Progress>);

impl InProgressGuard {
    pub(super) fn new(progress: Arc<Progress>) -> Self {
        progress.enter(Phase::Request);
        Self(progress)
    }
}

impl Drop for InProgressGuard {
    fn drop(&mut self) {
        self.0.enter(Phase::Idle);
        if let Some(reader) = self.0.reader().take() {
            reader.wake();
        }
    }
}

/// A request's body, which records whether it was read to its end.
pub(super) struct RequestBody {
    body: Incoming,
    /// Whether the end was reached. The end of a body without a declared length is known only when it arrives.
    is_read: bool,
    progress: Arc<Progress>,
}

impl RequestBody {
    pub(super) fn new(body: Incoming, progress: Arc<Progress>) -> Self {
        Self { body, is_read: false, progress }
    }
}

impl HttpBody for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_read |= frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        if !self.is_read && !self.body.is_end_stream() {
            self.progress.is_unread.store(true, Ordering::Release);
        }
    }
}

/// A client's stream, whose reads fail when no request begins in time, or a head is not complete in time.
pub(super) struct ClientStream<S> {
    stream: S,
    progress: Arc<Progress>,
    timeouts: Timeouts,
    deadline: Pin<Box<Sleep>>,
    /// Number of bytes that were discarded since the connection was closed.
    lingered_bytes: Option<usize>,
}

impl<S> ClientStream<S> {
    pub(super) fn new(stream: S, progress: Arc<Progress>, timeouts: Timeouts) -> Self {
        Self { stream, progress, timeouts, deadline: Box::pin(sleep(timeouts.idle)), lingered_bytes: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_ready() {
            if buffer.filled().len() > before {
                self.progress.begin_head();
            }
            return read;
        }
        // Before the phase is read, so that a later change of it wakes this reader.
        *self.progress.reader() = Some(context.waker().clone());
        let Some(deadline) = self.timeouts.deadline(self.progress.phase()) else { return Poll::Pending };
        if self.deadline.deadline() != deadline {
            self.deadline.as_mut().reset(deadline);
        }
        self.deadline.as_mut().poll(context).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Closes the connection. If a request was answered before its body was read, the rest of the body is discarded for
    /// a while: if the connection were closed at once, the system would reset it, and the client would not read the
    /// response.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingered_bytes.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.lingered_bytes = Some(0);
            self.deadline.as_mut().reset(Instant::now() + LINGER_TIMEOUT);
        }
        if !self.progress.is_unread.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        while self.lingered_bytes.is_some_and(|bytes| bytes <= MAX_LINGER_BYTES) {
            let mut bytes = [0; 8 << 10];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.lingered_bytes = self.lingered_bytes.map(|bytes| bytes + buffer.filled().len());
                }
                Poll::Ready(_) => break,
                Poll::Pending => {
                    ready!(self.deadline.as_mut().poll(context));
                    break;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::sync::watch;
    use tokio::time::timeout;

    use super::super::accept::serve_connection;
    use super::super::connections::Connections;
    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(60);
    const TEST_TIMEOUT: Duration = Duration::from_secs(30);

    /// Creates a client of a server that responds at once at `/`, and after three times [`SHORT`] at `/slow`. Also
    /// returns a sender that stops the server when dropped.
    fn client(timeouts: Timeouts) -> (DuplexStream, watch::Sender<()>) {
        let (client, server) = tokio::io::duplex(64 << 10);
        let (running, stopping) = watch::channel(());
        let slow = get(async || {
            sleep(SHORT * 3).await;
            "slow"
        });
        let router = Router::new().route("/", get(async || "done")).route("/slow", slow);
        let connections = Arc::new(Connections::new(1, 1, Vec::new()));
        let permit = connections.take([127, 0, 0, 1].into()).expect("room");
        tokio::spawn(serve_connection(server, ([127, 0, 0, 1], 1).into(), timeouts, router, stopping, permit));
        (client, running)
    }

    async fn send(client: &mut DuplexStream, request: &[u8]) -> String {
        client.write_all(request).await.expect("written");
        let mut text = vec![0; 4096];
        let length = client.read(&mut text).await.expect("a response");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// Waits for the end of a connection, and returns how long that took.
    async fn ended(client: &mut DuplexStream) -> Duration {
        let started_at = Instant::now();
        let reading = async { while client.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {} };
        timeout(TEST_TIMEOUT, reading).await.expect("its end");
        started_at.elapsed()
    }

    #[test]
    fn an_idle_connection_outlives_those_of_load_balancers() {
        assert!(TIMEOUTS.idle > Duration::from_secs(60));
    }

    #[tokio::test]
    async fn an_idle_connection_is_kept_for_longer_than_a_head_may_take() {
        let (mut client, _running) = client(Timeouts { head: SHORT, idle: LONG });
        for _ in 0..2 {
            sleep(SHORT * 3).await;
            assert!(send(&mut client, REQUEST).await.ends_with("done"));
        }
    }

    #[tokio::test]
    async fn an_idle_connection_ends_whether_it_was_used_before_or_not() {
        let timeouts = Timeouts { head: LONG, idle: SHORT };
        let (mut used, _running) = client(timeouts);
        assert!(send(&mut used, REQUEST).await.ends_with("done"));
        assert!(ended(&mut used).await >= SHORT / 2);
        let (mut unused, _running) = client(timeouts);
        assert!(ended(&mut unused).await >= SHORT / 2);
    }

    #[tokio::test]
    async fn a_head_that_trickles_ends_its_connection_however_long_that_was_idle_before() {
        for is_used in [false, true] {
            let (mut client, _running) = client(Timeouts { head: SHORT, idle: LONG });
            if is_used {
                assert!(send(&mut client, REQUEST).await.ends_with("done"));
            }
            sleep(SHORT * 2).await;
            let started_at = Instant::now();
            let mut some = [0; 64];
            let read = loop {
                drop(client.write_all(b"x").await);
                if let Ok(read) = timeout(SHORT / 10, client.read(&mut some)).await {
                    break read;
                }
                assert!(started_at.elapsed() < TEST_TIMEOUT, "the rest of the body is discarded");
            };
            assert!(
                !matches!(read, Ok(1..)) && started_at.elapsed() >= SHORT / 2,
                "{read:?} after {:?}",
                started_at.elapsed()
            );
        }
    }

    #[tokio::test]
    async fn a_request_in_progress_is_neither_idle_nor_slow() {
        let (mut client, _running) = client(Timeouts { head: SHORT, idle: SHORT });
        assert!(send(&mut client, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("slow"));
        assert!(ended(&mut client).await >= SHORT / 2);
    }
}
