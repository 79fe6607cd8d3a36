//! A network between the tests and a server: its address stays while its target changes, and it can disturb
//! connections.

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::Server;

/// A port that forwards to a server until the test's process ends.
#[derive(Debug)]
pub struct Forwarder {
    port: u16,
    network: Arc<Network>,
}

#[derive(Debug)]
struct Network {
    /// The socket that new connections are forwarded to.
    target: Mutex<PathBuf>,
    /// Whether existing connections are silent.
    is_silent: Mutex<Arc<AtomicBool>>,
    /// The number of intact responses before a garbled one, plus one; 0 if none is to be garbled.
    garble_countdown: AtomicUsize,
}

impl Forwarder {
    /// Starts forwarding to this server.
    ///
    /// # Errors
    /// If no port is free.
    pub fn start(server: &Server) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let port = listener.local_addr()?.port();
        let target = Mutex::new(server.socket());
        let network = Arc::new(Network { target, is_silent: Mutex::default(), garble_countdown: AtomicUsize::new(0) });
        let of_all = network.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let server = UnixStream::connect(&*lock(&of_all.target));
                let (network, is_silent) = (of_all.clone(), lock(&of_all.is_silent).clone());
                // Without a server the port behaves like a closed one.
                let Ok(server) = server else { continue };
                std::thread::spawn(move || drop(network.connect(&client, &server, &is_silent)));
            }
        });
        Ok(Self { port, network })
    }

    /// Returns the URL of this database through the forwarder.
    pub fn address(&self, address: &str) -> String {
        let name = address.split('?').next().and_then(|address| address.rsplit('/').next()).unwrap_or_default();
        format!("postgres://tester@127.0.0.1:{}/{name}?sslmode=disable", self.port)
    }

    /// Forwards new connections to this server. Existing ones stay.
    pub fn set_target(&self, server: &Server) {
        *lock(&self.network.target) = server.socket();
    }

    /// Drops all further traffic on existing connections without closing them, like a machine that loses its power.
    pub fn drop_traffic(&self) {
        let mut is_silent = lock(&self.network.is_silent);
        is_silent.store(true, Ordering::Relaxed);
        *is_silent = Arc::default();
    }

    /// Garbles a response of the server after this number of intact ones.
    pub fn garble_after(&self, answers: usize) {
        self.network.garble_countdown.store(answers + 1, Ordering::Relaxed);
    }

    /// Returns whether a response was garbled since the last call of [`garble_after`](Self::garble_after).
    pub fn has_garbled(&self) -> bool {
        self.network.garble_countdown.load(Ordering::Relaxed) == 0
    }
}

impl Network {
    fn connect(
        self: &Arc<Self>,
        client: &TcpStream,
        server: &UnixStream,
        is_silent: &Arc<AtomicBool>,
    ) -> io::Result<()> {
        client.set_nodelay(true)?;
        let (from, to, silent) = (client.try_clone()?, server.try_clone()?, is_silent.clone());
        std::thread::spawn(move || {
            copy(&from, &to, &silent, |_| {});
            drop(to.shutdown(Shutdown::Both));
        });
        copy(server, client, is_silent, |answer| {
            let counted = |left: usize| left.checked_sub(1);
            if self.garble_countdown.fetch_update(Ordering::Relaxed, Ordering::Relaxed, counted) == Ok(1) {
                answer.fill(0xff);
            }
        });
        client.shutdown(Shutdown::Both)
    }
}

/// Copies until one side ends. Stops forwarding forever once the connections are silent.
fn copy(mut from: impl Read, mut to: impl Write, is_silent: &AtomicBool, change: impl Fn(&mut [u8])) {
    let mut buffer = vec![0; 64 << 10];
    loop {
        let Ok(length @ 1..) = from.read(&mut buffer) else { return };
        while is_silent.load(Ordering::Relaxed) {
            std::thread::park();
        }
        let Some(part) = buffer.get_mut(..length) else { return };
        change(part);
        if to.write_all(part).is_err() {
            return;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
