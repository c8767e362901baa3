//! Bundles in a real registry, where the program `docker-registry` is installed; elsewhere only what needs none is tested.

mod common;

use common::{run, text};
use std::{
    fs,
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::Duration,
};

struct Registry {
    process: Child,
    address: String,
}

impl Registry {
    /// A fresh registry that keeps its files in `dir`; nothing where the program is missing.
    fn start(dir: &Path) -> Option<Self> {
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
        let process = command.spawn().ok()?;
        let up = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(100));
            TcpStream::connect(&address).is_ok()
        });
        assert!(up, "the registry listens on {address}");
        Some(Self { process, address })
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
    assert_eq!(run(&["bundle", "init", text(&bundle)]).code, Some(0));
    assert_eq!(run(&["bundle", "keygen", text(&key)]).code, Some(0));
    assert_eq!(run(&["bundle", "sign", text(&bundle), "--key", text(&key)]).code, Some(0));
    bundle
}

#[test]
fn what_is_pushed_is_pulled_signature_and_all() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(dir.path()) else { return };
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
fn a_registry_that_lies_is_found_out() {
    let dir = tempfile::tempdir().unwrap();
    let Some(registry) = Registry::start(dir.path()) else { return };
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
fn nobody_answers_and_no_reference_are_said() {
    let dir = tempfile::tempdir().unwrap();
    run(&["bundle", "pull", "127.0.0.1:9/x:1", "--plain-http"]).refuses("not pulled");
    run(&["bundle", "pull", "NOT A REFERENCE"]).refuses("expected REGISTRY/NAME:TAG");
    run(&["bundle", "push", text(dir.path()), "127.0.0.1:9/x:1"]).refuses("bundle.toml");
}
