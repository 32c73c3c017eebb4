//! A proxy to the server that can close connections, stall, and delay a COMMIT.
//!
//! It follows the protocol as far as needed: after the startup message a client's messages are a
//! type, a length and a body (PostgreSQL manual, "Message Formats"). Connections are not encrypted.

use crate::Outcome;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, TcpListener, TcpStream};
use std::sync::atomic::Ordering::SeqCst;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, sleep};
use std::time::Duration;

/// The interval of polling.
const POLL_INTERVAL: Duration = Duration::from_millis(2);
/// The longest body that is checked for COMMIT.
const MAX_COMMIT: usize = 1024;

/// A proxy; its connections end when it is dropped.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    server: u16,
    over: AtomicBool,
    stalled: AtomicBool,
    /// The connections of a dead program stay open to the server.
    lingers: AtomicBool,
    /// The number of COMMITs that pass before one is delayed; `usize::MAX` for none.
    hold_after: AtomicUsize,
    /// The number of connections that the program has made.
    connected: AtomicU64,
    /// A delayed COMMIT has reached the server.
    released: AtomicBool,
    open: Mutex<Vec<(TcpStream, TcpStream)>>,
}

impl Proxy {
    /// Starts a proxy for the server at a port.
    pub fn start(server: u16) -> Outcome<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let hold_after = AtomicUsize::new(usize::MAX);
        let shared = Arc::new(Shared { server, hold_after, ..Shared::default() });
        let ours = Arc::clone(&shared);
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                if ours.over.load(SeqCst) {
                    break;
                }
                let shared = Arc::clone(&ours);
                // A server that is away shows as a connection that ends at once.
                thread::spawn(move || drop(shared.serve(client)));
            }
        });
        Ok(Self { port, shared })
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Closes all connections.
    pub fn cut(&self) {
        for (client, server) in self.shared.open().drain(..) {
            let _ = client.shutdown(Shutdown::Both);
            let _ = server.shutdown(Shutdown::Both);
        }
    }

    /// Stops or continues all traffic.
    pub fn stall(&self, stalled: bool) {
        self.shared.stalled.store(stalled, SeqCst);
    }

    /// From now on the server does not see that the program has ended.
    pub fn linger(&self) {
        self.shared.lingers.store(true, SeqCst);
    }

    /// Delays the COMMIT that comes after `others`, and closes the program's side of its connection.
    pub fn hold_commit(&self, others: usize) {
        self.shared.hold_after.store(others, SeqCst);
    }

    /// Whether a delayed COMMIT has reached the server.
    pub fn has_released(&self) -> bool {
        self.shared.released.load(SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.over.store(true, SeqCst);
        self.shared.stalled.store(false, SeqCst);
        self.cut();
        // Wakes the listening thread.
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

impl Shared {
    fn open(&self) -> std::sync::MutexGuard<'_, Vec<(TcpStream, TcpStream)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let server = TcpStream::connect((Ipv4Addr::LOCALHOST, self.server))?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        self.connected.fetch_add(1, SeqCst);
        self.open().push((client.try_clone()?, server.try_clone()?));
        let back = {
            let (shared, server, client) =
                (Arc::clone(self), server.try_clone()?, client.try_clone()?);
            thread::spawn(move || {
                let _ = shared.answers(server, &client);
                let _ = client.shutdown(Shutdown::Both);
            })
        };
        let _ = self.requests(client, &server);
        if !self.lingers.load(SeqCst) {
            let _ = server.shutdown(Shutdown::Both);
        }
        // Read a lingering connection until the server closes it.
        let _ = back.join();
        Ok(())
    }

    fn pass(&self) {
        while self.stalled.load(SeqCst) {
            sleep(POLL_INTERVAL);
        }
    }

    /// From the server to the program.
    fn answers(&self, mut server: TcpStream, mut client: &TcpStream) -> io::Result<()> {
        let mut buffer = [0; 16 * 1024];
        loop {
            let length = match server.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            self.pass();
            let sent = client.write_all(&buffer[..length]);
            if !self.lingers.load(SeqCst) {
                sent?;
            }
        }
    }

    /// From the program to the server.
    fn requests(&self, mut client: TcpStream, mut server: &TcpStream) -> io::Result<()> {
        // The startup message has no type.
        let mut length = [0; 4];
        client.read_exact(&mut length)?;
        server.write_all(&length)?;
        copy(&mut client, &mut server, body_length(length)?)?;
        loop {
            let mut head = [0; 5];
            client.read_exact(&mut head)?;
            let [kind, length @ ..] = head;
            let length = body_length(length)?;
            self.pass();
            if !matches!(kind, b'Q' | b'P') || length > MAX_COMMIT {
                server.write_all(&head)?;
                copy(&mut client, &mut server, length)?;
                continue;
            }
            let mut body = vec![0; length];
            client.read_exact(&mut body)?;
            let message = [&head[..], &body].concat();
            if is_commit(kind, &body) && self.is_to_be_held() {
                return self.hold(&client, server, &message);
            }
            server.write_all(&message)?;
        }
    }

    fn is_to_be_held(&self) -> bool {
        let one_less = |left: usize| (left != usize::MAX).then(|| left.wrapping_sub(1));
        self.hold_after.fetch_update(SeqCst, SeqCst, one_less) == Ok(0)
    }

    /// Closes the program's connection, waits until it has connected again, and then sends its COMMIT.
    fn hold(&self, client: &TcpStream, mut server: &TcpStream, message: &[u8]) -> io::Result<()> {
        let before = self.connected.load(SeqCst);
        client.shutdown(Shutdown::Both)?;
        while self.connected.load(SeqCst) == before && !self.over.load(SeqCst) {
            sleep(POLL_INTERVAL);
        }
        // Long enough for the new session to read the ledger and to send its block again.
        sleep(Duration::from_millis(fastrand::u64(..300)));
        self.released.store(true, SeqCst);
        // The program may have ended this session on the server.
        server.write_all(message)?;
        sleep(Duration::from_millis(200));
        Ok(())
    }
}

fn body_length(length: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_be_bytes(length).checked_sub(4);
    let length = length.and_then(|length| usize::try_from(length).ok());
    length.ok_or_else(|| io::Error::other("not a message of PostgreSQL's protocol"))
}

fn copy(from: &mut impl Read, to: &mut impl Write, length: usize) -> io::Result<()> {
    let copied = io::copy(&mut from.take(length as u64), to)?;
    if copied == length as u64 { Ok(()) } else { Err(ErrorKind::UnexpectedEof.into()) }
}

/// Whether a Query or Parse message says COMMIT.
fn is_commit(kind: u8, body: &[u8]) -> bool {
    // A Parse message begins with the statement's name.
    let name = if kind == b'P' {
        body.iter().position(|byte| *byte == 0).map_or(0, |at| at + 1)
    } else {
        0
    };
    body[name..].get(..6).is_some_and(|word| word.eq_ignore_ascii_case(b"commit"))
}
