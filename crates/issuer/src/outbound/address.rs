//! Which addresses may be connected to for somebody who is not trusted: those of the public internet,
//! and what the operator allows besides.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

/// A range of addresses, like `10.1.0.0/16` or `fd00::/8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: u128,
    prefix: u32,
    is_v4: bool,
}

/// The text is not a range of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvalidNetwork;

impl fmt::Display for InvalidNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("expected a range of addresses like 10.1.0.0/16 or fd00::/8")
    }
}

impl std::error::Error for InvalidNetwork {}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = text.split_once('/').ok_or(InvalidNetwork)?;
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let prefix: u32 = prefix.parse().map_err(|_| InvalidNetwork)?;
        let (bits, is_v4) = (number(address), address.is_ipv4());
        let width = if is_v4 { 32 } else { 128 };
        if prefix > width || bits & !mask(prefix, width) != 0 {
            return Err(InvalidNetwork);
        }
        Ok(Self { address: bits, prefix, is_v4 })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.address.to_be_bytes();
        let [.., a, b, c, d] = bytes;
        let address = match self.is_v4 {
            true => IpAddr::from([a, b, c, d]),
            false => IpAddr::from(bytes),
        };
        write!(f, "{address}/{}", self.prefix)
    }
}

impl Network {
    /// Whether an address lies in the range. An IPv4 address that is written as IPv6 does not.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let width = if self.is_v4 { 32 } else { 128 };
        address.is_ipv4() == self.is_v4
            && number(address) & mask(self.prefix, width) == self.address
    }
}

/// Whether an address is one of the public internet (RFC 6890 and its registries): no private,
/// local, reserved, multicast or documentation address, and none that stands for another one.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    !matches!(
        address.octets(),
        [0 | 10 | 127 | 224..=255, ..]
            | [100, 64..=127, ..]
            | [169, 254, ..]
            | [172, 16..=31, ..]
            | [192, 0, 0 | 2, _]
            | [192, 88, 99, _]
            | [192, 168, ..]
            | [198, 18 | 19, ..]
            | [198, 51, 100, _]
            | [203, 0, 113, _]
    )
}

/// Global unicast is 2000::/3. Not in there: mapped and translated IPv4 (::ffff:0:0/96,
/// 64:ff9b::/96), loopback, private (fc00::/7), link-local, multicast.
fn is_public_v6(address: Ipv6Addr) -> bool {
    match address.segments() {
        // Protocol assignments and Teredo (2001::/23), documentation, 6to4, documentation (3fff::/20).
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x2002, ..] | [0x3fff, 0..=0xfff, ..] => false,
        [0x2000..=0x3fff, ..] => true,
        _ => false,
    }
}

const fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits() as u128,
        IpAddr::V6(address) => address.to_bits(),
    }
}

/// The upper `prefix` of `width` bits.
const fn mask(prefix: u32, width: u32) -> u128 {
    let all = u128::MAX >> (128 - width);
    match all.checked_shr(prefix) {
        Some(lower) => all & !lower,
        None => all,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Attack 37: each of these is somebody's own network, or leads there.
    #[test]
    fn attack_37_special_addresses_are_not_public() {
        for special in [
            "0.0.0.0",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.8.8.8",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.192",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:1ff::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "3fff::1",
            "4000::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "ff02::1",
        ] {
            assert!(!is_public(special.parse().unwrap()), "{special}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2001:200::1",
            "2001:4860:4860::8888",
            "2606:4700::1111",
        ] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
    }

    #[test]
    fn networks() {
        let network = |text: &str| text.parse::<Network>();
        let ten: Network = network("10.0.0.0/8").unwrap();
        assert!(ten.contains("10.255.0.1".parse().unwrap()));
        for other in ["11.0.0.0", "::ffff:10.0.0.1", "::a00:1"] {
            assert!(!ten.contains(other.parse().unwrap()), "{other}");
        }
        let local = network("fd00::/8").unwrap();
        assert!(local.contains("fdff::1".parse().unwrap()));
        assert!(!local.contains("fc00::1".parse().unwrap()));
        assert!(network("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert!(!network("::/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        assert_eq!(network("127.0.0.1/32").unwrap().to_string(), "127.0.0.1/32");
        assert_eq!(local.to_string(), "fd00::/8");
        for bad in ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/x", "a/8", "fd00::/129"]
        {
            assert_eq!(network(bad), Err(InvalidNetwork), "{bad}");
        }
    }
}
