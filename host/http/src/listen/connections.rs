//! The open connections of a node: their limits, and which one is evicted for another.
//!
//! When the node is full, a new connection evicts one that has no request in progress. It is taken from the network
//! that has the most of those, so that a client that opens many connections shuts no other client out. A network never loses a
//! connection that it opened less than a second ago to a network that has as many or more.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ipnet::IpNet;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::stream::{Phase, Progress};
use crate::client_address::network_of;
use crate::limits::LimitSettings;

/// Time for which a connection without a request cannot be evicted from a full node, unless its network has more
/// connections than the newcomer's.
const RECLAIM_AFTER: Duration = Duration::from_secs(1);
/// Divisor of the maximum number of connections that gives the number reserved for proxies.
const PROXY_RESERVE_DIVISOR: usize = 4;

/// The limit that a refused connection exceeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ConnectionLimit {
    /// The limit of all connections of the node.
    Node,
    /// The limit of the connections from one address.
    Address,
}

impl ConnectionLimit {
    /// Returns the name of the limit in metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Address => "address",
        }
    }
}

/// The network that a connection comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Network {
    /// The proxies, whose connections carry the requests of many clients.
    Proxies,
    /// The network of a client.
    Client(IpAddr),
}

/// The open connections of a node.
pub(crate) struct Connections {
    max: usize,
    max_per_address: usize,
    proxies: Vec<IpNet>,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    connections: HashMap<u64, Connection>,
    /// Number of connections of each network; no entry is zero.
    by_network: HashMap<Network, usize>,
    last_id: u64,
}

struct Connection {
    network: Network,
    progress: Arc<Progress>,
    evicted: Arc<Notify>,
}

impl Connections {
    /// Creates the list. `max_per_address` does not limit the connections of `proxies`, and a quarter of `max` is
    /// reserved for them if there are any.
    pub(super) fn new(max: usize, max_per_address: usize, proxies: Vec<IpNet>) -> Self {
        Self { max, max_per_address, proxies, open: Mutex::default() }
    }

    /// Creates the list with the limits that an operator set.
    pub(crate) fn from_settings(settings: &LimitSettings, proxies: Vec<IpNet>) -> Self {
        let size = |number: NonZeroU32| usize::try_from(number.get()).unwrap_or(usize::MAX);
        Self::new(size(settings.max_connections), size(settings.max_connections_per_address), proxies)
    }

    /// Returns the number of open connections.
    pub(crate) fn open(&self) -> usize {
        self.lock().connections.len()
    }

    /// Returns the maximum number of open connections.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// Counts a connection until its permit is dropped. On a full node this may evict another connection.
    ///
    /// # Errors
    /// If a limit is reached and no connection can be evicted.
    pub(super) fn take(self: &Arc<Self>, from: IpAddr) -> Result<ConnectionPermit, ConnectionLimit> {
        self.take_at(from, Instant::now())
    }

    fn take_at(self: &Arc<Self>, from: IpAddr, now: Instant) -> Result<ConnectionPermit, ConnectionLimit> {
        let network = self.network(from);
        let mut open = self.lock();
        if network != Network::Proxies && open.of(network) >= self.max_per_address {
            return Err(ConnectionLimit::Address);
        }
        if !self.has_room(&open, network) {
            let id = open.next_to_evict(network, now).ok_or(ConnectionLimit::Node)?;
            if let Some(connection) = open.remove(id) {
                connection.evicted.notify_one();
            }
        }
        let (progress, evicted) = (Arc::new(Progress::new(now)), Arc::new(Notify::new()));
        let id = open.insert(Connection { network, progress: progress.clone(), evicted: evicted.clone() });
        Ok(ConnectionPermit { connections: self.clone(), id, progress, evicted })
    }

    fn network(&self, from: IpAddr) -> Network {
        let from = from.to_canonical();
        if self.proxies.iter().any(|proxies| proxies.contains(&from)) {
            Network::Proxies
        } else {
            Network::Client(network_of(from))
        }
    }

    fn has_room(&self, open: &Open, network: Network) -> bool {
        let all = open.connections.len();
        let reserved = if self.proxies.is_empty() { 0 } else { self.max / PROXY_RESERVE_DIVISOR };
        let of_clients = all.saturating_sub(open.of(Network::Proxies));
        all < self.max && (network == Network::Proxies || of_clients < self.max.saturating_sub(reserved))
    }

    fn lock(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Open {
    /// Returns the number of connections of a network.
    fn of(&self, network: Network) -> usize {
        self.by_network.get(&network).copied().unwrap_or_default()
    }

    /// Returns the connection to evict for a newcomer from a network: of the network with the most connections without
    /// a request, an idle one before one with an unfinished head, and then the one that has been waiting longest.
    fn next_to_evict(&self, newcomer: Network, now: Instant) -> Option<u64> {
        let mut waiting_by_network: HashMap<Network, usize> = HashMap::new();
        let mut waiting = Vec::new();
        for (&id, Connection { network, progress, .. }) in &self.connections {
            let (phase, since) = progress.phase();
            // Only a proxy's connection can evict a proxy's.
            if phase != Phase::Request && (*network != Network::Proxies || newcomer == Network::Proxies) {
                *waiting_by_network.entry(*network).or_default() += 1;
                waiting.push((id, *network, phase == Phase::Idle, since));
            }
        }
        let waiting_of = |network: Network| waiting_by_network.get(&network).copied().unwrap_or_default();
        let may_evict = |network: Network, is_idle: bool, since: Instant| {
            // A proxy's connections belong to many clients, each of which counts as one without another connection.
            let newcomers = match (newcomer, network) {
                (Network::Proxies, Network::Client(_)) => 0,
                _ => self.of(newcomer),
            };
            let has_fewer = newcomer != network && waiting_of(network) < newcomers;
            waiting_of(network) >= newcomers + 2
                || (now.saturating_duration_since(since) >= RECLAIM_AFTER && (is_idle || !has_fewer))
        };
        waiting
            .into_iter()
            .filter(|&(_, network, is_idle, since)| may_evict(network, is_idle, since))
            .max_by_key(|&(id, network, is_idle, since)| (waiting_of(network), is_idle, Reverse((since, id))))
            .map(|(id, ..)| id)
    }

    fn insert(&mut self, connection: Connection) -> u64 {
        self.last_id += 1;
        *self.by_network.entry(connection.network).or_default() += 1;
        self.connections.insert(self.last_id, connection);
        self.last_id
    }

    fn remove(&mut self, id: u64) -> Option<Connection> {
        let connection = self.connections.remove(&id)?;
        if let Some(of_network) = self.by_network.get_mut(&connection.network) {
            *of_network = of_network.saturating_sub(1);
            if *of_network == 0 {
                self.by_network.remove(&connection.network);
            }
        }
        Some(connection)
    }
}

/// The permit of one open connection.
pub(super) struct ConnectionPermit {
    connections: Arc<Connections>,
    id: u64,
    progress: Arc<Progress>,
    evicted: Arc<Notify>,
}

impl ConnectionPermit {
    /// Returns the progress of the connection.
    pub(super) fn progress(&self) -> &Arc<Progress> {
        &self.progress
    }

    /// Waits until this connection is evicted.
    pub(super) async fn evicted(&self) {
        self.evicted.notified().await;
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        // An evicted connection is no longer in the list.
        self.connections.lock().remove(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::super::stream::InProgressGuard;
    use super::*;

    fn connections(max: usize, max_per_address: usize, proxies: &[&str]) -> Arc<Connections> {
        let proxies = proxies.iter().map(|network| network.parse().expect("a network")).collect();
        Arc::new(Connections::new(max, max_per_address, proxies))
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    fn take(connections: &Arc<Connections>, from: &str) -> ConnectionPermit {
        connections.take(ip(from)).unwrap_or_else(|limit| panic!("{from} is over the limit of {limit:?}"))
    }

    fn is_evicted(permit: &ConnectionPermit) -> bool {
        !permit.connections.lock().connections.contains_key(&permit.id)
    }

    #[test]
    fn one_address_leaves_connections_to_the_others() {
        let connections = connections(4, 2, &[]);
        let first = take(&connections, "2001:db8:1:2::1");
        let second = take(&connections, "2001:db8:1:2::2");
        assert_eq!(connections.take(ip("2001:db8:1:2::3")).err(), Some(ConnectionLimit::Address));
        let others = (take(&connections, "192.0.2.1"), take(&connections, "192.0.2.2"));
        let busy =
            [&first, &second, &others.0, &others.1].map(|permit| InProgressGuard::new(permit.progress().clone()));
        assert_eq!(connections.take(ip("192.0.2.3")).err(), Some(ConnectionLimit::Node));
        assert_eq!(connections.open(), 4);
        drop((busy, first, others));
        let again = take(&connections, "2001:db8:1:2::3");
        drop((second, again));
        assert_eq!(connections.open(), 0);
        assert!(connections.lock().by_network.is_empty());
    }

    #[test]
    fn connections_of_a_proxy_are_many_clients() {
        let connections = connections(4, 1, &["10.0.0.0/8"]);
        let permits: Vec<_> = (0..4).map(|_| connections.take(ip("::ffff:10.0.0.1"))).collect();
        assert!(permits.iter().all(Result::is_ok));
    }

    #[test]
    fn the_network_with_the_most_connections_without_a_request_makes_room_for_one_that_has_fewer_by_two() {
        let connections = connections(6, 6, &[]);
        let many: Vec<_> = (0..4).map(|_| take(&connections, "192.0.2.1")).collect();
        let few: Vec<_> = (0..2).map(|_| take(&connections, "192.0.2.2")).collect();
        let newcomers: Vec<_> = (0..2).map(|_| take(&connections, "192.0.2.3")).collect();
        assert_eq!(many.iter().map(is_evicted).collect::<Vec<_>>(), [true, true, false, false]);
        assert_eq!(connections.open(), 6);
        // All networks have two: none may take more from the others.
        for from in ["192.0.2.1", "192.0.2.2", "192.0.2.3"] {
            assert_eq!(connections.take(ip(from)).err(), Some(ConnectionLimit::Node), "{from}");
        }
        assert!(few.iter().chain(&newcomers).all(|permit| !is_evicted(permit)));
    }

    #[test]
    fn idle_connections_make_room_before_unfinished_heads_and_requests_in_progress_never() {
        let connections = connections(4, 4, &[]);
        let [request, head, late_head, idle] = ["192.0.2.1"; 4].map(|from| take(&connections, from));
        let busy = InProgressGuard::new(request.progress().clone());
        head.progress().begin_head();
        late_head.progress().begin_head();
        let first = take(&connections, "192.0.2.2");
        assert!(is_evicted(&idle) && !is_evicted(&head));
        let second = take(&connections, "192.0.2.3");
        assert!(is_evicted(&head) && !is_evicted(&late_head));
        let all_busy = [&late_head, &first, &second].map(|permit| InProgressGuard::new(permit.progress().clone()));
        let later = Instant::now() + RECLAIM_AFTER;
        assert_eq!(connections.take_at(ip("192.0.2.4"), later).err(), Some(ConnectionLimit::Node));
        assert!(!is_evicted(&request));
        drop((busy, all_busy));
    }

    #[test]
    fn after_a_second_an_idle_connection_makes_room_for_any_other_and_a_head_for_a_network_that_has_no_more() {
        let connections = connections(4, 4, &[]);
        let own = ["192.0.2.1"; 2].map(|from| take(&connections, from));
        let (head, idle) = (take(&connections, "192.0.2.2"), take(&connections, "192.0.2.3"));
        head.progress().begin_head();
        let busy = own.each_ref().map(|permit| InProgressGuard::new(permit.progress().clone()));
        assert_eq!(connections.take(ip("192.0.2.4")).err(), Some(ConnectionLimit::Node));
        let later = Instant::now() + RECLAIM_AFTER;
        let third = connections.take_at(ip("192.0.2.1"), later).unwrap_or_else(|limit| panic!("{limit:?}"));
        assert!(is_evicted(&idle) && !is_evicted(&head));
        assert_eq!(connections.take_at(ip("192.0.2.1"), later).err(), Some(ConnectionLimit::Node));
        let newcomer = connections.take_at(ip("192.0.2.4"), later).unwrap_or_else(|limit| panic!("{limit:?}"));
        assert!(is_evicted(&head) && !is_evicted(&third));
        drop((busy, newcomer));
    }

    #[test]
    fn a_quarter_is_the_proxies_and_no_client_takes_a_connection_of_a_proxy() {
        let connections = connections(8, 8, &["10.0.0.0/8"]);
        let clients: Vec<_> = (0..6).map(|_| take(&connections, "192.0.2.1")).collect();
        assert_eq!(connections.take(ip("192.0.2.1")).err(), Some(ConnectionLimit::Node));
        let mut proxies: Vec<_> = (0..2).map(|_| take(&connections, "10.0.0.1")).collect();
        assert!(!clients.iter().any(is_evicted), "they must not be evicted");
        proxies.push(take(&connections, "10.0.0.2"));
        assert_eq!(clients.iter().filter(|permit| is_evicted(permit)).count(), 1);
        let busy: Vec<_> = clients.iter().map(|permit| InProgressGuard::new(permit.progress().clone())).collect();
        let later = Instant::now() + RECLAIM_AFTER;
        assert_eq!(connections.take_at(ip("192.0.2.2"), later).err(), Some(ConnectionLimit::Node));
        assert!(!proxies.iter().any(is_evicted));
        assert!(
            connections.take_at(ip("10.0.0.3"), later).is_ok(),
            "a proxy's idle connection makes room for a proxy's"
        );
        drop(busy);
    }
}
