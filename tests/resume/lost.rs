//! A server that is killed and started again, in whole or one of its processes.

use super::*;
use migrate::internals::{Options, PrivateServer, Shutdown};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

fn server() -> PrivateServer {
    PrivateServer::start(&Options::default()).unwrap()
}

/// The number of the server's process behind a session of the run.
fn backend(url: &str, purpose: &str) -> String {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'migrate {purpose} %'"
    );
    psql(url, &sql)
}

#[test]
fn a_killed_process_of_the_server_loses_no_row() {
    let (source, server) = (Source::new(), server());
    let url = server.url("postgres");
    let child = source.start(&url, &[]);
    let _somebody = hold_the_copy(&url);
    // The server restarts all its processes, and what was not on the disk is lost.
    let victim = backend(&url, "copy");
    assert!(Command::new("kill").args(["-9", &victim]).status().unwrap().success());
    assert_whole(&source, &url, &child.wait_with_output().unwrap());
}

#[test]
fn a_killed_server_is_waited_for() {
    for hold in [hold_the_copy, hold_the_finish, hold_the_verdict] {
        let (source, mut server) = (Source::new(), server());
        let url = server.url("postgres");
        let child = source.start(&url, &[]);
        let somebody = hold(&url);
        server.shut_down(Shutdown::Kill).unwrap();
        drop(somebody);
        server.restart().unwrap();
        assert_whole(&source, &url, &child.wait_with_output().unwrap());
    }
}

#[test]
fn a_server_that_does_not_return_ends_the_run_in_time_and_the_next_one_resumes() {
    let (source, mut server) = (Source::new(), server());
    let url = server.url("postgres");
    let child = source.start(&url, &["--retry-for", "2s"]);
    let somebody = hold_the_copy(&url);
    server.shut_down(Shutdown::Immediate).unwrap();
    drop(somebody);
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    assert_code(&output, 1);
    assert_says(&output, &["the connection was retried for 2 s", "the source is unchanged"]);
    server.restart().unwrap();
    let output = source.run(&url, &[]);
    assert_says(&output, &["resumes the run"]);
    assert_whole(&source, &url, &output);
}

/// A proxy that stops forwarding at some moment, while connections stay open and new ones are accepted.
/// It can also stop only for requests on a connection that has transferred much data.
struct Proxy {
    port: u16,
    is_stalled: Arc<AtomicBool>,
}

impl Proxy {
    fn before(server: u16, carries_at_most: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let is_stalled = Arc::new(AtomicBool::new(false));
        let still = Arc::clone(&is_stalled);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let server = TcpStream::connect(("127.0.0.1", server)).unwrap();
                let there = (client.try_clone().unwrap(), server.try_clone().unwrap());
                for ((from, to), at_most) in
                    [(there, carries_at_most), ((server, client), u64::MAX)]
                {
                    let still = Arc::clone(&still);
                    std::thread::spawn(move || pass_on(from, to, &still, at_most));
                }
            }
        });
        Self { port, is_stalled }
    }

    /// The server's URL, by way of here.
    fn url(&self, server: &PrivateServer) -> String {
        let url = server.tcp_url("postgres").unwrap();
        url.replace(&format!(":{}/", server.port()), &format!(":{}/", self.port))
    }
}

fn pass_on(mut from: TcpStream, mut to: TcpStream, is_stalled: &AtomicBool, at_most: u64) {
    let mut buffer = [0; 65_536];
    let mut carried = 0;
    while let Ok(length @ 1..) = from.read(&mut buffer) {
        carried += length as u64;
        while is_stalled.load(Ordering::Relaxed) || carried > at_most {
            std::thread::park_timeout(Duration::from_millis(50));
        }
        if to.write_all(&buffer[..length]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(std::net::Shutdown::Both);
}

#[test]
fn a_connection_that_is_stalled_ends_the_run_in_time() {
    let source = Source::new();
    let server = PrivateServer::start(&Options { tcp: true, ..Options::default() }).unwrap();
    let url = server.url("postgres");
    // Four chunks of about 1 MiB, and a part of the fifth.
    let proxy = Proxy::before(server.port(), 4_500_000);
    let since = Instant::now();
    let output = source.run(&proxy.url(&server), &["--retry-for", "2s"]);
    assert!(since.elapsed() < Duration::from_secs(40), "{:?}", since.elapsed());
    assert_code(&output, 1);
    assert_says(&output, &["the server no longer answers", "--restart"]);
    assert_whole(&source, &url, &source.run(&url, &[]));
}

#[test]
fn a_server_that_stops_answering_ends_the_run_and_the_next_one_resumes() {
    let source = Source::new();
    let server = PrivateServer::start(&Options { tcp: true, ..Options::default() }).unwrap();
    let url = server.url("postgres");
    let proxy = Proxy::before(server.port(), u64::MAX);
    let child = source.start(&proxy.url(&server), &["--retry-for", "2s"]);
    let somebody = hold_the_copy(&url);
    proxy.is_stalled.store(true, Ordering::Relaxed);
    drop(somebody);
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(30), "{:?}", since.elapsed());
    assert_code(&output, 1);
    assert_says(&output, &["the server no longer answers", "the source is unchanged", "--restart"]);
    // The proxy keeps the connections of the dead run open.
    let output = source.run(&url, &[]);
    assert_says(&output, &["resumes the run"]);
    assert_whole(&source, &url, &output);
}
