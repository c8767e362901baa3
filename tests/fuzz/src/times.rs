//! Measured times from elsewhere: the file of `simulate --times`, and what a peer of `bench` prints. Refused in words, or every
//! figure that follows is a number.

use inferenceguard_scaling::{ScalingError, Sweep, Times};
use inferenceguard_search::{Profile, Usage};
use inferenceguard_trials::{
    TrialError,
    bench::{PeerRow, Row},
};

/// The most rows, chunks and models of what is simulated here: larger ones only take longer.
const ROWS: usize = 64;
const CHUNKS: usize = 16;
const MODELS: usize = 4;

/// The first byte chooses what the bytes are.
pub fn run(bytes: &[u8]) {
    let Some((kind, rest)) = bytes.split_first() else { return };
    match kind % 2 {
        0 => times(&String::from_utf8_lossy(rest)),
        _ => peer(rest),
    }
}

fn times(text: &str) {
    match Times::parse(text) {
        Ok(times) => simulated(&times),
        Err(ScalingError::Number { name, expected, .. }) => {
            assert!(!name.is_empty() && !expected.is_empty(), "no words")
        }
        Err(error) => assert!(!error.to_string().is_empty(), "no words"),
    }
}

/// Every cell of the table is a word or a finite number.
fn simulated(times: &Times) {
    let chunks = times.search.answer.div_ceil(times.search.chunk);
    if times.language.rows > ROWS || chunks > CHUNKS || times.score.models > MODELS || times.controller.cores > ROWS {
        return;
    }
    let sweep = Sweep { replicas: vec![1, 2], scores: vec![1], ns: vec![2, 8] };
    let report = sweep.run(times).expect("times that were taken");
    let csv = report.csv();
    let cells = csv.lines().skip(1).flat_map(|line| line.split(','));
    let mut numbers = cells.filter_map(|cell| cell.parse::<f64>().ok());
    assert!(numbers.all(|number| number.is_finite() && number >= 0.0), "{csv}");
    assert!(!report.markdown().is_empty(), "no table");
    assert!(report.plot().is_ok(), "{csv}");
}

fn peer(bytes: &[u8]) {
    let ours = ours();
    match PeerRow::read("other", &ours, bytes) {
        Ok(row) => {
            assert!(row.seconds_per_prompt > 0.0 && row.times_ours.is_finite(), "{row:?}");
            assert!(row.printed.is_object() && (row.n, &row.method) == (ours.n, &ours.method), "{row:?}");
        }
        Err(TrialError::Peer { problem, .. }) => assert!(!problem.is_empty(), "no words"),
        Err(error) => assert!(matches!(error, TrialError::PeerAnswer { .. }), "{error}"),
    }
}

/// A row beside which a peer stands.
fn ours() -> Row {
    Row {
        method: "base".to_owned(),
        n: 1,
        prompt_tokens: 8,
        concurrency: 1,
        requests: 2,
        seconds_per_prompt: 0.5,
        tokens_per_second: 16.0,
        first_text_seconds: 0.25,
        peak_bytes: None,
        bound_seconds: 0.125,
        profile: Profile::default(),
        usage: Usage::default(),
    }
}

/// Times of small engines, odd ones, and what peers print.
pub fn seeds() -> Vec<Vec<u8>> {
    let small = "[language]\nsource = \"here\"\nstep = [[1, 0.05], [8, 0.08]]\nprompt_token = 0.001\nblock = 16\nrows = 16\n\n\
                 [score]\nsource = \"here\"\ncall = 0.1\ntoken = 0.0005\nblock = 16\nmodels = 2\n\n[controller]\n\
                 source = \"here\"\ncores = 2\ndecision = [[8, 0.001], [32, 0.002]]\n\n[search]\nprompt = 40\nanswer = 64\n\
                 chunk = 16\nbeams = 2\n";
    let odd =
        small.replace("0.05]", "1e-300]").replace("call = 0.1", "call = 0").replace("token = 0.0005", "token = 0.0");
    let long = small.replace("0.002]", "1e308]").replace("answer = 64", "answer = 1");
    let twice = format!("\u{feff}{}cores = 2\r\n", small.replace('\n', "\r\n"));
    let times = [small, &odd, &long, &twice].map(|text| [b"\0", text.as_bytes()].concat());
    let printed = [
        "{\"seconds_per_prompt\": 1.5, \"version\": \"other 1.0\", \"threads\": 2}\n",
        "{\"seconds_per_prompt\": -1}",
        "{\"seconds_per_prompt\": 1e308}",
        "{\"seconds_per_prompt\": \"1.5\"}",
        "[1.5]",
    ];
    times.into_iter().chain(printed.map(|text| [b"\x01", text.as_bytes()].concat())).collect()
}
