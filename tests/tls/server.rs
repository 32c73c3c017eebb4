//! A small private server for these tests: its own folder, socket and port; gone when dropped.

use super::certificates::Certificates;
use super::{Environment, Session, connect, hand_over, parse};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running server.
pub(crate) struct Server {
    pub(crate) port: u16,
    folder: tempfile::TempDir,
    process: Child,
}

/// The user of the server if the tests run as root, which PostgreSQL refuses: `postgres`, or `nobody`.
pub(crate) fn unprivileged_user() -> Option<u32> {
    let id = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().ok()?;
        String::from_utf8(output.stdout).ok()?.trim().parse::<u32>().ok()
    };
    (id(&["-u"]) == Some(0)).then(|| id(&["-u", "postgres"]).unwrap_or(65_534))
}

/// A free port.
pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn program(name: &str) -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<_> =
        versions.map(|v| v.path().join("bin").join(name)).filter(|p| p.exists()).collect();
    found.sort();
    found.pop().unwrap_or_else(|| PathBuf::from(name))
}

fn command(name: &str) -> Command {
    let mut command = Command::new(program(name));
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null());
    if let Some(user) = unprivileged_user() {
        command.uid(user).gid(user);
    }
    command
}

impl Server {
    /// Starts a server with the given `pg_hba.conf`; with TLS and the certificate `good`, if
    /// there are certificates.
    pub(crate) fn start(certificates: Option<&Certificates>, rules: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        hand_over(folder.path());
        let data = folder.path().join("data");
        let made = command("initdb")
            .args(["--no-sync", "-A", "trust", "-U", "admin", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .status()
            .unwrap();
        assert!(made.success(), "initdb failed");
        std::fs::write(data.join("pg_hba.conf"), rules).unwrap();
        let port = free_port();
        let mut server = command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(folder.path()).args([
            "-p",
            &port.to_string(),
            "-F",
        ]);
        server.args(["-c", "listen_addresses=127.0.0.1"]);
        if let Some(certificates) = certificates {
            install(certificates, "good", &data);
            std::fs::copy(certificates.path("client-ca.crt"), data.join("ca.crt")).unwrap();
            hand_over(&data.join("ca.crt"));
            server.args(["-c", "ssl=on", "-c", "ssl_ca_file=ca.crt"]);
        }
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let process = server.stderr(log).spawn().unwrap();
        let server = Self { port, folder, process };
        server.wait();
        server
    }

    /// A connection string for the socket and the superuser.
    pub(crate) fn socket_text(&self) -> String {
        format!(
            "host={} port={} user=admin dbname=postgres",
            self.folder.path().display(),
            self.port
        )
    }

    /// A session of the superuser.
    pub(crate) fn session(&self) -> Session {
        connect(&parse(&self.socket_text(), &Environment::default()), "set up").unwrap()
    }

    /// Gives the server another certificate.
    pub(crate) fn use_certificate(&mut self, certificates: &Certificates, name: &str) {
        let loaded = || -> String {
            let row =
                self.session().client.query_one("SELECT pg_catalog.pg_conf_load_time()::text", &[]);
            row.unwrap().get(0)
        };
        let before = loaded();
        install(certificates, name, &self.folder.path().join("data"));
        self.session().client.batch_execute("SELECT pg_catalog.pg_reload_conf()").unwrap();
        let start = Instant::now();
        while loaded() == before {
            assert!(start.elapsed() < Duration::from_secs(60), "the server does not reload");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn wait(&self) {
        let connection = parse(&self.socket_text(), &Environment::default());
        let start = Instant::now();
        while let Err(error) = connect::<postgres::Client>(&connection, "wait") {
            let log =
                || std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            assert!(start.elapsed() < Duration::from_secs(60), "{error}\n{}", log());
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let data = self.folder.path().join("data");
        let _ = command("pg_ctl").args(["stop", "-m", "immediate", "-D"]).arg(data).status();
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn install(certificates: &Certificates, name: &str, data: &Path) {
    for (kind, target) in [("crt", "server.crt"), ("key", "server.key")] {
        let target = data.join(target);
        std::fs::copy(certificates.path(&format!("{name}.{kind}")), &target).unwrap();
        std::fs::set_permissions(&target, std::fs::Permissions::from_mode(0o600)).unwrap();
        hand_over(&target);
    }
}
