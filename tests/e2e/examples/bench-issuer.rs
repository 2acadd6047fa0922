//! What the issuer does in a second, on SQLite and PostgreSQL, beside npm's `oidc-provider`, which keeps
//! everything in its memory: all in one run, in turns. Prints the table of docs/performance.md; `cargo
//! xtask bench issuer` builds what it needs and writes the table down.
#![allow(clippy::expect_used, clippy::print_stdout, clippy::unwrap_used, missing_docs)]

#[path = "bench-issuer/peers.rs"]
mod peers;
#[path = "bench-issuer/visitor.rs"]
mod visitor;

use std::{
    env, thread,
    time::{Duration, Instant},
};

use countersign_e2e::{Places, Scratch};
use countersign_testkit::postgres::Postgres;
use peers::Peer;
use visitor::Visitor;

/// Connections that are open at once, each with one request after the other.
const CONNECTIONS: usize = 16;

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

fn main() {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [binary, rounds, grants] = arguments.as_slice() else {
        panic!("usage: bench-issuer COUNTERSIGN ROUNDS GRANTS");
    };
    let rounds: usize = rounds.parse().expect("a number of rounds");
    let grants: usize = grants.parse().expect("a number of grants");
    let places = Places::of_checkout();
    let scratch = Scratch::new().unwrap();
    // As it is installed: a commit is on the disk.
    let server = Postgres::start(&[]);
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
    let measured = measure(&peers, rounds);
    for (row, turns) in table.iter_mut().zip(measured) {
        for (cell, turns) in row.iter_mut().zip(turns) {
            *cell = median(turns);
        }
    }
    print(&table, rounds);
    let busy: Vec<f64> = peers.iter().map(Peer::memory).collect();
    let starts: Vec<f64> = peers.iter_mut().map(Peer::cold_start).collect();
    print_rest(
        &[("memory when idle", &idle, "MB"), ("memory after the run", &busy, "MB")],
        &starts,
    );
    if grants > 0 {
        print_filled(&mut peers, grants, &table[2]);
    }
}

/// Turns of each kind of work at each peer.
fn measure(peers: &[Peer], rounds: usize) -> Vec<Vec<Vec<Figures>>> {
    let mut all = vec![vec![Vec::new(); peers.len()]; WORKS.len()];
    let mut visitors: Vec<Vec<Visitor>> = peers
        .iter()
        .map(|peer| (0..CONNECTIONS).map(|_| Visitor::arrive(peer)).collect())
        .collect();
    // The first round lets Node compile what is hot.
    for round in 0..=rounds {
        for (row, (work, name)) in WORKS.iter().enumerate() {
            for (column, visitors) in visitors.iter_mut().enumerate() {
                let figures = turn(visitors, *work);
                eprintln!("round {round}: {name}, {}: {:.0}/s", peers[column].name, figures.rate);
                if round > 0 {
                    all[row][column].push(figures);
                }
            }
        }
    }
    all
}

fn turn(visitors: &mut [Visitor], work: Work) -> Figures {
    if work == Work::Introspection {
        visitors.iter_mut().for_each(Visitor::prepare_introspection);
    }
    let start = Instant::now();
    let mut latencies: Vec<Duration> = thread::scope(|scope| {
        let one = |visitor: &mut Visitor| {
            let mut latencies = Vec::new();
            while start.elapsed() < TURN {
                let began = Instant::now();
                match work {
                    Work::KeySet => visitor.key_set(),
                    Work::ClientCredentials => visitor.client_credentials(),
                    Work::Refresh => visitor.refresh(),
                    Work::CodeFlow => visitor.code_flow(),
                    Work::Introspection => visitor.introspect(),
                }
                latencies.push(began.elapsed());
            }
            latencies
        };
        let all: Vec<_> =
            visitors.iter_mut().map(|visitor| scope.spawn(move || one(visitor))).collect();
        all.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    let seconds = start.elapsed().as_secs_f64();
    latencies.sort_unstable();
    let at = |hundredths: usize| {
        let latency = latencies[(latencies.len() - 1) * hundredths / 100];
        latency.as_secs_f64() * 1000.0
    };
    let count = u32::try_from(latencies.len()).unwrap();
    Figures { rate: f64::from(count) / seconds, median: at(50), last: at(99) }
}

fn median(mut turns: Vec<Figures>) -> Figures {
    turns.sort_by(|one, other| one.rate.total_cmp(&other.rate));
    turns[turns.len() / 2]
}

fn print(table: &[Vec<Figures>], rounds: usize) {
    println!(
        "{rounds} rounds, {CONNECTIONS} connections, {} s a turn; medians. A cell has the number in a \
         second, then the median and the 99th percentile of the latency in ms; a ratio is ours to \
         `oidc-provider`.\n",
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
fn print_filled(peers: &mut [Peer], grants: usize, before: &[Figures]) {
    println!("\nRefreshes with {grants} more grants and refresh tokens in the database:\n");
    println!("| | before | with them |");
    println!("|---|---:|---:|");
    for (peer, before) in peers.iter_mut().zip(before).take(2) {
        peer.fill(grants);
        let mut visitors: Vec<Visitor> = (0..CONNECTIONS).map(|_| Visitor::arrive(peer)).collect();
        let turns: Vec<Figures> = (0..4).map(|_| turn(&mut visitors, Work::Refresh)).collect();
        let after = median(turns[1..].to_vec());
        let cell = |figures: &Figures| {
            let Figures { rate, median, last } = figures;
            format!("{rate:.0}/s, {median:.1}, {last:.1}")
        };
        println!("| {} | {} | {} |", peer.name, cell(before), cell(&after));
    }
}
