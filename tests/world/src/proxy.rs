//! The network between two processes: a TCP proxy that can cut, hold, slow down, and lose what goes through it.
//!
//! It runs in the process that tests, one for each pair of processes, and needs no privileges. What it holds back it does
//! not read, so that buffers fill up and senders block, as they do when the far end does not answer.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::JoinHandle,
};

/// How much is read at once, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;
/// How long a connection to the far end may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(5);
/// The wait after a connection could not be accepted, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weather {
    /// Everything goes through.
    #[default]
    Clear,
    /// Everything goes through, each piece after so long.
    Slow(Duration),
    /// Connections are closed, and new ones too.
    Cut,
    /// Nothing goes through, and nobody is told.
    Still,
    /// What the client sends goes through; it hears nothing.
    Deaf,
    /// What the server sends goes through; the client's words do not.
    Mute,
    /// Requests go through; at the first byte of an answer the connection is closed.
    LosesAnswers,
}

/// The weather, and how often everything that was open has been closed.
#[derive(Debug, Clone, Copy, Default)]
struct Sky {
    weather: Weather,
    era: u64,
}

/// A proxy for one address. Dropping it closes everything.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    upstream: watch::Sender<Option<SocketAddr>>,
    sky: watch::Sender<Sky>,
    lost: Arc<AtomicU64>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Direction {
    ToServer,
    ToClient,
}

impl Proxy {
    /// Listens on a free port of this machine. Connections are closed until [`Self::leads_to`] says where they go.
    ///
    /// # Errors
    /// No port can be had.
    pub async fn open() -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let (upstream, _) = watch::channel(None);
        let (sky, _) = watch::channel(Sky::default());
        let lost = Arc::new(AtomicU64::new(0));
        let accepting =
            tokio::spawn(accept(listener, upstream.subscribe(), sky.subscribe(), Arc::clone(&lost)));
        Ok(Self { address, upstream, sky, lost, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on, connections lead to `server`.
    pub fn leads_to(&self, server: SocketAddr) {
        self.upstream.send_replace(Some(server));
    }

    /// Changes the weather, for open connections too.
    pub fn set(&self, weather: Weather) {
        self.sky.send_modify(|sky| sky.weather = weather);
    }

    /// Changes the weather, and closes every connection that is open.
    pub fn reset(&self, weather: Weather) {
        self.sky.send_modify(|sky| *sky = Sky { weather, era: sky.era + 1 });
    }

    /// How many answers were lost by [`Weather::LosesAnswers`].
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

impl Weather {
    fn holds(self, direction: Direction) -> bool {
        match self {
            Self::Still => true,
            Self::Deaf => direction == Direction::ToClient,
            Self::Mute => direction == Direction::ToServer,
            Self::Clear | Self::Slow(_) | Self::Cut | Self::LosesAnswers => false,
        }
    }
}

async fn accept(
    listener: TcpListener,
    upstream: watch::Receiver<Option<SocketAddr>>,
    sky: watch::Receiver<Sky>,
    lost: Arc<AtomicU64>,
) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let server = *upstream.borrow();
        if let Some(server) = server {
            tokio::spawn(carry(client, server, sky.clone(), Arc::clone(&lost)));
        }
    }
}

/// Carries one connection until either end closes it, or the weather does.
async fn carry(client: TcpStream, server: SocketAddr, mut sky: watch::Receiver<Sky>, lost: Arc<AtomicU64>) {
    let born = sky.borrow().era;
    if !passes(&mut sky, born, Direction::ToServer).await {
        return;
    }
    let Ok(Ok(server)) = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(server)).await else {
        return;
    };
    // A socket that refuses is only slower.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let ((from_client, to_client), (from_server, to_server)) = (client.into_split(), server.into_split());
    tokio::select! {
        () = pump(from_client, to_server, Direction::ToServer, sky.clone(), born, &lost) => {}
        () = pump(from_server, to_client, Direction::ToClient, sky, born, &lost) => {}
    }
}

/// Waits as long as the weather holds `direction` back; false if it closes the connection.
async fn passes(sky: &mut watch::Receiver<Sky>, born: u64, direction: Direction) -> bool {
    loop {
        let now = *sky.borrow_and_update();
        if now.weather == Weather::Cut || now.era != born {
            return false;
        }
        if !now.weather.holds(direction) {
            return true;
        }
        if sky.changed().await.is_err() {
            return false;
        }
    }
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    direction: Direction,
    mut sky: watch::Receiver<Sky>,
    born: u64,
    lost: &AtomicU64,
) {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if !passes(&mut sky, born, direction).await {
            return;
        }
        let length = tokio::select! {
            read = from.read(&mut chunk) => match read {
                Ok(0) | Err(_) => return,
                Ok(length) => length,
            },
            changed = sky.changed() => match changed {
                Ok(()) => continue,
                Err(_) => return,
            },
        };
        // It may have changed while the bytes were waited for.
        if !passes(&mut sky, born, direction).await {
            return;
        }
        let weather = sky.borrow().weather;
        match weather {
            Weather::LosesAnswers if direction == Direction::ToClient => {
                lost.fetch_add(1, Ordering::Relaxed);
                return;
            }
            Weather::Slow(delay) => tokio::time::sleep(delay).await,
            _ => {}
        }
        let mut rest = chunk.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            // A peer that stands still fills its buffers: this waits then, and must still see that it is cut off.
            tokio::select! {
                written = to.write(rest) => match written {
                    Ok(0) | Err(_) => return,
                    Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                },
                changed = sky.changed() => {
                    let now = *sky.borrow();
                    if changed.is_err() || now.weather == Weather::Cut || now.era != born {
                        return;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A server that answers every byte with the same byte.
    async fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut from, mut to) = stream.into_split();
                    tokio::io::copy(&mut from, &mut to).await
                });
            }
        });
        address
    }

    async fn connected() -> (Proxy, TcpStream) {
        let proxy = Proxy::open().await.unwrap();
        proxy.leads_to(echo().await);
        let mut client = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(said(&mut client, b'a').await, Some(b'a'));
        (proxy, client)
    }

    /// What comes back of `byte`; `None` if the connection is closed.
    async fn said(client: &mut TcpStream, byte: u8) -> Option<u8> {
        client.write_all(&[byte]).await.ok()?;
        client.read_u8().await.ok()
    }

    const MOMENT: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn what_is_held_back_arrives_when_the_weather_clears() {
        for weather in [Weather::Still, Weather::Deaf, Weather::Mute] {
            let (proxy, mut client) = connected().await;
            proxy.set(weather);
            tokio::time::timeout(MOMENT, said(&mut client, b'b')).await.expect_err("it is held back");
            proxy.set(Weather::Clear);
            assert_eq!(client.read_u8().await.unwrap(), b'b', "{weather:?}");
        }
    }

    #[tokio::test]
    async fn what_is_cut_is_closed_and_stays_so_until_the_weather_clears() {
        let (proxy, mut client) = connected().await;
        proxy.set(Weather::Cut);
        assert_eq!(said(&mut client, b'b').await, None);
        let mut second = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(said(&mut second, b'c').await, None);
        proxy.set(Weather::Clear);
        let mut third = TcpStream::connect(proxy.address()).await.unwrap();
        assert_eq!(said(&mut third, b'd').await, Some(b'd'));
        proxy.reset(Weather::Clear);
        assert_eq!(said(&mut third, b'e').await, None, "a reset closes what is open");
    }

    #[tokio::test]
    async fn an_answer_is_lost_after_the_request_went_through() {
        let (proxy, mut client) = connected().await;
        proxy.set(Weather::LosesAnswers);
        assert_eq!(said(&mut client, b'b').await, None);
        assert_eq!(proxy.lost(), 1);
    }

    #[tokio::test]
    async fn slow_is_late_and_whole() {
        let (proxy, mut client) = connected().await;
        proxy.set(Weather::Slow(MOMENT));
        let began = tokio::time::Instant::now();
        assert_eq!(said(&mut client, b'b').await, Some(b'b'));
        assert!(began.elapsed() >= 2 * MOMENT, "there and back");
    }
}
