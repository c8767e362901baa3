//! Bundles in a real registry. The tests that start one are ignored unless asked for: `cargo test --test registry --
//! --ignored` runs them, and they fail where the program `docker-registry` is not installed.

mod common;

use common::{Ran, command, run, text};
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    /// A fresh registry that keeps its files in `dir`.
    fn start(dir: &Path) -> Self {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
        let config = dir.join("config.yml");
        let storage = dir.join("storage");
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {}\nhttp:\n  addr: {address}\n",
                text(&storage)
            ),
        )
        .unwrap();
        let mut command = Command::new("docker-registry");
        command.args(["serve", text(&config)]).stdout(Stdio::null()).stderr(Stdio::null());
        let process = command.spawn().unwrap_or_else(|error| panic!("docker-registry: {error}; install it"));
        let up = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(100));
            TcpStream::connect(&address).is_ok()
        });
        assert!(up, "the registry listens on {address}");
        Self { process, address }
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

fn bundle(dir: &Path) -> PathBuf {
    let (bundle, key) = (dir.join("kitchen"), dir.join("k"));
    assert_eq!(run(&["bundle", "init", text(&bundle), "--template", "score"]).code, Some(0));
    assert_eq!(run(&["bundle", "keygen", text(&key)]).code, Some(0));
    assert_eq!(run(&["bundle", "sign", text(&bundle), "--key", text(&key)]).code, Some(0));
    bundle
}

#[test]
#[ignore = "needs the program docker-registry"]
fn what_is_pushed_is_pulled_signature_and_all() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path());
    let bundle = bundle(dir.path());
    let tag = format!("{}/policies/kitchen:1.0.0", registry.address);
    let pushed = run(&["bundle", "push", text(&bundle), &tag, "--plain-http"]);
    assert_eq!(pushed.code, Some(0), "{}", pushed.stderr);
    let pin = pushed.stdout.lines().find_map(|line| line.strip_prefix("pin it as ")).unwrap().to_owned();

    let public = dir.path().join("k.pub");
    for (reference, out) in [(&tag, "by-tag.tar"), (&pin, "by-pin.tar")] {
        let out = dir.path().join(out);
        let pulled = run(&["bundle", "pull", reference, "--plain-http", "--out", text(&out)]);
        assert_eq!(pulled.code, Some(0), "{}", pulled.stderr);
        let verified = run(&["bundle", "verify", text(&out), "--key", text(&public)]);
        assert!(verified.stdout.contains("signed by"), "{}", verified.stderr);
    }
    let absent = format!("{}/policies/kitchen:2.0.0", registry.address);
    run(&["bundle", "pull", &absent, "--plain-http"]).refuses("not pulled");
}

#[test]
#[ignore = "needs the program docker-registry"]
fn a_registry_that_lies_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let registry = Registry::start(dir.path());
    let bundle = bundle(dir.path());
    let tag = format!("{}/policies/kitchen:1.0.0", registry.address);
    assert_eq!(run(&["bundle", "push", text(&bundle), &tag, "--plain-http"]).code, Some(0));
    let manifest = fs::read(bundle.join("bundle.toml")).unwrap();
    let kept = files(&dir.path().join("storage")).into_iter().find(|path| fs::read(path).unwrap() == manifest).unwrap();
    let other = String::from_utf8(manifest).unwrap().replace("budget = 10.0", "budget = 99.0");
    fs::write(kept, other).unwrap();
    let out = dir.path().join("out.tar");
    run(&["bundle", "pull", &tag, "--plain-http", "--out", text(&out)]).refuses("bundle.toml");
    assert!(!out.exists(), "nothing is written");
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

#[test]
fn nobody_answers_and_no_reference_are_reported() {
    let dir = tempfile::tempdir().unwrap();
    run(&["bundle", "pull", "127.0.0.1:9/x:1", "--plain-http"]).refuses("not pulled");
    run(&["bundle", "pull", "NOT A REFERENCE"]).refuses("expected REGISTRY/NAME:TAG");
    run(&["bundle", "push", text(dir.path()), "127.0.0.1:9/x:1"]).refuses("bundle.toml");
}

/// Answers every request with this status line and header, and keeps what it was sent.
fn answering(head: String) -> (String, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, heard) = (listener.local_addr().unwrap().to_string(), Arc::new(Mutex::new(String::new())));
    let hears = Arc::clone(&heard);
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let lines = BufReader::new(&stream).lines().map_while(Result::ok).take_while(|line| !line.is_empty());
            let request: String = lines.map(|line| line + "\n").collect();
            hears.lock().unwrap().push_str(&request);
            let answer = format!("HTTP/1.1 {head}\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{{}}");
            let _ = (&stream).write_all(answer.as_bytes());
        }
    });
    (address, heard)
}

#[test]
fn a_password_goes_to_no_host_that_the_registry_names() {
    let (other, heard_there) = answering("200 OK".to_owned());
    let challenge = format!("Bearer realm=\"http://{other}/token\",service=\"x\"");
    let (registry, _) = answering(format!("401 Unauthorized\r\nwww-authenticate: {challenge}"));
    let pull = |more: &[&str]| -> Ran {
        let reference = format!("{registry}/policies/kitchen:1.0.0");
        let mut pull = command(&[&["bundle", "pull", &reference, "--plain-http"], more].concat());
        pull.env("INFERGUARD_REGISTRY_USER", "ann").env("INFERGUARD_REGISTRY_PASSWORD", "secret");
        pull.output().unwrap().into()
    };
    pull(&[]).refuses(&format!("--token-host {other}"));
    assert_eq!(*heard_there.lock().unwrap(), "", "the other host was asked nothing");
    pull(&["--token-host", &other]).refuses("not pulled");
    assert!(heard_there.lock().unwrap().to_lowercase().contains("authorization: basic"), "the user has allowed it");
}
