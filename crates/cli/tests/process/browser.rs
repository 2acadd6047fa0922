//! HTTP without redirects, and a person who logs in and consents. A server that is gone is an error.

use std::{collections::BTreeMap, sync::LazyLock, time::Duration};

use countersign_core::jose::base64url;
use serde_json::Value;
use ureq::{Agent, Error, http::Request};

static AGENT: LazyLock<Agent> = LazyLock::new(|| {
    Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .max_idle_connections(0)
        .timeout_global(Some(Duration::from_secs(30)))
        .build()
        .into()
});

#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub location: String,
    pub body: String,
    cookies: Vec<(String, String)>,
}

fn send(method: &str, url: &str, headers: &[(&str, &str)], body: &str) -> Result<Answer, Error> {
    let mut request = Request::builder().method(method).uri(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = match method {
        "GET" => AGENT.run(request.body(()).unwrap())?,
        _ => AGENT.run(request.body(body.to_owned()).unwrap())?,
    };
    let location = response.headers().get("location");
    let location = location.map_or("", |value| value.to_str().unwrap()).to_owned();
    let cookies = response.headers().get_all("set-cookie").iter().map(|cookie| {
        let (name, rest) = cookie.to_str().unwrap().split_once('=').unwrap();
        (name.to_owned(), rest.split(';').next().unwrap().to_owned())
    });
    let cookies = cookies.collect();
    let status = response.status().as_u16();
    Ok(Answer { status, location, cookies, body: response.body_mut().read_to_string()? })
}

pub fn get(url: &str, cookies: &str) -> Result<Answer, Error> {
    send("GET", url, &[("sec-fetch-site", "none"), ("cookie", cookies)], "")
}

pub fn post_json(url: &str, body: &Value) -> Result<Answer, Error> {
    send("POST", url, &[("content-type", "application/json")], &body.to_string())
}

pub fn post_form(url: &str, cookies: &str, parameters: &[(&str, &str)]) -> Result<Answer, Error> {
    let headers = [("content-type", "application/x-www-form-urlencoded"), ("cookie", cookies)];
    send("POST", url, &headers, &encode(parameters))
}

/// The same by a client with a secret (RFC 6749 §2.3.1).
pub fn post_form_as(
    (id, secret): (&str, &str),
    url: &str,
    parameters: &[(&str, &str)],
) -> Result<Answer, Error> {
    // Both have no characters but those of base64url.
    let encoded = base64url::encode(format!("{id}:{secret}")).replace('-', "+").replace('_', "/");
    let padding = "=".repeat(encoded.len().wrapping_neg() % 4);
    let basic = format!("Basic {encoded}{padding}");
    let headers =
        [("content-type", "application/x-www-form-urlencoded"), ("authorization", &*basic)];
    send("POST", url, &headers, &encode(parameters))
}

pub fn encode(parameters: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(parameters).finish()
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{self:?}: {error}"))
    }

    pub fn text(&self, name: &str) -> String {
        self.json()[name].as_str().unwrap_or_else(|| panic!("no {name} in {self:?}")).to_owned()
    }

    fn field(&self, name: &str) -> String {
        let start = format!("name=\"{name}\" value=\"");
        let (_, rest) = self.body.split_once(&start).unwrap_or_else(|| panic!("{self:?}"));
        rest.split('"').next().unwrap().to_owned()
    }
}

#[derive(Clone, Debug, Default)]
pub struct Browser {
    cookies: BTreeMap<String, String>,
    /// The issuer, and the node that answers for it: what a load balancer would do.
    pub via: Option<(String, String)>,
}

impl Browser {
    fn on_node(&self, url: &str) -> String {
        match &self.via {
            Some((issuer, node)) => url.replacen(issuer, node, 1),
            None => url.to_owned(),
        }
    }

    fn cookies(&self) -> String {
        let all = self.cookies.iter().map(|(name, value)| format!("{name}={value}"));
        all.collect::<Vec<_>>().join("; ")
    }

    /// Opens the URL and goes on to the code, logging in and allowing where a page asks for it.
    pub fn code(&mut self, url: &str, name: &str, password: &str) -> Result<String, Error> {
        let (endpoint, _) = url.split_once('?').unwrap();
        let mut answer = get(&self.on_node(url), &self.cookies())?;
        for _ in 0..8 {
            self.cookies.extend(answer.cookies.iter().cloned());
            if let Some((_, query)) = answer.location.split_once('?')
                && !answer.location.starts_with(endpoint)
            {
                let code =
                    form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "code");
                return Ok(code.unwrap_or_else(|| panic!("{answer:?}")).1.into_owned());
            }
            answer = if answer.status == 303 {
                get(&self.on_node(&answer.location), &self.cookies())?
            } else {
                let (interaction, csrf) = (answer.field("interaction"), answer.field("csrf"));
                let action = if answer.body.contains("password") { "login" } else { "allow" };
                let form = [
                    ("interaction", interaction.as_str()),
                    ("csrf", &csrf),
                    ("action", action),
                    ("username", name),
                    ("password", password),
                ];
                post_form(&self.on_node(endpoint), &self.cookies(), &form)?
            };
        }
        panic!("no end: {answer:?}");
    }
}
