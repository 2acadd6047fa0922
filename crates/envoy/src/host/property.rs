//! Envoy's attributes, and values of our own beside them.

use core::net::{IpAddr, SocketAddr};
use core::ptr;

use super::{HostError, check, foreign::call, take};

/// The types that a value of our own can have.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PropertyType {
    Text = 1,
}

#[link(wasm_import_module = "env")]
unsafe extern "C" {
    fn proxy_get_property(
        path: *const u8,
        path_length: usize,
        data: *mut *mut u8,
        length: *mut usize,
    ) -> u32;
    fn proxy_set_property(
        path: *const u8,
        path_length: usize,
        data: *const u8,
        length: usize,
    ) -> u32;
}

/// An attribute, by its path with a NUL between the parts.
pub(crate) fn property(path: &[u8]) -> Result<Vec<u8>, HostError> {
    let (mut data, mut length) = (ptr::null_mut(), 0);
    // SAFETY: pointer and length are those of a live slice; the host writes a pointer and a length.
    check(unsafe {
        proxy_get_property(path.as_ptr(), path.len(), &raw mut data, &raw mut length)
    })?;
    Ok(take(data, length))
}

/// Sets a value of our own for the current request: `wasm.<name>` in the filter state.
pub(crate) fn set_property(name: &str, value: &str) -> Result<(), HostError> {
    // SAFETY: pointers and lengths are those of live strings.
    check(unsafe { proxy_set_property(name.as_ptr(), name.len(), value.as_ptr(), value.len()) })
}

/// Says of which type a value of our own is, before it is set for the first time:
/// `DeclarePropertyArguments` with `name` = 1 and `type` = 3.
pub(crate) fn declare_property(name: &str, kind: PropertyType) -> Result<(), HostError> {
    let length = u8::try_from(name.len()).ok().filter(|length| *length < 0x80);
    let mut message = vec![0x0a, length.ok_or(HostError(super::MALFORMED))?];
    message.extend_from_slice(name.as_bytes());
    message.extend_from_slice(&[0x18, kind as u8]);
    call("declare_property", &message).map(drop)
}

/// The address of the client, as Envoy has it: that of the connection, or what its settings
/// (`use_remote_address`, `xff_num_trusted_hops`) take from `X-Forwarded-For`. `None` for other
/// kinds of connection.
pub(crate) fn client_address() -> Option<IpAddr> {
    let text = String::from_utf8(property(b"source\0address").ok()?).ok()?;
    // With the port, which changes from connection to connection.
    let address = text.parse::<SocketAddr>().map(|address| address.ip());
    address.or_else(|_| text.parse()).ok()
}

/// SHA-256 of the certificate that the client showed on this connection; `None` when it showed none.
pub(crate) fn client_certificate() -> Option<[u8; 32]> {
    read_hex(&property(b"connection\0sha256_peer_certificate_digest").ok()?)
}

fn read_hex(text: &[u8]) -> Option<[u8; 32]> {
    let text: &[u8; 64] = text.try_into().ok()?;
    let mut digest = [0; 32];
    for (byte, pair) in digest.iter_mut().zip(text.chunks_exact(2)) {
        // `from_str_radix` would take a sign too.
        let pair = core::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(digest)
}

/// Whether this plugin has a `vm_id`. Without one its shared data are those of all others without.
pub(crate) fn has_vm_id() -> bool {
    property(b"plugin_vm_id").is_ok_and(|id| !id.is_empty())
}

/// The text `resource` in this namespace of the route's metadata.
pub(crate) fn route_resource(namespace: &str) -> Option<String> {
    let path = ["xds", "route_metadata", "filter_metadata", namespace, "resource"].join("\0");
    String::from_utf8(property(path.as_bytes()).ok()?).ok()
}
