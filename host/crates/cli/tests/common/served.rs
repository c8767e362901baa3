//! The server as a process.

use super::command;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStderr, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};
use ureq::Agent;

/// Of the bundle that the program carries.
pub(crate) const MANIFEST: &str = include_str!("../../../../demo/bundle/bundle.toml");

/// A server that runs; it is killed when it is dropped.
pub(crate) struct Server {
    pub(crate) process: Child,
    pub(crate) clients: String,
    pub(crate) admin: String,
    pub(crate) agent: Agent,
    /// Its messages after it listened.
    lines: Arc<Mutex<Vec<String>>>,
}

/// The command of a server on free ports.
pub(crate) fn serve(arguments: &[&str]) -> Command {
    let doors = ["serve", "--n", "4", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
    let mut command = command(&doors.iter().chain(arguments).copied().collect::<Vec<_>>());
    command.stderr(Stdio::piped());
    command
}

impl Server {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(serve(arguments).spawn().unwrap())
    }

    /// Starts a server, and returns once it listens.
    pub(crate) fn of(mut process: Child) -> Self {
        let mut lines = BufReader::new(process.stderr.take().unwrap()).lines();
        let (clients, admin) = (address(&mut lines, "clients"), address(&mut lines, "administrators"));
        let shared = Arc::<Mutex<Vec<String>>>::default();
        // Nothing must wait for its lines to be read.
        let kept = Arc::clone(&shared);
        thread::spawn(move || lines.map_while(Result::ok).for_each(|line| kept.lock().unwrap().push(line)));
        let agent = Agent::config_builder().http_status_as_error(false).build().into();
        Self { process, clients, admin, agent, lines: shared }
    }

    pub(crate) fn ask(&self, body: &Value) -> Option<Value> {
        let sent = self.agent.post(format!("{}/v1/chat/completions", self.clients)).send(body.to_string());
        serde_json::from_str(&sent.ok()?.body_mut().read_to_string().ok()?).ok()
    }

    pub(crate) fn activate(&self, manifest: &str) -> Option<Value> {
        let sent =
            self.agent.put(format!("{}/admin/bundle", self.admin)).send(json!({"manifest": manifest}).to_string());
        serde_json::from_str(&sent.ok()?.body_mut().read_to_string().ok()?).ok()
    }

    pub(crate) fn status(&self) -> Value {
        let got = self.agent.get(format!("{}/admin/status", self.admin)).call();
        serde_json::from_str(&got.unwrap().body_mut().read_to_string().unwrap()).unwrap()
    }

    /// The number of the generation that is active.
    pub(crate) fn generation(&self) -> u64 {
        self.status()["generation"]["number"].as_u64().unwrap()
    }

    /// The budget that decides.
    pub(crate) fn budget(&self) -> f64 {
        let answer = self.ask(&question(1)).unwrap();
        answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].as_f64().unwrap()
    }

    /// Waits until that generation is active.
    pub(crate) fn becomes(&self, number: u64) {
        let there = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            self.generation() == number
        });
        assert!(there, "{}: {:?}", self.status(), self.lines.lock().unwrap());
    }

    /// Waits for a line with these words.
    pub(crate) fn says(&self, words: &str) {
        let there = (0..600).any(|_| {
            thread::sleep(Duration::from_millis(100));
            self.lines.lock().unwrap().iter().any(|line| line.contains(words))
        });
        assert!(there, "{words}: {:?}", self.lines.lock().unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn address(lines: &mut std::io::Lines<BufReader<ChildStderr>>, door: &str) -> String {
    let line = lines.find(|line| line.as_ref().is_ok_and(|line| line.starts_with(door)));
    let line = line.expect("the server says where it listens").unwrap();
    line.split_whitespace().nth(1).unwrap().trim_end_matches("/v1").trim_end_matches("/admin/").to_owned()
}

/// By the shell's own command: not every machine has a program for it.
pub(crate) fn signal(name: &str, process: &Child) {
    let command = format!("kill -{name} {}", process.id());
    assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
}

pub(crate) fn question(seed: u64) -> Value {
    json!({"messages": [{"role": "user", "content": "How do I clean a knife?"}], "max_tokens": 12, "seed": seed})
}
