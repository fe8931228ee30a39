//! [`Target`] and [`Reach`]: where a webhook may connect to, so that nobody who may configure an
//! endpoint can make us call what only we can reach (server-side request forgery).
//!
//! Invariant: a connection is opened only to an address that [`Reach::allows`]. An address in the
//! URL is checked once, by [`Target::parse`]; a name is resolved here for each new connection, every
//! address it has is checked, and the connection goes to one of those very addresses, so a name
//! that changes between the check and the connection gains nothing.
//!
//! Source: IANA IPv4 and IPv6 Special-Purpose Address Registries.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use url::{Host, Url};

/// How far an endpoint may lie.
///
/// | reach     | scheme        | addresses                                                 |
/// |-----------|---------------|-----------------------------------------------------------|
/// | `Public`  | https         | global unicast                                            |
/// | `Private` | https or http | global unicast, private use (10/8 and the like), loopback |
///
/// Neither allows link-local addresses, where clouds keep the credentials of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// For production.
    Public,
    /// For receivers inside one's own network or machine.
    Private,
}

impl Reach {
    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Public => is_global(address),
            Self::Private => is_global(address) || is_private(address) || address.is_loopback(),
        }
    }
}

/// First address and prefix length of each IPv4 block that is not global unicast.
const V4_SPECIAL: [(Ipv4Addr, u32); 16] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32), // Azure's platform, reachable from each of its machines.
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// IPv6: only this block is global unicast ...
const V6_GLOBAL: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// ... without these: protocols (Teredo and ORCHID among them), documentation, 6to4.
const V6_SPECIAL: [(Ipv6Addr, u32); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

fn is_global(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !V4_SPECIAL.iter().any(|block| v4_is_in(v4, *block)),
        IpAddr::V6(v6) => {
            v6_is_in(v6, V6_GLOBAL) && !V6_SPECIAL.iter().any(|block| v6_is_in(v6, *block))
        }
    }
}

/// RFC 1918, RFC 6598 (carriers and clouds use it inside), RFC 4193.
fn is_private(address: IpAddr) -> bool {
    match address {
        // Alibaba keeps the credentials of a machine here.
        IpAddr::V4(v4) if v4 == Ipv4Addr::new(100, 100, 100, 200) => false,
        IpAddr::V4(v4) => v4.is_private() || v4_is_in(v4, (Ipv4Addr::new(100, 64, 0, 0), 10)),
        // Amazon keeps the credentials of a machine here.
        IpAddr::V6(v6) if v6 == Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254) => false,
        IpAddr::V6(v6) => v6.is_unique_local(),
    }
}

fn v4_is_in(address: Ipv4Addr, (first, prefix): (Ipv4Addr, u32)) -> bool {
    (address.to_bits() ^ first.to_bits()).leading_zeros() >= prefix
}

fn v6_is_in(address: Ipv6Addr, (first, prefix): (Ipv6Addr, u32)) -> bool {
    (address.to_bits() ^ first.to_bits()).leading_zeros() >= prefix
}

/// The URL of a receiver.
///
/// Invariant: its scheme and, if it names one, its address suit its reach. `Debug` shows the host
/// alone: the path is often the receiver's secret.
#[derive(Clone)]
pub struct Target {
    url: Url,
    reach: Reach,
}

/// Why a text is not a [`Target`]. Does not repeat the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTarget {
    #[error("wanted a URL with a host")]
    NotAUrl,
    #[error("wanted https, or http where the endpoint may be private")]
    Scheme,
    #[error("wanted a URL without user name and password")]
    Userinfo,
    #[error("wanted a port from 1 to 65535")]
    Port,
    #[error("address {address} is out of the endpoint's reach")]
    AddressRefused { address: IpAddr },
}

impl Target {
    /// Reads a URL. `url` normalises the ways to write an address (decimal, octal, hex, full-width).
    ///
    /// # Errors
    ///
    /// [`InvalidTarget`] if the URL is not one that `reach` allows.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, InvalidTarget> {
        let url = Url::parse(text).map_err(|_| InvalidTarget::NotAUrl)?;
        match (url.scheme(), reach) {
            ("https", _) | ("http", Reach::Private) => {}
            _ => return Err(InvalidTarget::Scheme),
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(InvalidTarget::Userinfo);
        }
        if url.port() == Some(0) {
            return Err(InvalidTarget::Port);
        }
        let literal = match url.host().ok_or(InvalidTarget::NotAUrl)? {
            Host::Domain(_) => None,
            Host::Ipv4(v4) => Some(IpAddr::V4(v4)),
            Host::Ipv6(v6) => Some(IpAddr::V6(v6)),
        };
        match literal {
            Some(address) if !reach.allows(address) => {
                Err(InvalidTarget::AddressRefused { address })
            }
            Some(_) | None => Ok(Self { url, reach }),
        }
    }

    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("host", &self.url.host_str().unwrap_or_default())
            .field("reach", &self.reach)
            .finish_non_exhaustive()
    }
}

/// Asks for the addresses of a host.
pub(super) type Lookup = Arc<dyn Fn(String) -> Lookups + Send + Sync>;
type Lookups = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// The lookup of the operating system.
pub(super) fn system_lookup() -> Lookup {
    Arc::new(|host| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// The host has an address that is out of reach.
#[derive(Debug, thiserror::Error)]
#[error("the host has an address that is out of the endpoint's reach")]
pub(super) struct AddressRefused;

/// The only source of addresses for the HTTP client: see the invariant of this file.
pub(super) struct VettingResolver {
    pub(super) reach: Reach,
    pub(super) lookup: Lookup,
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (reach, found) = (self.reach, (self.lookup)(name.as_str().to_owned()));
        Box::pin(async move {
            let addresses = found.await?;
            if addresses.is_empty() || !addresses.iter().all(|address| reach.allows(*address)) {
                return Err(AddressRefused.into());
            }
            // Port 0 stands for the port of the URL.
            let vetted = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(vetted) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// URLs that must not lead to a connection from an endpoint that is `Public`.
    const REFUSED: &[&str] = &[
        // Not https, not a URL, not a host.
        "http://example.com/",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1:6379/_FLUSHALL",
        "unix:/var/run/docker.sock",
        "javascript:alert(1)",
        "//127.0.0.1/",
        "https://",
        "https:///",
        "",
        // User names, ports.
        "https://user@example.com/",
        "https://user:password@example.com/",
        "https://example.com@127.0.0.1/",
        "https://example.com:0/",
        "https://example.com:65536/",
        // IPv4: loopback in each notation.
        "https://127.0.0.1/",
        "https://127.1/",
        "https://127.0.1/",
        "https://127.255.255.254/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://0x7F.0x0.0x0.0x1/",
        "https://127.0.0.1./",
        "https://%31%32%37.0.0.1/",
        "https://１２７.０.０.１/",
        "https://①②⑦.⓪.⓪.①/",
        "https://127。0。0。1/",
        "https:127.0.0.1/",
        "https:\\\\127.0.0.1\\",
        "https://127.0.0.1:8443/path?query#fragment",
        // IPv4: the rest.
        "https://0.0.0.0/",
        "https://0/",
        "https://0.1.2.3/",
        "https://10.0.0.1/",
        "https://10.255.255.255/",
        "https://100.64.0.1/",
        "https://100.100.100.200/",
        "https://100.127.255.255/",
        "https://168.63.129.16/",
        "https://169.254.169.254/latest/meta-data/",
        "https://169.254.170.2/",
        "https://2852039166/",
        "https://0xa9fea9fe/",
        "https://172.16.0.1/",
        "https://172.31.255.255/",
        "https://192.0.0.192/",
        "https://192.0.2.1/",
        "https://192.88.99.1/",
        "https://192.168.0.1/",
        "https://198.18.0.1/",
        "https://198.19.255.255/",
        "https://198.51.100.1/",
        "https://203.0.113.1/",
        "https://224.0.0.1/",
        "https://239.255.255.255/",
        "https://240.0.0.1/",
        "https://255.255.255.255/",
        // IPv6.
        "https://[::]/",
        "https://[::1]/",
        "https://[0:0:0:0:0:0:0:1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://[::ffff:8.8.8.8]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://[64:ff9b::a9fe:a9fe]/",
        "https://[64:ff9b:1::1]/",
        "https://[100::1]/",
        "https://[2001::1]/",
        "https://[2001:0:7f00:1::]/",
        "https://[2001:10::1]/",
        "https://[2001:20::1]/",
        "https://[2001:db8::1]/",
        "https://[2002:7f00:1::]/",
        "https://[2002:a9fe:a9fe::1]/",
        "https://[3fff::1]/",
        "https://[5f00::1]/",
        "https://[fc00::1]/",
        "https://[fd00:ec2::254]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fec0::1]/",
        "https://[ff02::1]/",
        // Names that the system resolves to ourselves, or not at all.
        "https://localhost/",
        "https://LOCALHOST/",
        "https://localhost./",
        "https://ＬＯＣＡＬＨＯＳＴ/",
    ];

    async fn resolve(url: &Url, reach: Reach, lookup: Lookup) -> Option<Vec<SocketAddr>> {
        let name = url.host_str().unwrap().parse().unwrap();
        let found = VettingResolver { reach, lookup }.resolve(name).await;
        found.ok().map(Iterator::collect)
    }

    fn answering(addresses: &'static [&'static str]) -> Lookup {
        Arc::new(|_| {
            Box::pin(async { Ok(addresses.iter().map(|text| text.parse().unwrap()).collect()) })
        })
    }

    #[tokio::test]
    async fn no_notation_of_an_inner_address_gets_through() {
        assert!(40 <= REFUSED.len());
        for text in REFUSED {
            if let Ok(target) = Target::parse(text, Reach::Public) {
                let domain = target.url().domain();
                assert!(domain.is_some(), "{text} is a literal and was allowed");
                let found = resolve(target.url(), Reach::Public, system_lookup()).await;
                assert_eq!(found, None, "{text}");
            }
        }
    }

    #[test]
    fn public_addresses_are_allowed() {
        let allowed = [
            "https://example.com/hook",
            "https://8.8.8.8/",
            "https://9.255.255.255/",
            "https://100.128.0.0/",
            "https://172.32.0.1/",
            "https://192.169.0.1/",
            "https://223.255.255.255/",
            "https://[2606:4700:4700::1111]/",
            "https://[2001:200::1]/",
            "https://[2a00::1]/",
            "https://example.com:8443/",
        ];
        for text in allowed {
            assert!(Target::parse(text, Reach::Public).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_private_reach_does_not_reach_the_credentials_of_the_machine() {
        for text in
            ["http://10.1.2.3/", "https://[fd12::1]/", "http://127.0.0.1:9/", "https://1.1.1.1/"]
        {
            assert!(Target::parse(text, Reach::Private).is_ok(), "{text}");
        }
        let refused = [
            "http://169.254.169.254/",
            "http://100.100.100.200/",
            "http://168.63.129.16/",
            "http://192.0.0.192/",
            "http://[fd00:ec2::254]/",
            "http://[fe80::1]/",
            "http://[::ffff:169.254.169.254]/",
            "http://0.0.0.0/",
            "http://224.0.0.1/",
        ];
        for text in refused {
            let target = Target::parse(text, Reach::Private);
            assert!(matches!(target, Err(InvalidTarget::AddressRefused { .. })), "{text}");
        }
    }

    #[tokio::test]
    async fn a_name_is_refused_if_any_of_its_addresses_is() {
        let url = Url::parse("https://hooks.example/").unwrap();

        let mixed = resolve(&url, Reach::Public, answering(&["8.8.8.8", "10.0.0.1"])).await;
        let none = resolve(&url, Reach::Public, answering(&[])).await;
        let public = resolve(&url, Reach::Public, answering(&["8.8.8.8", "2a00::1"])).await;

        assert_eq!(mixed, None);
        assert_eq!(none, None);
        let vetted = ["8.8.8.8:0".parse().unwrap(), "[2a00::1]:0".parse().unwrap()];
        assert_eq!(public.unwrap(), vetted);
    }

    #[test]
    fn a_target_prints_its_host_alone() {
        let target = Target::parse("https://hooks.example/T0/B0/canary?key=canary", Reach::Public);

        let printed = format!("{:?}", target.unwrap());

        assert!(printed.contains("hooks.example"));
        assert!(!printed.contains("canary"));
    }
}
