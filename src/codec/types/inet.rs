//! `inet`: an IPv4 or IPv6 address with an optional netmask, `address[/bits]`.
//!
//! The binary form is four bytes (the family, the bits of the netmask, 0 for `inet` rather than
//! `cidr`, the length of the address), then the address: `inet_send` in
//! `src/backend/utils/adt/network.c`. All bits of the address are kept, also those outside the
//! netmask, so equal values have equal bytes.

use crate::codec::fidelity::{Fidelity, Misfit};
use crate::codec::field::put_bytes;
use crate::codec::sqlite_value::SqliteValue;
use crate::schema::column_type::ColumnType;
use bytes::BytesMut;
use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The families in the binary form (`PGSQL_AF_INET`, `PGSQL_AF_INET6`).
const IPV4: u8 = 2;
const IPV6: u8 = 3;

/// A value of the type: an address and the bits of its netmask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Inet {
    address: IpAddr,
    bits: u8,
}

pub(crate) fn encode(value: SqliteValue<'_>, out: &mut BytesMut) -> Result<Fidelity, Misfit> {
    const INVALID: Misfit = Misfit::NotValid(ColumnType::Inet);
    let SqliteValue::Text(text) = value else { return Err(INVALID) };
    let inet = Inet::parse(text).ok_or(INVALID)?;
    let mut buffer = Vec::with_capacity(48);
    inet.write_binary(&mut buffer);
    put_bytes(out, &buffer);
    buffer.clear();
    inet.write_text(&mut buffer);
    Ok(Fidelity::exact_if(buffer == text))
}

/// Appends the text of a field as PostgreSQL prints it.
pub(crate) fn decode(field: &[u8], out: &mut Vec<u8>) -> Option<()> {
    Inet::from_binary(field)?.write_text(out);
    Some(())
}

impl Inet {
    /// Reads a text that PostgreSQL's `inet_in` reads. A few odd forms that it also reads, such as
    /// a point after the fourth octet, are refused.
    fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let (address, bits) = text.split_once('/').map_or((text, None), |(a, b)| (a, Some(b)));
        if address.contains(':') {
            // Leading zeros in the netmask are refused for IPv6 and read for IPv4.
            let bits = match bits {
                Some(bits) if bits.len() > 1 && bits.starts_with('0') => return None,
                Some(bits) => parse_decimal(bits, 128)?,
                None => 128,
            };
            return Some(Self { address: address.parse::<Ipv6Addr>().ok()?.into(), bits });
        }
        let mut octets = [0; 4];
        let mut count = 0;
        for part in address.split('.') {
            *octets.get_mut(count)? = parse_decimal(part, 255)?;
            count += 1;
        }
        // Octets may be missing at the end, as far as the netmask does not cover them.
        let bits = match bits {
            Some(bits) => parse_decimal(bits, 32)?,
            None if count == 4 => 32,
            None => return None,
        };
        (usize::from(bits / 8) <= count)
            .then_some(Self { address: Ipv4Addr::from(octets).into(), bits })
    }

    fn write_binary(&self, out: &mut Vec<u8>) {
        match self.address {
            IpAddr::V4(address) => {
                out.extend_from_slice(&[IPV4, self.bits, 0, 4]);
                out.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                out.extend_from_slice(&[IPV6, self.bits, 0, 16]);
                out.extend_from_slice(&address.octets());
            }
        }
    }

    fn from_binary(field: &[u8]) -> Option<Self> {
        let (address, bits, max_bits): (IpAddr, _, _) = match field {
            [IPV4, bits, 0, 4, rest @ ..] => (<[u8; 4]>::try_from(rest).ok()?.into(), *bits, 32),
            [IPV6, bits, 0, 16, rest @ ..] => (<[u8; 16]>::try_from(rest).ok()?.into(), *bits, 128),
            _ => return None,
        };
        (bits <= max_bits).then_some(Self { address, bits })
    }

    /// Writes the text that PostgreSQL prints; the netmask only if it does not cover all bits.
    fn write_text(&self, out: &mut Vec<u8>) {
        // Writing to a Vec cannot fail.
        let max_bits = match self.address {
            IpAddr::V4(address) => {
                let _ = write!(out, "{address}");
                32
            }
            IpAddr::V6(address) => {
                // Rust prints ::1.2.3.4 without the IPv4 notation that PostgreSQL uses.
                match address.segments() {
                    [0, 0, 0, 0, 0, 0, high, low] if high != 0 => {
                        let ipv4 = Ipv4Addr::from(u32::from(high) << 16 | u32::from(low));
                        let _ = write!(out, "::{ipv4}");
                    }
                    _ => _ = write!(out, "{address}"),
                }
                128
            }
        };
        if self.bits < max_bits {
            let _ = write!(out, "/{}", self.bits);
        }
    }
}

/// Reads a decimal number of ASCII digits, at most `max`.
fn parse_decimal(text: &str, max: u8) -> Option<u8> {
    if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = text.trim_start_matches('0');
    if digits.is_empty() { Some(0) } else { digits.parse().ok().filter(|number| *number <= max) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::test_cases::{hex, texts};

    fn binary(text: &str) -> Option<(String, Fidelity)> {
        let mut out = BytesMut::new();
        let fidelity = encode(SqliteValue::Text(text.as_bytes()), &mut out).ok()?;
        let mut printed = Vec::new();
        decode(&out[4..], &mut printed)?;
        assert_eq!(
            Inet::parse(&printed),
            Inet::parse(text.as_bytes()),
            "{text} does not read back as it prints"
        );
        Some((hex(&out[4..]), fidelity))
    }

    #[test]
    fn an_address_is_sent_as_postgresql_sends_it() {
        // From PostgreSQL 15's inet_send.
        for (text, sent, fidelity) in [
            ("192.168.0.1", "02200004c0a80001", Fidelity::Exact),
            ("192.168.0.1/24", "02180004c0a80001", Fidelity::Exact),
            ("192.168.0.1/32", "02200004c0a80001", Fidelity::Converted),
            ("010.1/016", "021000040a010000", Fidelity::Converted),
            ("10/8", "020800040a000000", Fidelity::Converted),
            ("::1", "0380001000000000000000000000000000000001", Fidelity::Exact),
            ("::ffff:1.2.3.4", "0380001000000000000000000000ffff01020304", Fidelity::Exact),
            ("::1.2.3.4/96", "0360001000000000000000000000000001020304", Fidelity::Exact),
            ("2001:DB8::/32", "0320001020010db8000000000000000000000000", Fidelity::Converted),
        ] {
            assert_eq!(binary(text), Some((sent.to_owned(), fidelity)), "{text}");
        }
    }

    #[test]
    fn other_texts_and_malformed_fields_are_refused() {
        for text in ["", " 1.2.3.4", "1.2.3.4 "].into_iter().chain(texts(&[
            "1.2.3|1.2.3.4.5|1.2.3.4/33|1.2.3.4/|1.2.3/32|256.1.1.1",
            "1.2.3.4/24/8|-1.2.3.4|::1/129|::1/08|::1%eth0|1::2::3|:1|a.b.c.d|+1.2.3.4|1..2.3/24",
        ])) {
            assert_eq!(binary(text), None, "{text}");
        }
        for field in
            [&[][..], &[2, 33, 0, 4, 1, 2, 3, 4], &[2, 32, 1, 4, 1, 2, 3, 4], &[3, 32, 0, 4]]
        {
            assert_eq!(decode(field, &mut Vec::new()), None);
        }
    }
}
