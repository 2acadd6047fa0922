//! MCP servers written with the official SDK, run by Node.

use std::net::{Ipv4Addr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::failure::Outcome;
use crate::places::Places;
use crate::process::Server;

const START_LIMIT: Duration = Duration::from_secs(60);

/// Starts `script` (its path within the checkout), which listens on the port that `PORT` names, and
/// waits until it does. Its log is in `dir`.
pub fn node_server(places: &Places, script: &str, port: u16, dir: &Path) -> Outcome<Server> {
    let mut command = Command::new("node");
    command.arg(places.path(script)).env("PORT", port.to_string());
    let mut server = Server::start("the MCP server", &command, &dir.join("mcp-server.log"))?;
    server.wait_until(START_LIMIT, || TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok())?;
    Ok(server)
}
