//! Bundles and layers that change under a server or while none runs, and signals.
#![cfg(unix)]

mod common;

use common::{
    run,
    served::{MANIFEST, Server, question, serve, signal},
    text,
};
use serde_json::Value;
use std::{
    fs,
    io::{Read, Write},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

/// A bundle whose first budget is this.
fn manifest(budget: &str) -> String {
    assert!(MANIFEST.contains("budget = 10.0"));
    MANIFEST.replace("budget = 10.0", &format!("budget = {budget}"))
}

/// A folder with a bundle.
fn folder(root: &Path, name: &str) -> PathBuf {
    let folder = root.join(name);
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("bundle.toml"), manifest("10.0")).unwrap();
    folder
}

/// Edits a bundle as careful tools do: beside it, then renamed.
fn edit(folder: &Path, budget: &str) {
    let next = folder.join("bundle.toml.new");
    fs::write(&next, manifest(budget)).unwrap();
    fs::rename(next, folder.join("bundle.toml")).unwrap();
}

/// Long enough for a change to be taken, if it is one.
fn a_while() {
    thread::sleep(Duration::from_secs(5));
}

#[test]
fn what_lies_beside_a_bundle_neither_ends_nor_starves_its_watch() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path(), "bundle");
    // A lock of an editor, a folder that may not be read, a pipe, a log that grows.
    symlink("somebody@somewhere.4711:1", folder.join(".#notes.txt")).unwrap();
    fs::create_dir(folder.join("lost+found")).unwrap();
    fs::set_permissions(folder.join("lost+found"), fs::Permissions::from_mode(0o000)).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    let server = Server::start(&["--watch", "--bundle", text(&folder)]);
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (done, log) = (&done, folder.join("deploy.log"));
        scope.spawn(move || {
            while !done.load(Ordering::Relaxed) {
                fs::File::options().create(true).append(true).open(&log).unwrap().write_all(b"x\n").unwrap();
                thread::sleep(Duration::from_millis(300));
            }
        });
        let canary = manifest("9.0");
        let sent = server.agent.put(format!("{}/admin/canary", server.admin));
        let body = serde_json::json!({"manifest": canary, "share": 0.0}).to_string();
        assert_eq!(sent.send(body).unwrap().status(), 200);
        symlink("somebody@somewhere.4711:1", folder.join(".#bundle.toml")).unwrap();
        fs::write(folder.join(".bundle.toml.swp"), "x").unwrap();
        // The same bytes in another file, as `touch` or a deployment of the same version leaves them.
        edit(&folder, "10.0");
        a_while();
        let status = server.status();
        assert_eq!(status["generation"]["number"], 1, "nothing was changed: {status}");
        assert!(status["canary"].is_object(), "{status}");
        edit(&folder, "5.0");
        server.becomes(3);
        done.store(true, Ordering::Relaxed);
    });
    assert_eq!(server.budget(), 5.0);
    // Without its manifest nothing is activated, and the watch says so and goes on.
    fs::remove_file(folder.join("bundle.toml")).unwrap();
    server.says("error: ");
    fs::create_dir(folder.join("bundle.toml")).unwrap();
    a_while();
    assert_eq!(server.generation(), 3);
    fs::remove_dir(folder.join("bundle.toml")).unwrap();
    edit(&folder, "4.0");
    server.becomes(4);
}

#[test]
fn links_that_are_swapped_are_followed_and_half_made_edits_are_not_taken() {
    let root = tempfile::tempdir().unwrap();
    let volume = root.path().join("volume");
    fs::create_dir(&volume).unwrap();
    let put = |name: &str, budget: &str| {
        fs::create_dir(volume.join(name)).unwrap();
        fs::write(volume.join(name).join("bundle.toml"), manifest(budget)).unwrap();
        symlink(name, volume.join("..next")).unwrap();
        fs::rename(volume.join("..next"), volume.join("..data")).unwrap();
    };
    put("..one", "10.0");
    symlink("..data/bundle.toml", volume.join("bundle.toml")).unwrap();
    let server = Server::start(&["--watch", "--bundle", text(&volume)]);
    put("..two", "5.0");
    fs::remove_dir_all(volume.join("..one")).unwrap();
    server.becomes(2);
    a_while();
    assert_eq!((server.generation(), server.budget()), (2, 5.0), "once and no more");
    // A bundle that is another one at every look is not whole yet.
    for turn in 0..12 {
        fs::write(volume.join("..two/bundle.toml"), manifest(&format!("{turn}.5"))).unwrap();
        thread::sleep(Duration::from_millis(450));
    }
    assert!(server.generation() < 2 + 12, "not each of them was taken: {}", server.status());
    let whole = (0..300).any(|_| {
        thread::sleep(Duration::from_millis(200));
        server.budget() == 11.5
    });
    assert!(whole, "{}", server.status());
}

#[test]
fn what_was_activated_otherwise_and_rolled_back_stays_rolled_back_until_the_folder_changes() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path(), "bundle");
    let server = Server::start(&["--watch", "--bundle", text(&folder)]);
    edit(&folder, "5.0");
    let activated = run(&["bundle", "activate", text(&folder), "--server", &server.admin]);
    assert_eq!(activated.code, Some(0), "{}", activated.stderr);
    let rolled = run(&["bundle", "rollback", "--server", &server.admin]);
    assert_eq!(rolled.code, Some(0), "{}", rolled.stderr);
    a_while();
    assert_eq!(server.budget(), 10.0, "{}", server.status());
    for budget in ["4.0", "5.0"] {
        edit(&folder, budget);
        let taken = (0..300).any(|_| {
            thread::sleep(Duration::from_millis(200));
            server.budget() == budget.parse::<f64>().unwrap()
        });
        assert!(taken, "{budget}: {}", server.status());
    }
}

/// The settings of a tenant with the key `kitchen` and a layer in the folder beside them.
const KITCHEN: &str = "[tenants.kitchen]
key_sha256 = \"3171d89ad00530ffa19a244f040e9401a657903cbbbca724996b90a56df2c189\"
layer = \"layer\"
";

/// Edits a layer as careful tools do: beside it, then renamed.
fn edit_layer(folder: &Path, budget: &str) {
    let next = folder.join("layer.toml.new");
    fs::write(&next, format!("name = \"kitchen\"\nbudgets = {{ safety = {budget} }}\n")).unwrap();
    fs::rename(next, folder.join("layer.toml")).unwrap();
}

/// The budget that decides for the tenant.
fn budget_in_kitchen(server: &Server) -> f64 {
    let ask = server.agent.post(format!("{}/v1/chat/completions", server.clients));
    let sent = ask.header("authorization", "Bearer kitchen").send(question(1).to_string());
    let answer: Value = serde_json::from_str(&sent.unwrap().body_mut().read_to_string().unwrap()).unwrap();
    answer["choices"][0]["inferenceguard"]["constraints"][0]["budget"].as_f64().unwrap()
}

/// Waits until this budget decides for the tenant.
fn becomes_in_kitchen(server: &Server, budget: f64) {
    let there = (0..300).any(|_| {
        thread::sleep(Duration::from_millis(200));
        budget_in_kitchen(server) == budget
    });
    assert!(there, "{budget}: {}", server.status());
}

/// The errors of all attempts to change a layer, the newest first.
fn changes_of_layers(server: &Server) -> Vec<Value> {
    let got = server.agent.get(format!("{}/admin/swaps", server.admin)).call();
    let all: Value = serde_json::from_str(&got.unwrap().body_mut().read_to_string().unwrap()).unwrap();
    let all = all.as_array().unwrap().iter().filter(|one| one["change"] == "layers");
    all.map(|one| one["error"].clone()).collect()
}

#[test]
fn a_layer_that_changes_is_activated_and_a_broken_one_leaves_the_old_one() {
    let root = tempfile::tempdir().unwrap();
    let (bundle, layer) = (folder(root.path(), "bundle"), root.path().join("layer"));
    let config = root.path().join("server.toml");
    fs::write(&config, KITCHEN).unwrap();
    fs::create_dir(&layer).unwrap();
    edit_layer(&layer, "8.0");
    let server = Server::start(&["--watch", "--bundle", text(&bundle), "--config", text(&config)]);
    assert_eq!(budget_in_kitchen(&server), 8.0);
    // The same bytes in another file, and a file beside them.
    edit_layer(&layer, "8.0");
    fs::write(layer.join(".layer.toml.swp"), "x").unwrap();
    a_while();
    assert_eq!(changes_of_layers(&server), Vec::<Value>::new(), "nothing was changed");
    edit_layer(&layer, "6.0");
    becomes_in_kitchen(&server, 6.0);
    server.says("activated       the layer of tenant kitchen, over generation 1");
    a_while();
    assert_eq!((server.generation(), changes_of_layers(&server)), (1, vec![Value::Null]), "once, and the bundle stays");
    // A layer that would loosen the bundle, and then a file that is no layer.
    edit_layer(&layer, "11.0");
    server.says("error: the layer of tenant kitchen was not activated; the old one stays: ");
    server.says("at most 10");
    fs::write(layer.join("layer.toml"), "name = 5").unwrap();
    a_while();
    let refused = changes_of_layers(&server);
    assert!(refused.len() == 3 && refused[..2].iter().all(Value::is_string), "{refused:?}");
    assert_eq!(budget_in_kitchen(&server), 6.0, "the old one stays");
    // SIGHUP activates the bundle with its layers, or nothing.
    signal("HUP", &server.process);
    server.says("error: the bundle was not activated; the old one stays: tenant kitchen");
    assert_eq!((server.generation(), budget_in_kitchen(&server)), (1, 6.0));
    // The watch has not ended.
    edit_layer(&layer, "5.0");
    becomes_in_kitchen(&server, 5.0);
    edit_layer(&layer, "4.0");
    signal("HUP", &server.process);
    server.says("activated       generation ");
    assert_eq!(budget_in_kitchen(&server), 4.0);
    // What the activation of a bundle took is known to the watch.
    a_while();
    let before = changes_of_layers(&server).len();
    a_while();
    assert_eq!((budget_in_kitchen(&server), changes_of_layers(&server).len()), (4.0, before));
    edit_layer(&layer, "3.0");
    becomes_in_kitchen(&server, 3.0);
}

#[test]
fn a_bundle_that_was_changed_while_no_server_ran_decides_from_the_start() {
    let root = tempfile::tempdir().unwrap();
    let (folder, state) = (folder(root.path(), "bundle"), root.path().join("state"));
    let arguments = ["--watch", "--bundle", text(&folder), "--state", text(&state)];
    let server = Server::start(&arguments);
    assert_eq!(server.budget(), 10.0);
    drop(server);
    edit(&folder, "5.0");
    let server = Server::start(&arguments);
    assert_eq!((server.budget(), server.generation()), (5.0, 2), "not a moment with what was replaced");
    // What administrators do about it outlives the server, as long as the folder says nothing new.
    let rolled = run(&["bundle", "rollback", "--server", &server.admin]);
    assert!(rolled.stdout.starts_with("generation 3"), "{}{}", rolled.stdout, rolled.stderr);
    drop(server);
    let server = Server::start(&arguments);
    a_while();
    assert_eq!((server.budget(), server.generation()), (10.0, 3));
    edit(&folder, "4.0");
    server.becomes(4);
    drop(server);
    // Back to what it was before is a change as well.
    edit(&folder, "5.0");
    let server = Server::start(&arguments);
    assert_eq!(server.budget(), 5.0);
    drop(server);
    fs::write(folder.join("bundle.toml"), "name = 5").unwrap();
    let refused = run(&[&["serve", "--listen", "127.0.0.1:0", "--no-admin"], &arguments[..]].concat());
    assert!(refused.code == Some(1) && refused.stderr.contains("bundle.toml"), "{}", refused.stderr);
    let without_watch = Server::start(&arguments[1..]);
    assert_eq!(without_watch.budget(), 5.0, "unwatched, the saved bundle decides");
}

/// A server that loads until its settings are written into this pipe.
fn loading(root: &Path, arguments: &[&str]) -> (std::process::Child, fs::File) {
    reading(root, "--config", arguments)
}

/// A server that waits until the file of this option is written into this pipe.
fn reading(root: &Path, option: &str, arguments: &[&str]) -> (std::process::Child, fs::File) {
    let pipe = root.join("pipe");
    let _ = fs::remove_file(&pipe);
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let process = serve(&[arguments, &[option, text(&pipe)]].concat()).spawn().unwrap();
    // Waits until it reads.
    let written = fs::File::options().write(true).open(&pipe).unwrap();
    (process, written)
}

#[test]
fn signals_are_answered_from_the_first_moment_in_every_configuration() {
    let root = tempfile::tempdir().unwrap();
    let (folder, state) = (folder(root.path(), "bundle"), root.path().join("state"));
    let configurations = [vec!["--bundle", text(&folder)], vec!["--state", text(&state)], vec![]];
    for arguments in &configurations {
        for stop in ["TERM", "INT"] {
            let (mut process, _settings) = loading(root.path(), arguments);
            signal("HUP", &process);
            thread::sleep(Duration::from_millis(100));
            assert!(process.try_wait().unwrap().is_none(), "{arguments:?}");
            signal(stop, &process);
            let mut stderr = String::new();
            process.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
            assert_eq!(process.wait().unwrap().code(), Some(0), "{arguments:?} {stop}: {stderr}");
        }
    }
    for arguments in &configurations {
        let (process, settings) = loading(root.path(), arguments);
        signal("HUP", &process);
        drop(settings);
        let mut server = Server::of(process);
        if arguments.contains(&"--bundle") {
            server.becomes(2);
            signal("HUP", &server.process);
            server.becomes(3);
        } else {
            server.says("nothing to reload");
            signal("HUP", &server.process);
            assert!(server.budget() > 0.0);
        }
        signal("TERM", &server.process);
        assert_eq!(server.process.wait().unwrap().code(), Some(0));
    }
}

#[test]
fn signals_are_answered_while_the_key_of_the_records_is_read() {
    let root = tempfile::tempdir().unwrap();
    let records = root.path().join("records.jsonl");
    let (mut process, _key) = reading(root.path(), "--record-key", &["--records", text(&records)]);
    signal("HUP", &process);
    thread::sleep(Duration::from_millis(100));
    assert!(process.try_wait().unwrap().is_none());
    signal("TERM", &process);
    assert_eq!(process.wait().unwrap().code(), Some(0));
    assert!(!records.exists());
}
