//! What the issuer does in a second, on SQLite and PostgreSQL, beside npm's `oidc-provider`, which keeps
//! everything in its memory: all in one run, in turns. Prints the table of docs/performance.md; `cargo
//! xtask bench issuer` builds what it needs and writes the table down.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "bench-issuer/connection.rs"]
mod connection;
#[path = "bench-issuer/peers.rs"]
mod peers;
#[path = "bench-issuer/visitor.rs"]
mod visitor;

use std::{
    env, process,
    time::{Duration, Instant},
};

use countersign_e2e::{Places, Scratch};
use countersign_testkit::postgres::Postgres;
use peers::Peer;
use tokio::{
    runtime::{Builder, Runtime},
    task::JoinSet,
};
use visitor::Visitor;

/// Connections that are open at once, each with one request after the other. So many that no server waits
/// for the next request: with a few, what is measured is how long each takes, not how many there can be.
const CONNECTIONS: usize = 64;

/// How long one kind of request is sent to one server in a round.
const TURN: Duration = Duration::from_secs(2);

/// What is asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Work {
    KeySet,
    ClientCredentials,
    Refresh,
    CodeFlow,
    Introspection,
}

const WORKS: [(Work, &str); 5] = [
    (Work::KeySet, "key set"),
    (Work::ClientCredentials, "client_credentials"),
    (Work::Refresh, "refresh, with rotation"),
    (Work::CodeFlow, "code and PKCE: authorize, then token"),
    (Work::Introspection, "introspection of an access token"),
];

/// What came of a turn, or the median of turns.
#[derive(Clone, Copy, Default)]
struct Figures {
    /// In a second.
    rate: f64,
    /// Milliseconds.
    median: f64,
    last: f64,
}

/// What is measured.
struct Plan {
    rounds: usize,
    connections: usize,
    works: Vec<Work>,
}

impl Plan {
    /// `rest` is for who looks closer: another number of connections, and single kinds of work.
    fn of(rounds: &str, rest: &[String]) -> Self {
        let number = |text: &str| text.parse::<usize>().expect("a number");
        let mut rest = rest.iter().map(|text| number(text));
        let connections = rest.next().unwrap_or(CONNECTIONS);
        let chosen: Vec<usize> = rest.collect();
        let is_chosen = |index: usize| chosen.is_empty() || chosen.contains(&index);
        let works = WORKS.iter().enumerate().filter(|(index, _)| is_chosen(*index));
        let works = works.map(|(_, (work, _))| *work).collect();
        Self { rounds: number(rounds), connections, works }
    }
}

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [binary, rounds, grants, rest @ ..] = arguments.as_slice() else {
        panic!("usage: bench-issuer COUNTERSIGN ROUNDS GRANTS [CONNECTIONS [NUMBER OF A WORK…]]");
    };
    let plan = Plan::of(rounds, rest);
    let grants: usize = grants.parse().expect("a number of grants");
    let runtime = Builder::new_current_thread().enable_io().build().unwrap();
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    // As it is installed: a commit is on the disk.
    let server = Postgres::start(&["shared_buffers=128MB"]);
    let mut peers = vec![
        Peer::countersign("on SQLite", binary.as_ref(), &scratch, "issuer.db"),
        Peer::countersign(
            "on PostgreSQL",
            binary.as_ref(),
            &scratch,
            &server.url(&server.create_database()),
        ),
        Peer::oidc_provider(&places, &scratch),
    ];
    for peer in &mut peers {
        peer.prepare();
    }
    let idle: Vec<f64> = peers.iter().map(Peer::memory).collect();
    let mut table = vec![vec![Figures::default(); peers.len()]; WORKS.len()];
    let measured = measure(&runtime, &peers, &plan);
    for (row, turns) in table.iter_mut().zip(measured) {
        for (cell, turns) in row.iter_mut().zip(turns) {
            *cell = median(turns);
        }
    }
    print(&table, &plan);
    let busy: Vec<f64> = peers.iter().map(Peer::memory).collect();
    let starts: Vec<f64> = peers.iter_mut().map(Peer::cold_start).collect();
    print_rest(
        &[("memory when idle", &idle, "MB"), ("memory after the run", &busy, "MB")],
        &starts,
    );
    if grants > 0 {
        print_filled(&runtime, &mut peers, grants, plan.connections, &table[2]);
    }
}

/// Turns of each kind of work at each peer.
fn measure(runtime: &Runtime, peers: &[Peer], plan: &Plan) -> Vec<Vec<Vec<Figures>>> {
    let mut all = vec![vec![Vec::new(); peers.len()]; WORKS.len()];
    let mut visitors: Vec<Vec<Visitor>> =
        peers.iter().map(|peer| runtime.block_on(arrive(peer, plan.connections))).collect();
    // The first round lets Node compile what is hot.
    for round in 0..=plan.rounds {
        for (row, (work, name)) in WORKS.iter().enumerate() {
            if !plan.works.contains(work) {
                continue;
            }
            for (column, visitors) in visitors.iter_mut().enumerate() {
                let (peer, before) = (&peers[column], (peers[column].processor_time(), own_time()));
                let figures = runtime.block_on(turn(visitors, *work));
                let count = figures.rate * TURN.as_secs_f64();
                let each = |after: f64, before: f64| (after - before) * 1e6 / count;
                let (server, own) =
                    (each(peer.processor_time(), before.0), each(own_time(), before.1));
                eprintln!(
                    "round {round}: {name}, {}: {:.0}/s, {:.1} ms, {:.1} ms; of the processor, the \
                     server {server:.0} µs a piece, the load generator {own:.0}",
                    peer.name, figures.rate, figures.median, figures.last
                );
                if round > 0 {
                    all[row][column].push(figures);
                }
            }
        }
    }
    all
}

/// Users who are logged in, each with a connection.
async fn arrive(peer: &Peer, count: usize) -> Vec<Visitor> {
    let mut visitors = Vec::new();
    for _ in 0..count {
        visitors.push(Visitor::arrive(peer).await);
    }
    visitors
}

/// All of them on this thread: the servers need the machine more.
async fn turn(visitors: &mut Vec<Visitor>, work: Work) -> Figures {
    if work == Work::Introspection {
        for visitor in visitors.iter_mut() {
            visitor.prepare_introspection().await;
        }
    }
    let start = Instant::now();
    let mut running = JoinSet::new();
    for mut visitor in visitors.drain(..) {
        running.spawn(async move {
            let mut latencies = Vec::new();
            while start.elapsed() < TURN {
                let began = Instant::now();
                match work {
                    Work::KeySet => visitor.key_set().await,
                    Work::ClientCredentials => visitor.client_credentials().await,
                    Work::Refresh => visitor.refresh().await,
                    Work::CodeFlow => visitor.code_flow().await,
                    Work::Introspection => visitor.introspect().await,
                }
                latencies.push(began.elapsed());
            }
            (visitor, latencies)
        });
    }
    let mut latencies = Vec::new();
    while let Some(done) = running.join_next().await {
        let (visitor, its) = done.unwrap();
        visitors.push(visitor);
        latencies.extend(its);
    }
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |hundredths: usize| {
        let latency: Duration = latencies[(latencies.len() - 1) * hundredths / 100];
        latency.as_secs_f64() * 1000.0
    };
    let count = u32::try_from(latencies.len()).unwrap();
    Figures { rate: f64::from(count) / seconds, median: at(50), last: at(99) }
}

fn own_time() -> f64 {
    peers::processor_time(process::id())
}

fn median(mut turns: Vec<Figures>) -> Figures {
    if turns.is_empty() {
        return Figures::default();
    }
    turns.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    turns[turns.len() / 2]
}

fn print(table: &[Vec<Figures>], plan: &Plan) {
    println!(
        "{} rounds, {} connections, {} s a turn; medians. A cell has the number in a \
         second, then the median and the 99th percentile of the latency in ms; a ratio is ours to \
         `oidc-provider`.\n",
        plan.rounds,
        plan.connections,
        TURN.as_secs()
    );
    println!(
        "| | SQLite | PostgreSQL | `oidc-provider`, in memory | SQLite, ratio | PostgreSQL, ratio |"
    );
    println!("|---|---:|---:|---:|---:|---:|");
    for ((_, name), row) in WORKS.iter().zip(table) {
        let cell = |figures: &Figures| {
            let Figures { rate, median, last } = figures;
            format!("{rate:.0}/s, {median:.1}, {last:.1}")
        };
        let cells: Vec<String> = row.iter().map(cell).collect();
        let ratio = |index: usize| row[index].rate / row[2].rate;
        println!("| {name} | {} | {:.1} | {:.1} |", cells.join(" | "), ratio(0), ratio(1));
    }
}

fn print_rest(memories: &[(&str, &[f64], &str)], starts: &[f64]) {
    println!("\n| | SQLite | PostgreSQL | `oidc-provider` |");
    println!("|---|---:|---:|---:|");
    for (name, values, unit) in memories {
        let cells: Vec<String> = values.iter().map(|value| format!("{value:.0} {unit}")).collect();
        println!("| {name} | {} |", cells.join(" | "));
    }
    let cells: Vec<String> = starts.iter().map(|value| format!("{value:.0} ms")).collect();
    println!("| start to first answer | {} |", cells.join(" | "));
}

/// The same refreshes once so many grants lie in the database.
fn print_filled(
    runtime: &Runtime,
    peers: &mut [Peer],
    grants: usize,
    connections: usize,
    before: &[Figures],
) {
    println!("\nRefreshes with {grants} more grants and refresh tokens in the database:\n");
    println!("| | before | with them |");
    println!("|---|---:|---:|");
    for (peer, before) in peers.iter_mut().zip(before).take(2) {
        peer.fill(grants);
        let mut visitors = runtime.block_on(arrive(peer, connections));
        let turns = (0..4).map(|_| runtime.block_on(turn(&mut visitors, Work::Refresh)));
        let turns: Vec<Figures> = turns.collect();
        let after = median(turns[1..].to_vec());
        let cell = |figures: &Figures| {
            let Figures { rate, median, last } = figures;
            format!("{rate:.0}/s, {median:.1}, {last:.1}")
        };
        println!("| {} | {} | {} |", peer.name, cell(before), cell(&after));
    }
}
