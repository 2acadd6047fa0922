//! The MCP client against servers of both versions of the official TypeScript SDK, without
//! authorization.
#![allow(clippy::unwrap_used, missing_docs)]

use countersign_client::{
    Error, Http,
    mcp::{Caller, Connection, Notification, Outcome, Revision},
};
use countersign_e2e::{Places, Scratch, Server, free_ports, http::get, node_server};
use reqwest::{Method, header::HeaderMap};
use serde_json::{Map, Value, json};

/// A server that runs, and a connection to it.
struct Running {
    connection: Connection,
    port: u16,
    _server: Server,
    _scratch: Scratch,
}

impl Running {
    fn start(script: &str) -> Self {
        let scratch = Scratch::new().unwrap();
        let [port] = free_ports().unwrap();
        let server = node_server(&Places::of_checkout(), script, port, scratch.path()).unwrap();
        let url = format!("http://127.0.0.1:{port}/mcp");
        let connection = Connection::new(Http::new().unwrap(), &url).unwrap();
        Self { connection, port, _server: server, _scratch: scratch }
    }

    async fn tools(&mut self) -> Vec<String> {
        let tools = done(self.connection.list_tools(&mut ()).await);
        assert!(tools.excluded.is_empty());
        tools.tools.into_iter().map(|tool| tool.name).collect()
    }

    async fn call(&mut self, tool: &str, arguments: Value) -> String {
        let arguments = arguments.as_object().unwrap().clone();
        let result = done(self.connection.call_tool(tool, arguments, &mut ()).await);
        result["content"][0]["text"].as_str().unwrap().to_owned()
    }
}

/// Keeps the methods of what it is told.
#[derive(Debug, Default)]
struct Ear(Vec<String>);

impl Caller for Ear {
    fn headers(&mut self, _: &Method, _: &str) -> Result<HeaderMap, Error> {
        Ok(HeaderMap::new())
    }

    fn notified(&mut self, notification: &Notification) {
        self.0.push(notification.method.clone());
    }
}

fn done<T: std::fmt::Debug>(outcome: Result<Outcome<T>, Error>) -> T {
    match outcome {
        Ok(Outcome::Done(done)) => done,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_server_of_revision_2026_07_28() {
    let mut server = Running::start("tests/conformance/fixture.mjs");
    assert!(server.tools().await.contains(&"test_simple_text".to_owned()));
    assert_eq!(server.connection.revision(), Some(Revision::V20260728));
    let text = server.call("test_simple_text", json!({})).await;
    assert_eq!(text, "This is a simple text response for testing.");

    let mut ear = Ear::default();
    let connection = &mut server.connection;
    let result = connection.call_tool("test_tool_with_progress", Map::new(), &mut ear).await;
    assert_eq!(done(result)["content"][0]["text"], "done");
    assert_eq!(ear.0, ["notifications/progress"; 3]);
    let result = connection.call_tool("test_error_handling", Map::new(), &mut ear).await;
    assert_eq!(done(result)["isError"], true);

    let params = json!({ "uri": "test://static-text" }).as_object().unwrap().clone();
    let read = done(connection.request("resources/read", params, &mut ()).await);
    let words = "This is the content of the static text resource.";
    assert_eq!(read["contents"][0]["text"], words);
    let unknown = connection.request("no/such/method", Map::new(), &mut ()).await;
    assert!(matches!(unknown, Err(Error::Mcp { code: -32601, .. })), "{unknown:?}");
    // The client says that nobody can be asked.
    let tool = "test_input_required_result_elicitation";
    let asked = connection.call_tool(tool, Map::new(), &mut ()).await;
    assert!(matches!(asked, Err(Error::Mcp { code: -32021, .. })), "{asked:?}");
}

#[tokio::test]
async fn a_server_with_sessions() {
    let mut server = Running::start("tests/e2e/mcp-sessions.mjs");
    assert_eq!(server.tools().await, ["echo", "ask", "progress", "break"]);
    assert_eq!(server.connection.revision(), Some(Revision::V20251125));
    assert_eq!(server.call("echo", json!({ "value": "Süd" })).await, "Süd");
    assert_eq!(server.call("ask", json!({})).await, "refused with -32601");
    assert_eq!(server.call("break", json!({})).await, "after a break");
    let mut ear = Ear::default();
    done(server.connection.call_tool("progress", Map::new(), &mut ear).await);
    assert_eq!(ear.0, ["notifications/progress"]);

    let sessions = |path: &str| {
        let answer = get(server.port, path).unwrap();
        String::from_utf8(answer.body).unwrap()
    };
    assert_eq!(sessions("/"), "1");
    assert_eq!(sessions("/forget"), "0");
    let again = server.connection.list_tools(&mut ()).await;
    assert_eq!(done(again).tools.len(), 4);
    assert_eq!(sessions("/"), "1");
    server.connection.close(&mut ()).await;
    assert_eq!(sessions("/"), "0");
}
