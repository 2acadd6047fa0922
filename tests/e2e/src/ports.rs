//! Free ports on the loopback interface.

use std::net::{Ipv4Addr, TcpListener};

use crate::failure::{Failure, Outcome};

/// As many different free ports as are asked for.
///
/// They are all held while being collected, so none is named twice. They are free again on return:
/// whoever wants one binds it soon.
pub fn free_ports<const N: usize>() -> Outcome<[u16; N]> {
    let mut ports = [0; N];
    let mut held = Vec::with_capacity(N);
    for port in &mut ports {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .map_err(Failure::during("looking for a free port"))?;
        *port = listener.local_addr().map_err(Failure::during("reading a port"))?.port();
        held.push(listener);
    }
    Ok(ports)
}
