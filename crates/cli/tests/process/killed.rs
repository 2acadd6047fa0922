//! SIGKILL in the middle of traffic: nothing that was answered is lost, and nothing that was used
//! comes back (complaint 8 of the issuer's list). On SQLite; on PostgreSQL with two nodes, of which
//! the other one goes on.

use std::{
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    browser::{Browser, get, post_json},
    nodes::{CALLBACK, Client, Nodes},
};

/// How a node ends.
#[derive(Clone, Copy, PartialEq)]
enum End {
    /// SIGKILL.
    Killed,
    /// SIGTERM: what is under way is ended first.
    Terminated,
}

/// What one node said that it has done.
#[derive(Default)]
struct Answered {
    registered: Mutex<Vec<String>>,
    codes: Mutex<Vec<(Instant, String)>>,
    /// Codes that were redeemed, and the refresh tokens that came of it.
    redeemed: Mutex<Vec<(String, String)>>,
    /// One family: every token of it, the newest last.
    refreshed: Mutex<Vec<String>>,
}

/// While a node is up, every answer is a success; this is set before it is killed.
struct Phase {
    is_killed: AtomicBool,
    stop: AtomicBool,
}

#[test]
fn complaint_8_a_kill_loses_nothing_that_was_answered() {
    rounds(Nodes::on_sqlite(), End::Killed, 20);
}

#[test]
fn complaint_8_one_of_two_nodes_is_killed() {
    rounds(Nodes::on_postgres(2), End::Killed, 20);
}

#[test]
fn a_node_that_is_told_to_stop_loses_nothing_either() {
    rounds(Nodes::on_sqlite(), End::Terminated, 3);
    rounds(Nodes::on_postgres(2), End::Terminated, 4);
}

fn rounds(mut nodes: Nodes, end: End, rounds: usize) {
    let count = nodes.nodes.len();
    let mut browser = Browser::default();
    nodes.client(0).code(&mut browser).unwrap();
    let jwks = |nodes: &Nodes, index| get(&format!("{}/jwks", nodes.client(index).url), "");
    let keys = jwks(&nodes, 0).unwrap().body;
    for round in 0..rounds {
        let victim = round % count;
        let answered: Vec<Answered> = (0..count).map(|_| Answered::default()).collect();
        traffic(&mut nodes, (victim, end), &browser, &answered, round);
        // Where there is another node, it knows everything before the first one is back.
        let survivor = (victim + 1) % count;
        if survivor == victim {
            nodes.restart(victim);
        }
        let client = nodes.client(survivor);
        for answered in &answered {
            check(&client, answered);
        }
        if survivor != victim {
            nodes.restart(victim);
        }
        assert_eq!(jwks(&nodes, victim).unwrap().body, keys);
        let code = nodes.client(victim).code(&mut browser.clone()).unwrap();
        assert_eq!(client.redeem(&code).unwrap().status, 200);
    }
}

/// Four kinds of traffic on every node until one is killed.
fn traffic(
    nodes: &mut Nodes,
    (victim, end): (usize, End),
    browser: &Browser,
    answered: &[Answered],
    round: usize,
) {
    let phases: Vec<Phase> = answered
        .iter()
        .map(|_| Phase { is_killed: AtomicBool::new(false), stop: AtomicBool::new(false) })
        .collect();
    thread::scope(|scope| {
        for (index, answered) in answered.iter().enumerate() {
            let phase = &phases[index];
            let loops = [register, authorize, redeem, refresh];
            for one in loops {
                let client = nodes.client(index);
                let mut browser = browser.clone();
                scope.spawn(move || {
                    while !phase.stop.load(Ordering::Relaxed) {
                        let done = one(&client, &mut browser, answered);
                        if let Err(error) = done {
                            let is_killed = phase.is_killed.load(Ordering::Relaxed);
                            assert!(is_killed, "a node that was not killed failed: {error}");
                            return;
                        }
                    }
                });
            }
        }
        let is_busy = |answered: &Answered| {
            !lock(&answered.registered).is_empty()
                && !lock(&answered.codes).is_empty()
                && lock(&answered.redeemed).len() > 1
                && lock(&answered.refreshed).len() > 3
        };
        // On a busy machine it takes a while until each kind had its turn.
        let mut waits = 0;
        while !answered.iter().all(is_busy) {
            thread::sleep(Duration::from_millis(20));
            waits += 1;
            assert!(waits < 1500, "no traffic");
        }
        // Not always at the same point of the same request.
        thread::sleep(Duration::from_millis(7 * round as u64));
        phases[victim].is_killed.store(true, Ordering::Relaxed);
        match end {
            End::Killed => nodes.nodes[victim].kill(),
            End::Terminated => assert_eq!(nodes.nodes[victim].terminate(), Some(0)),
        }
        thread::sleep(Duration::from_millis(100));
        for phase in &phases {
            phase.stop.store(true, Ordering::Relaxed);
        }
    });
}

type Done = Result<(), ureq::Error>;

fn register(client: &Client, _: &mut Browser, answered: &Answered) -> Done {
    let body = json!({ "client_name": "Stranger", "redirect_uris": [CALLBACK] });
    let answer = post_json(&format!("{}/register", client.url), &body)?;
    assert_eq!(answer.status, 201, "{answer:?}");
    lock(&answered.registered).push(answer.text("client_id"));
    Ok(())
}

fn authorize(client: &Client, browser: &mut Browser, answered: &Answered) -> Done {
    let code = client.code(browser)?;
    lock(&answered.codes).push((Instant::now(), code));
    Ok(())
}

fn redeem(client: &Client, browser: &mut Browser, answered: &Answered) -> Done {
    let code = client.code(browser)?;
    let answer = client.redeem(&code)?;
    assert_eq!(answer.status, 200, "{answer:?}");
    lock(&answered.redeemed).push((code, answer.text("refresh_token")));
    Ok(())
}

fn refresh(client: &Client, browser: &mut Browser, answered: &Answered) -> Done {
    let newest = lock(&answered.refreshed).last().cloned();
    let answer = match newest {
        Some(token) => client.refresh(&token)?,
        None => client.redeem(&client.code(browser)?)?,
    };
    assert_eq!(answer.status, 200, "{answer:?}");
    lock(&answered.refreshed).push(answer.text("refresh_token"));
    Ok(())
}

/// All of it is there, and what was used stays used.
fn check(client: &Client, answered: &Answered) {
    for id in lock(&answered.registered).iter() {
        let answer = client.named(id).redeem("ac_unknown").unwrap();
        assert_eq!(answer.text("error"), "invalid_grant", "{id} is known: {answer:?}");
    }
    // Codes are good for a minute: on a slow machine some are too old by now.
    let is_young = |(given, _): &&(Instant, String)| given.elapsed() < Duration::from_secs(40);
    for (_, code) in lock(&answered.codes).iter().filter(is_young) {
        let answer = client.redeem(code).unwrap();
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_gone(client, &client.redeem(code).unwrap().text("error"));
    }
    for (index, (code, token)) in lock(&answered.redeemed).iter().enumerate() {
        if index % 2 == 0 {
            let answer = client.refresh(token).unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
        } else {
            // A code that comes again ends what came of it.
            assert_gone(client, &client.redeem(code).unwrap().text("error"));
            assert_gone(client, &client.refresh(token).unwrap().text("error"));
        }
    }
    let family = lock(&answered.refreshed);
    // Its successor may have been stored and not answered: then the retry gets that one.
    let answer = client.refresh(family.last().unwrap()).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    // An older one, whose successor was used, is a theft: it ends the family.
    let older = &family[family.len() - 3];
    assert_gone(client, &client.refresh(older).unwrap().text("error"));
    let newest = answer.text("refresh_token");
    assert_gone(client, &client.refresh(&newest).unwrap().text("error"));
}

fn assert_gone(client: &Client, error: &str) {
    assert_eq!(error, "invalid_grant", "{client:?}");
}

fn lock<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap()
}
