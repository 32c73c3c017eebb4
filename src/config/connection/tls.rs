//! The TLS settings of a connection: libpq's `ssl*` settings and `channel_binding`
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html>).

use crate::config::connection::settings::Settings;
use crate::config::environment::Environment;
use crate::error::Result;
use std::path::PathBuf;

/// The values of libpq's `sslmode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) enum SslMode {
    /// No TLS.
    Disable,
    /// First without TLS, then with TLS.
    Allow,
    /// First with TLS, then without TLS.
    #[default]
    Prefer,
    /// TLS. The certificate is verified only if there is a root certificate.
    Require,
    /// TLS with a certificate of a known authority.
    VerifyCa,
    /// TLS with a certificate of a known authority, issued for the host's name.
    VerifyFull,
}

/// The values of libpq's `channel_binding`, which binds authentication to the TLS connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ChannelBinding {
    Disable,
    #[default]
    Prefer,
    Require,
}

/// The authorities that may sign a server's certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Roots {
    /// No authority: there is no root certificate.
    None,
    /// The authorities that the system trusts.
    System,
    /// The authorities in a PEM file.
    File(PathBuf),
}

/// The TLS settings. Connections over Unix sockets ignore them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tls {
    /// The mode: whether TLS is used, and how the server is verified.
    pub(crate) mode: SslMode,
    /// Whether TLS begins with the first byte, without a request to the server (PostgreSQL 17).
    pub(crate) direct: bool,
    pub(crate) roots: Roots,
    /// The PEM file of revoked certificates.
    pub(crate) revoked: Option<PathBuf>,
    /// The PEM files of the client's certificate and key.
    pub(crate) client: Option<(PathBuf, PathBuf)>,
    /// Whether the host's name is sent in plain text (SNI), for proxies.
    pub(crate) server_name: bool,
    pub(crate) version_1_2: bool,
    pub(crate) version_1_3: bool,
    pub(crate) channel_binding: ChannelBinding,
}

impl Tls {
    /// Reads the settings. The files in `~/.postgresql`, if they exist, are the defaults.
    pub(crate) fn read(
        settings: &Settings,
        environment: &Environment,
        default_mode: SslMode,
    ) -> Result<Self> {
        let usual = |name: &str| {
            let file = environment.home.as_ref()?.join(".postgresql").join(name);
            file.exists().then_some(file)
        };
        let given = |key: &str| settings.text(key).map(PathBuf::from);
        let roots = match given("sslrootcert") {
            Some(file) if file.as_os_str() == "system" => Roots::System,
            Some(file) => Roots::File(file),
            None => usual("root.crt").map_or(Roots::None, Roots::File),
        };
        let mode = settings.choice("sslmode", &MODES)?;
        // Anybody can get a certificate from a public authority. Only the host's name then
        // identifies the server. libpq has the same rule.
        if roots == Roots::System && mode.is_some_and(|mode| mode != SslMode::VerifyFull) {
            return Err(settings.invalid("sslmode", "sslrootcert=system needs verify-full"));
        }
        let mode = match mode {
            None if roots == Roots::System => SslMode::VerifyFull,
            None => default_mode,
            Some(mode) => mode,
        };
        let direct = settings
            .choice("sslnegotiation", &[("postgres", false), ("direct", true)])?
            .unwrap_or_default();
        if direct && mode < SslMode::Require {
            return Err(settings.invalid("sslnegotiation", "direct needs sslmode=require or more"));
        }
        let certificates =
            settings.choice("sslcertmode", &[("disable", false), ("allow", true)])?;
        let certificate = given("sslcert").or_else(|| usual("postgresql.crt"));
        let key = given("sslkey").or_else(|| {
            environment.home.as_ref().map(|home| home.join(".postgresql/postgresql.key"))
        });
        let (version_1_2, version_1_3) = versions(settings)?;
        Ok(Self {
            mode,
            direct,
            roots,
            revoked: given("sslcrl").or_else(|| usual("root.crl")),
            client: certificate.zip(key).filter(|_| certificates != Some(false)),
            server_name: settings.number("sslsni")? != Some(0),
            version_1_2,
            version_1_3,
            channel_binding: settings.choice("channel_binding", &BINDINGS)?.unwrap_or_default(),
        })
    }
}

const MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

const BINDINGS: [(&str, ChannelBinding); 3] = [
    ("disable", ChannelBinding::Disable),
    ("prefer", ChannelBinding::Prefer),
    ("require", ChannelBinding::Require),
];

/// Whether TLS 1.2 and TLS 1.3 are within the given bounds. Older versions are not supported.
fn versions(settings: &Settings) -> Result<(bool, bool)> {
    let numbers = [("TLSv1", 10), ("TLSv1.1", 11), ("TLSv1.2", 12), ("TLSv1.3", 13)];
    let least = settings.choice("ssl_min_protocol_version", &numbers)?.unwrap_or(12);
    let most = settings.choice("ssl_max_protocol_version", &numbers)?.unwrap_or(13);
    if most < 12 || most < least {
        let why = "it must be at least TLSv1.2 and not below the minimum";
        return Err(settings.invalid("ssl_max_protocol_version", why));
    }
    Ok((least <= 12, most >= 13))
}
