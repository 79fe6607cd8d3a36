//! Taking connections. `axum::serve` does nearly the same, and waits for ever for a request that is never written whole, and for an
//! answer that is never read: whoever sends a letter a minute, or reads nothing, keeps a connection. It does not count them either.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::ConnectInfo;
use axum::http::{Request, Response};
use hyper::body::{Frame, Incoming, SizeHint};
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use ipnet::IpNet;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, Sleep, sleep, timeout};
use tokio_io_timeout::TimeoutStream;

use super::limits::{MAX_BODY_BYTES, MAX_HEAD_BYTES, customer};

/// How long a connection may wait for what.
#[derive(Clone, Copy)]
struct Timeouts {
    /// For the whole head of a request, from its first byte.
    head: Duration,
    /// For the next request. Load balancers keep connections for 60 seconds, and a request that one sends while the node closes the
    /// connection is lost: the node has to be the last to close it.
    idle: Duration,
}

const TIMEOUTS: Timeouts = Timeouts { head: Duration::from_secs(30), idle: Duration::from_secs(75) };
/// How long a client may read none of a response.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait when the system has no room for another connection.
const ACCEPT_RETRY: Duration = Duration::from_millis(200);
/// How long, and for how many bytes, the rest of a body is thrown away whose request is already answered.
const LINGER_TIMEOUT: Duration = Duration::from_secs(5);
const MAX_LINGER_BYTES: usize = MAX_BODY_BYTES;
/// How often idle connections are closed while there is no room for others.
const RECLAIM_INTERVAL: Duration = Duration::from_secs(1);
/// How long a client may take to hear that its connection is over the limit.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);
/// What a connection over the limit is told before it is closed.
const REFUSAL: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// Why a connection was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refused {
    /// The node has as many as it may.
    Node,
    /// The client's address has as many as it may.
    Address,
}

impl Refused {
    /// Its name in metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Address => "address",
        }
    }
}

/// The open connections of a node.
pub(crate) struct Connections {
    max: usize,
    max_per_address: usize,
    /// Their connections are many clients', and count for the node alone.
    proxies: Vec<IpNet>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    all: usize,
    by_network: HashMap<IpAddr, usize>,
}

impl Connections {
    pub(super) fn new(max: usize, max_per_address: usize, proxies: Vec<IpNet>) -> Self {
        Self { max, max_per_address, proxies, open: Mutex::default() }
    }

    /// How many there are.
    pub(super) fn open(&self) -> usize {
        self.lock().all
    }

    /// How many there may be.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// Counts another, until its place is dropped.
    fn take(self: &Arc<Self>, from: IpAddr) -> Result<Place, Refused> {
        let from = from.to_canonical();
        let network = Some(customer(from)).filter(|_| !self.proxies.iter().any(|proxies| proxies.contains(&from)));
        let mut open = self.lock();
        if open.all >= self.max {
            return Err(Refused::Node);
        }
        if let Some(network) = network {
            let of_network = open.by_network.entry(network).or_default();
            if *of_network >= self.max_per_address {
                return Err(Refused::Address);
            }
            *of_network += 1;
        }
        open.all += 1;
        Ok(Place { connections: self.clone(), network })
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One of the connections that a node may have.
struct Place {
    connections: Arc<Connections>,
    network: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.lock();
        open.all = open.all.saturating_sub(1);
        let Some(network) = self.network else { return };
        if let Some(of_network) = open.by_network.get_mut(&network) {
            *of_network = of_network.saturating_sub(1);
            if *of_network == 0 {
                open.by_network.remove(&network);
            }
        }
    }
}

/// Answers what comes until `stop` is there; then takes nothing new, and ends when what came is answered. A connection ends when its
/// request is answered, and those without one at once. `refused` hears of connections over the limit. While there is no room,
/// connections without a request end too: whoever opens many and asks nothing shuts nobody out.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    connections: Arc<Connections>,
    refused: impl Fn(Refused),
    stop: impl Future<Output = ()>,
) {
    let (tell, told) = watch::channel(());
    let reclaim = watch::Sender::new(());
    let mut last_reclaim: Option<Instant> = None;
    let mut running = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => match connections.take(from.ip()) {
                    Ok(place) => {
                        let serving = connection(stream, from, router.clone(), told.clone(), reclaim.subscribe());
                        running.spawn(async move {
                            serving.await;
                            drop(place);
                        });
                    }
                    Err(why) => {
                        refused(why);
                        if why == Refused::Node && last_reclaim.is_none_or(|last| last.elapsed() >= RECLAIM_INTERVAL) {
                            last_reclaim = Some(Instant::now());
                            reclaim.send_replace(());
                        }
                        running.spawn(refuse(stream));
                    }
                },
                Err(error) if is_of_one_connection(&error) => {}
                Err(error) => {
                    tracing::error!(%error, "no connection can be taken now");
                    sleep(ACCEPT_RETRY).await;
                }
            },
            Some(_) = running.join_next() => {}
        }
    }
    drop((listener, tell));
    while running.join_next().await.is_some() {}
}

/// Says why a connection ends, to those who listen.
async fn refuse(mut stream: TcpStream) {
    drop(timeout(REFUSAL_TIMEOUT, stream.write_all(REFUSAL)).await);
}

async fn connection(
    stream: TcpStream,
    from: SocketAddr,
    router: Router,
    told: watch::Receiver<()>,
    reclaimed: watch::Receiver<()>,
) {
    // Answers are small, and whoever asks waits for them.
    drop(stream.set_nodelay(true));
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(WRITE_TIMEOUT));
    converse(Box::pin(stream), from, TIMEOUTS, router, told, reclaimed).await;
}

async fn converse(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    from: SocketAddr,
    timeouts: Timeouts,
    router: Router,
    mut told: watch::Receiver<()>,
    mut reclaimed: watch::Receiver<()>,
) {
    let progress = Arc::new(Progress::default());
    let router = TowerToHyperService::new(router);
    let service = {
        let progress = progress.clone();
        service_fn(move |mut request: Request<Incoming>| {
            let busy = Busy::new(progress.clone());
            request.extensions_mut().insert(ConnectInfo(from));
            let asked = |body| Body::new(Asked { body, is_read: false, progress: busy.0.clone() });
            let answering = router.call(request.map(asked));
            async move {
                let answer: Result<Response<Body>, _> = answering.await;
                answer.map(|response| response.map(|body| Answer { body, _busy: busy }))
            }
        })
    };
    let stream = ClientStream::new(stream, progress.clone(), timeouts);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        // The stream knows better when a head begins.
        .header_read_timeout(None)
        .max_buf_size(MAX_HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    let mut is_reclaimed = false;
    let ended = loop {
        tokio::select! {
            ended = &mut served => break ended,
            _ = told.changed() => {
                served.as_mut().graceful_shutdown();
                break served.await;
            }
            Ok(()) = reclaimed.changed() => {
                if progress.is_busy() {
                    is_reclaimed = false;
                } else if is_reclaimed {
                    // It has had a while to complete a head that it began.
                    return;
                } else {
                    is_reclaimed = true;
                    served.as_mut().graceful_shutdown();
                }
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, %from, "a connection broke off");
    }
}

/// Whether a connection has a request in progress.
#[derive(Default)]
struct Progress {
    is_busy: AtomicBool,
    /// Was a body not read to its end?
    is_unread: AtomicBool,
    /// Who reads from the connection. Often it does so before its request is over, and waits without a deadline then.
    reader: Mutex<Option<Waker>>,
}

impl Progress {
    fn is_busy(&self) -> bool {
        self.is_busy.load(Ordering::Acquire)
    }

    fn reader(&self) -> MutexGuard<'_, Option<Waker>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request is in progress, until this is dropped.
struct Busy(Arc<Progress>);

impl Busy {
    fn new(progress: Arc<Progress>) -> Self {
        progress.is_busy.store(true, Ordering::Release);
        Self(progress)
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.is_busy.store(false, Ordering::Release);
        if let Some(reader) = self.0.reader().take() {
            reader.wake();
        }
    }
}

/// A request's body.
struct Asked {
    body: Incoming,
    /// Was it read to its end? One without a declared length does not know before.
    is_read: bool,
    progress: Arc<Progress>,
}

impl HttpBody for Asked {
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

impl Drop for Asked {
    fn drop(&mut self) {
        if !self.is_read && !self.body.is_end_stream() {
            self.progress.is_unread.store(true, Ordering::Release);
        }
    }
}

/// A response's body. When it is sent, its request is over.
struct Answer {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Answer {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A stream that ends when no request comes for too long, and when one has begun and its head is not there in time. While a request
/// is in progress its body has limits of its own.
struct ClientStream<S> {
    stream: S,
    progress: Arc<Progress>,
    timeouts: Timeouts,
    deadline: Pin<Box<Sleep>>,
    waiting: Waiting,
    /// What came since the connection was closed.
    lingered: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    /// For nothing: a request is in progress.
    No,
    /// For the first byte of a head.
    Idle,
    /// For the rest of a head.
    Head,
}

impl<S> ClientStream<S> {
    fn new(stream: S, progress: Arc<Progress>, timeouts: Timeouts) -> Self {
        Self {
            stream,
            progress,
            timeouts,
            deadline: Box::pin(sleep(timeouts.idle)),
            waiting: Waiting::Idle,
            lingered: None,
        }
    }

    fn wait_for(&mut self, waiting: Waiting, timeout: Duration) {
        if self.waiting != waiting {
            self.waiting = waiting;
            self.deadline.as_mut().reset(Instant::now() + timeout);
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ClientStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let timeouts = self.timeouts;
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if read.is_pending() {
            *self.progress.reader() = Some(context.waker().clone());
        }
        if self.progress.is_busy() {
            self.waiting = Waiting::No;
            return read;
        }
        if read.is_ready() {
            if buffer.filled().len() > before {
                self.wait_for(Waiting::Head, timeouts.head);
            }
            return read;
        }
        if self.waiting == Waiting::No {
            self.wait_for(Waiting::Idle, timeouts.idle);
        }
        match self.deadline.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::TimedOut.into())),
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for ClientStream<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    /// Closes the connection. When a request was answered before its body was there, what still comes of that is thrown away for a
    /// while: closed at once, the system would tell the client that the connection broke, and the client would not read the answer.
    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.lingered.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            self.lingered = Some(0);
            self.deadline.as_mut().reset(Instant::now() + LINGER_TIMEOUT);
        }
        if !self.progress.is_unread.load(Ordering::Acquire) {
            return Poll::Ready(Ok(()));
        }
        while self.lingered.is_some_and(|bytes| bytes <= MAX_LINGER_BYTES) {
            let mut bytes = [0; 8 << 10];
            let mut buffer = ReadBuf::new(&mut bytes);
            match Pin::new(&mut self.stream).poll_read(context, &mut buffer) {
                Poll::Ready(Ok(())) if !buffer.filled().is_empty() => {
                    self.lingered = self.lingered.map(|bytes| bytes + buffer.filled().len());
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

fn is_of_one_connection(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, DuplexStream};

    use super::*;

    const REQUEST: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
    const SHORT: Duration = Duration::from_millis(100);
    const LONG: Duration = Duration::from_secs(60);

    /// A client of a server that answers at once at `/`, and after three times [`SHORT`] at `/slow`.
    fn client(timeouts: Timeouts) -> (DuplexStream, watch::Sender<()>) {
        let (client, server) = tokio::io::duplex(64 << 10);
        let (tell, told) = watch::channel(());
        let slow = get(async || {
            sleep(SHORT * 3).await;
            "slow"
        });
        let router = Router::new().route("/", get(async || "done")).route("/slow", slow);
        let (_, reclaimed) = watch::channel(());
        tokio::spawn(converse(server, ([127, 0, 0, 1], 1).into(), timeouts, router, told, reclaimed));
        (client, tell)
    }

    async fn ask(client: &mut DuplexStream, request: &[u8]) -> String {
        client.write_all(request).await.expect("written");
        let mut text = vec![0; 4096];
        let length = client.read(&mut text).await.expect("a response");
        String::from_utf8_lossy(&text[..length]).into_owned()
    }

    /// Waits for the end of a connection; how long that took.
    async fn ended(client: &mut DuplexStream) -> Duration {
        let began = Instant::now();
        let reading = async { while client.read(&mut [0; 4096]).await.is_ok_and(|length| length > 0) {} };
        timeout(LONG / 2, reading).await.expect("its end");
        began.elapsed()
    }

    #[test]
    fn an_idle_connection_outlives_those_of_load_balancers() {
        assert!(TIMEOUTS.idle > Duration::from_secs(60));
    }

    #[tokio::test]
    async fn an_idle_connection_is_kept_for_longer_than_a_head_may_take() {
        let (mut client, _tell) = client(Timeouts { head: SHORT, idle: LONG });
        for _ in 0..2 {
            sleep(SHORT * 3).await;
            assert!(ask(&mut client, REQUEST).await.ends_with("done"));
        }
    }

    #[tokio::test]
    async fn an_idle_connection_ends_whether_it_was_used_before_or_not() {
        let timeouts = Timeouts { head: LONG, idle: SHORT };
        let (mut used, _tell) = client(timeouts);
        assert!(ask(&mut used, REQUEST).await.ends_with("done"));
        assert!(ended(&mut used).await >= SHORT / 2);
        let (mut unused, _tell) = client(timeouts);
        assert!(ended(&mut unused).await >= SHORT / 2);
    }

    #[tokio::test]
    async fn a_head_that_trickles_ends_its_connection_however_long_that_was_idle_before() {
        for is_used in [false, true] {
            let (mut client, _tell) = client(Timeouts { head: SHORT, idle: LONG });
            if is_used {
                assert!(ask(&mut client, REQUEST).await.ends_with("done"));
            }
            sleep(SHORT * 2).await;
            let began = Instant::now();
            let mut some = [0; 64];
            let read = loop {
                drop(client.write_all(b"x").await);
                if let Ok(read) = timeout(SHORT / 10, client.read(&mut some)).await {
                    break read;
                }
                assert!(began.elapsed() < LONG / 2, "it reads on");
            };
            assert!(!matches!(read, Ok(1..)) && began.elapsed() >= SHORT / 2, "{read:?} after {:?}", began.elapsed());
        }
    }

    #[tokio::test]
    async fn a_request_in_progress_is_neither_idle_nor_slow() {
        let (mut client, _tell) = client(Timeouts { head: SHORT, idle: SHORT });
        assert!(ask(&mut client, b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.ends_with("slow"));
        assert!(ended(&mut client).await >= SHORT / 2);
    }

    fn connections(max: usize, max_per_address: usize, proxies: &[&str]) -> Arc<Connections> {
        let proxies = proxies.iter().map(|network| network.parse().expect("a network")).collect();
        Arc::new(Connections::new(max, max_per_address, proxies))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_address_leaves_connections_to_the_others() {
        let connections = connections(4, 2, &["10.0.0.0/8"]);
        let first = connections.take(ip("2001:db8:1:2::1"));
        let second = connections.take(ip("2001:db8:1:2::2"));
        assert!(first.is_ok() && second.is_ok());
        assert_eq!(connections.take(ip("2001:db8:1:2::3")).err(), Some(Refused::Address));
        let others = (connections.take(ip("192.0.2.1")), connections.take(ip("192.0.2.2")));
        assert_eq!(connections.take(ip("192.0.2.3")).err(), Some(Refused::Node));
        assert_eq!(connections.open(), 4);
        drop((first, others));
        let again = connections.take(ip("2001:db8:1:2::3"));
        assert!(again.is_ok());
        drop((second, again));
        assert_eq!(connections.open(), 0);
        assert!(connections.lock().by_network.is_empty());
    }

    #[test]
    fn a_proxys_connections_are_many_clients() {
        let connections = connections(4, 1, &["10.0.0.0/8"]);
        let places: Vec<_> = (0..4).map(|_| connections.take(ip("::ffff:10.0.0.1"))).collect();
        assert!(places.iter().all(Result::is_ok));
    }

    /// A server of so many connections, what it refused, and what ends it.
    async fn served(connections: Arc<Connections>) -> (SocketAddr, Arc<Mutex<Vec<Refused>>>, watch::Sender<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let (stop, stopped) = watch::channel(());
        let refused = Arc::new(Mutex::new(Vec::new()));
        let heard = refused.clone();
        let router = Router::new().route("/", get(async || "done"));
        let stopped = async move { while stopped.clone().changed().await.is_ok() {} };
        let hear = move |why| heard.lock().expect("a list").push(why);
        tokio::spawn(serve(listener, router, connections, hear, stopped));
        (address, refused, stop)
    }

    async fn open(address: SocketAddr) -> TcpStream {
        TcpStream::connect(address).await.expect("a connection")
    }

    async fn is_answered(stream: &mut TcpStream) -> bool {
        let mut text = [0; 1024];
        let asked = async {
            stream.write_all(REQUEST).await?;
            stream.read(&mut text).await
        };
        asked.await.is_ok_and(|length| text[..length].ends_with(b"done"))
    }

    /// Opens connections until one is answered.
    async fn is_answered_soon(address: SocketAddr) {
        let asking = async {
            while !is_answered(&mut open(address).await).await {
                sleep(SHORT / 20).await
            }
        };
        timeout(LONG / 2, asking).await.expect("there is room again");
    }

    #[tokio::test]
    async fn a_connection_over_the_limit_is_told_so_and_closed() {
        let (address, refused, _stop) = served(connections(10, 1, &[])).await;
        let mut first = open(address).await;
        assert!(is_answered(&mut first).await);
        let mut text = String::new();
        open(address).await.read_to_string(&mut text).await.expect("a response");
        assert!(text.starts_with("HTTP/1.1 503") && text.contains("retry-after"), "{text}");
        assert_eq!(*refused.lock().expect("a list"), [Refused::Address]);
        assert!(is_answered(&mut first).await, "the others go on");
        drop(first);
        is_answered_soon(address).await;
    }

    #[tokio::test]
    async fn a_client_whose_body_is_not_read_hears_why() {
        let (address, _refused, _stop) = served(connections(10, 10, &[])).await;
        let mut stream = open(address).await;
        let body = vec![b'x'; 8 << 20];
        let head = format!("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n", body.len());
        stream.write_all(head.as_bytes()).await.expect("written");
        stream.write_all(&body).await.expect("written");
        let mut said = String::new();
        timeout(LONG / 2, stream.read_to_string(&mut said)).await.expect("an answer").expect("an answer");
        assert!(said.starts_with("HTTP/1.1 405"), "{said}");
    }

    #[tokio::test]
    async fn heads_that_are_not_completed_make_room_when_there_is_none() {
        let (address, _refused, _stop) = served(connections(2, 2, &[])).await;
        let mut begun = [open(address).await, open(address).await];
        for stream in &mut begun {
            stream.write_all(b"GET / HTTP/1.1\r\nhost: x\r\nx-a: ").await.expect("written");
        }
        sleep(SHORT).await;
        is_answered_soon(address).await;
    }

    #[tokio::test]
    async fn connections_without_a_request_make_room_when_there_is_none() {
        let (address, refused, _stop) = served(connections(2, 2, &[])).await;
        let (mut idle, silent) = (open(address).await, open(address).await);
        assert!(is_answered(&mut idle).await);
        is_answered_soon(address).await;
        assert!(refused.lock().expect("a list").contains(&Refused::Node));
        drop(silent);
    }
}
