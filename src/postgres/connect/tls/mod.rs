//! TLS with rustls, by the rules of libpq's `sslmode`.
//!
//! libpq verifies certificates with OpenSSL. It accepts three forms that rustls refuses and that
//! PostgreSQL's documentation recommends: a self-signed certificate that is its own root, X.509
//! version 1, and a host name only in the common name. This module accepts them, too. Everything else
//! is verified by rustls.

pub(crate) mod certificate;

use crate::config::connection::{Roots, SslMode, Tls};
use crate::error::{Error, Result};
use crate::postgres::connect::tls::certificate::Certificate;
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName,
    SubjectPublicKeyInfoDer, UnixTime,
};
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore,
    SignatureScheme,
};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres_rustls::MakeRustlsConnect;
use zeroize::Zeroizing;

/// The TLS connector of the driver. `host` is the name that the user gave, for `verify-full`.
/// `started` becomes true when a server starts a handshake.
///
/// Errors: certificate and key files that are missing, unreadable or accessible to others are
/// refused.
pub(crate) fn connector(
    tls: &Tls,
    host: Option<&str>,
    started: Arc<AtomicBool>,
) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let name = match (tls.mode, host) {
        (SslMode::VerifyFull, None) => {
            return Err(Error::refused("sslmode=verify-full needs a host name, not only hostaddr")
                .hint("add host=NAME, the name in the server's certificate"));
        }
        (SslMode::VerifyFull, Some(host)) => Some(host.to_owned()),
        _ => None,
    };
    let verifier = Verifier {
        algorithms: provider.signature_verification_algorithms,
        chain: chain(tls, &provider)?,
        name,
        started,
    };
    let versions: Vec<_> =
        [(tls.version_1_2, &rustls::version::TLS12), (tls.version_1_3, &rustls::version::TLS13)]
            .into_iter()
            .filter_map(|(wanted, version)| wanted.then_some(version))
            .collect();
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| Error::refused("cannot set up TLS").caused_by(error))?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match &tls.client {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => {
            let chain = certificates(certificate, "client certificate")?;
            builder
                .with_client_auth_cert(chain, private_key(key)?)
                .map_err(|error| unusable("client certificate", certificate).caused_by(error))?
        }
    };
    config.enable_sni = tls.server_name;
    if tls.direct {
        config.alpn_protocols = vec![b"postgresql".to_vec()];
    }
    Ok(MakeRustlsConnect::new(config))
}

/// The trusted authorities and their verifier. `None` without a root certificate, which the `verify-`
/// modes refuse.
fn chain(tls: &Tls, provider: &Arc<CryptoProvider>) -> Result<Option<Chain>> {
    let given = match &tls.roots {
        Roots::None if tls.mode >= SslMode::VerifyCa => {
            return Err(Error::refused(
                "cannot verify the server's certificate: no root certificate found",
            )
            .hint(
                "set sslrootcert=FILE, copy it to ~/.postgresql/root.crt, or use sslrootcert=system \
                 with sslmode=verify-full",
            ));
        }
        Roots::None => return Ok(None),
        Roots::System => rustls_native_certs::load_native_certs().certs,
        Roots::File(file) => certificates(file, "root certificate")?,
    };
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(given.iter().cloned());
    let revoked = match &tls.revoked {
        None => Vec::new(),
        Some(file) => CertificateRevocationListDer::pem_file_iter(file)
            .and_then(Iterator::collect)
            .map_err(|error| unusable("certificate revocation list", file).caused_by(error))?,
    };
    let has_revocations = !revoked.is_empty();
    let verifier =
        WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider))
            .with_crls(revoked)
            .build()
            .map_err(|error| Error::refused("cannot use the root certificates").caused_by(error))?;
    Ok(Some(Chain { given, verifier, has_revocations }))
}

/// The certificates of a PEM file, at least one.
fn certificates(file: &Path, what: &str) -> Result<Vec<CertificateDer<'static>>> {
    let found: Vec<_> = CertificateDer::pem_file_iter(file)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(what, file).caused_by(error))?;
    if found.is_empty() {
        return Err(unusable(what, file).caused_by("it contains no certificate in PEM form"));
    }
    Ok(found)
}

/// The private key of a PEM file. Only its owner may read it. As in libpq, a file of root may be
/// readable by its group.
fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    let what = "private key";
    let metadata =
        std::fs::metadata(file).map_err(|error| unusable(what, file).caused_by(error))?;
    let (allowed, forbidden) = if metadata.uid() == 0 { ("640", 0o037) } else { ("600", 0o077) };
    if metadata.mode() & forbidden != 0 {
        return Err(unusable(what, file)
            .caused_by("other users can read it")
            .hint(format!("run: chmod {allowed} {}", file.display())));
    }
    let text = std::fs::read(file).map_err(|error| unusable(what, file).caused_by(error))?;
    let text = Zeroizing::new(text);
    if memchr::memmem::find(&text, b"ENCRYPTED").is_some() {
        return Err(unusable(what, file).caused_by("it is encrypted").hint(format!(
            "decrypt it: (umask 077; openssl pkey -in {} -out KEY), and set sslkey=KEY",
            file.display()
        )));
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| unusable(what, file).caused_by(error))
}

fn unusable(what: &str, file: &Path) -> Error {
    Error::refused(format!("cannot use the {what} {}", file.display()))
}

/// The hint for a failed handshake, where there is one.
pub(crate) fn hint(error: &rustls::Error) -> Option<&'static str> {
    Some(match error {
        rustls::Error::InvalidCertificate(error) => match error {
            CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
                "renew the server's certificate, or correct the clock of this machine"
            }
            CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
                "correct the clock of this machine, or that of the certificate's authority"
            }
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                "use the host name of the certificate (and hostaddr=ADDRESS for its address); \
                 sslmode=verify-ca does not check the name"
            }
            CertificateError::UnknownIssuer | CertificateError::BadSignature => {
                "the file of sslrootcert (or ~/.postgresql/root.crt) must contain the certificate \
                 of the authority that signed the server's certificate"
            }
            CertificateError::Revoked => "the certificate is in the revocation list of sslcrl",
            CertificateError::UnknownRevocationStatus => {
                "the file of sslcrl must contain a list of each authority in the chain"
            }
            _ => return None,
        },
        rustls::Error::AlertReceived(
            AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateRequired
            | AlertDescription::CertificateExpired
            | AlertDescription::HandshakeFailure
            | AlertDescription::DecryptError,
        ) => "the server does not accept the client certificate (sslcert, sslkey)",
        _ => return None,
    })
}

/// The trusted authorities.
#[derive(Debug)]
struct Chain {
    given: Vec<CertificateDer<'static>>,
    verifier: Arc<WebPkiServerVerifier>,
    has_revocations: bool,
}

/// The verifier of one `sslmode`.
#[derive(Debug)]
struct Verifier {
    algorithms: WebPkiSupportedAlgorithms,
    /// `None` accepts any certificate.
    chain: Option<Chain>,
    /// `None` accepts any name.
    name: Option<String>,
    started: Arc<AtomicBool>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        self.started.store(true, Ordering::Relaxed);
        let Some(chain) = &self.chain else { return Ok(ServerCertVerified::assertion()) };
        let result = chain.verifier.verify_server_cert(
            end_entity,
            intermediates,
            server_name,
            ocsp_response,
            now,
        );
        match result {
            Ok(_) => {}
            // rustls checks the name last. It is checked below.
            Err(rustls::Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) => {}
            // A certificate of a form that rustls refuses.
            Err(rustls::Error::InvalidCertificate(error @ CertificateError::Other(_)))
                if !chain.has_revocations =>
            {
                let certificate = Certificate::read(end_entity)?;
                let is_root = chain.given.iter().any(|root| root == end_entity);
                if !is_root && !certificate.is_version_1_of(&chain.given, self.algorithms.all) {
                    let is_unknown = certificate.is_version_1() || certificate.is_self_issued();
                    let error = if is_unknown { CertificateError::UnknownIssuer } else { error };
                    return Err(error.into());
                }
                certificate.check_dates(now)?;
            }
            Err(error) => return Err(error),
        }
        if let Some(name) = &self.name {
            Certificate::read(end_entity)?.check_name(name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    // The server must prove in every mode that it owns the certificate: channel binding depends
    // on it.

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let scheme = self.algorithms.mapping.iter().find(|(scheme, _)| *scheme == dss.scheme);
        let algorithms = scheme.map_or(&[] as &[_], |(_, algorithms)| algorithms);
        if Certificate::read(cert)?.has_signed(message, dss.signature(), algorithms, None) {
            return Ok(HandshakeSignatureValid::assertion());
        }
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let key = SubjectPublicKeyInfoDer::from(Certificate::read(cert)?.public_key()?);
        verify_tls13_signature_with_raw_key(message, &key, dss, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
