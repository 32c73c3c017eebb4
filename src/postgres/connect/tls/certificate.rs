//! The checks of a server's certificate that rustls does not make: X.509 version 1, and the host name
//! by libpq's rules
//! (<https://www.postgresql.org/docs/current/libpq-ssl.html#LIBPQ-SSL-CERTIFICATES>).

use rustls::CertificateError;
use rustls::pki_types::{CertificateDer, ServerName, SignatureVerificationAlgorithm, UnixTime};
use std::net::IpAddr;
use std::time::Duration;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// `id-at-commonName` of RFC 5280.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

pub(crate) struct Certificate(x509_cert::Certificate);

impl Certificate {
    pub(crate) fn read(der: &CertificateDer<'_>) -> Result<Self, rustls::Error> {
        let read = x509_cert::Certificate::from_der(der);
        read.map(Self).map_err(|_| CertificateError::BadEncoding.into())
    }

    /// The public key in DER form.
    pub(crate) fn public_key(&self) -> Result<Vec<u8>, rustls::Error> {
        let key = self.0.tbs_certificate.subject_public_key_info.to_der();
        key.map_err(|_| CertificateError::BadEncoding.into())
    }

    pub(crate) fn check_dates(&self, now: UnixTime) -> Result<(), rustls::Error> {
        let now = Duration::from_secs(now.as_secs());
        let validity = &self.0.tbs_certificate.validity;
        if now < validity.not_before.to_unix_duration() {
            return Err(CertificateError::NotValidYet.into());
        }
        if now > validity.not_after.to_unix_duration() {
            return Err(CertificateError::Expired.into());
        }
        Ok(())
    }

    /// Whether this is a certificate of X.509 version 1, which has no extensions.
    pub(crate) fn is_version_1(&self) -> bool {
        self.0.tbs_certificate.version == Version::V1
    }

    /// Whether the certificate is its own issuer.
    pub(crate) fn is_self_issued(&self) -> bool {
        self.0.tbs_certificate.issuer == self.0.tbs_certificate.subject
    }

    /// Whether this is a certificate of version 1 that one of `roots` has signed directly.
    /// (`openssl x509 -req` without extensions creates such certificates.)
    pub(crate) fn is_version_1_of(
        &self,
        roots: &[CertificateDer<'_>],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
    ) -> bool {
        let (signed, signature) = (self.0.tbs_certificate.to_der(), self.0.signature.as_bytes());
        let (Ok(signed), Some(signature)) = (signed, signature) else { return false };
        let kind = self.0.signature_algorithm.to_der().ok();
        self.is_version_1()
            && roots.iter().filter_map(|root| Self::read(root).ok()).any(|root| {
                root.0.tbs_certificate.subject == self.0.tbs_certificate.issuer
                    && root.has_signed(&signed, signature, algorithms, kind.as_deref())
            })
    }

    /// Whether the key of this certificate made the signature with one of the algorithms. `kind`, a
    /// DER `AlgorithmIdentifier`, restricts the algorithms.
    pub(crate) fn has_signed(
        &self,
        message: &[u8],
        signature: &[u8],
        algorithms: &[&dyn SignatureVerificationAlgorithm],
        kind: Option<&[u8]>,
    ) -> bool {
        let key = &self.0.tbs_certificate.subject_public_key_info;
        let (Ok(key_kind), Some(key)) = (key.algorithm.to_der(), key.subject_public_key.as_bytes())
        else {
            return false;
        };
        algorithms.iter().any(|algorithm| {
            is_kind(&key_kind, algorithm.public_key_alg_id().as_ref())
                && kind.is_none_or(|kind| is_kind(kind, algorithm.signature_alg_id().as_ref()))
                && algorithm.verify_signature(key, message, signature).is_ok()
        })
    }

    /// Fails unless the certificate is for `host`: by an alternative name, or by the common name where
    /// it has no alternative name of the host's kind.
    pub(crate) fn check_name(&self, host: &str) -> Result<(), rustls::Error> {
        let address: Option<IpAddr> = host.parse().ok();
        let mut presented = Vec::new();
        let mut has_own_kind = false;
        let alternatives = self.0.tbs_certificate.get::<SubjectAltName>().ok().flatten();
        for name in alternatives.iter().flat_map(|(_, names)| &names.0) {
            match name {
                GeneralName::DnsName(name) => {
                    has_own_kind |= address.is_none();
                    presented.push(name.to_string());
                }
                GeneralName::IpAddress(bytes) => {
                    has_own_kind |= address.is_some();
                    let bytes = bytes.as_bytes();
                    let read = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
                    let read = read.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from));
                    if read.is_ok() && read.ok() == address {
                        return Ok(());
                    }
                    presented.extend(read.map(|address| address.to_string()));
                }
                _ => {}
            }
        }
        if !has_own_kind {
            presented.extend(self.common_name());
        }
        if presented.iter().any(|name| matches_host(name, host)) {
            return Ok(());
        }
        Err(match ServerName::try_from(host.to_owned()) {
            Ok(expected) => CertificateError::NotValidForNameContext { expected, presented }.into(),
            Err(_) => CertificateError::NotValidForName.into(),
        })
    }

    fn common_name(&self) -> Option<String> {
        let mut parts = self.0.tbs_certificate.subject.0.iter().flat_map(|part| part.0.iter());
        let name = parts.find(|part| part.oid == COMMON_NAME)?;
        String::from_utf8(name.value.value().to_vec()).ok()
    }
}

/// Whether a DER `AlgorithmIdentifier` has the given contents. rustls stores the contents without the
/// outer tag and length, which are two bytes here.
fn is_kind(der: &[u8], contents: &[u8]) -> bool {
    der.get(2..) == Some(contents)
}

/// Whether a name in a certificate matches the host. A leading `*.` matches one label.
fn matches_host(name: &str, host: &str) -> bool {
    if name.eq_ignore_ascii_case(host) {
        return true;
    }
    match (name.strip_prefix("*."), host.split_once('.')) {
        (Some(domain), Some((label, rest))) => {
            !label.is_empty()
                && !domain.is_empty()
                && rest.eq_ignore_ascii_case(domain)
                && host.parse::<IpAddr>().is_err()
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use crate::postgres::connect::tls::certificate::matches_host;

    #[test]
    fn a_wildcard_matches_exactly_one_label() {
        assert!(matches_host("*.Example.com", "db.example.COM"));
        assert!(!matches_host("*.example.com", "a.db.example.com"));
        assert!(!matches_host("*.example.com", "example.com"));
        assert!(!matches_host("*.0.0.1", "127.0.0.1"));
        assert!(!matches_host("*", "localhost"));
        assert!(!matches_host("d*.example.com", "db.example.com"));
    }
}
