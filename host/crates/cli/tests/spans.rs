//! Where spans go, and which messages appear when they do not arrive.
#![cfg(unix)]

mod common;

use common::{
    run,
    served::{Server, question, serve, signal},
};
use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread::{self, JoinHandle},
};

/// A collector that answers one export with this status, and gives its path, its headers and its bytes.
fn collector(status: &'static str) -> (String, JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let thread = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let (mut head, mut length) = (String::new(), 0);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line.trim().is_empty() {
                break;
            }
            head.push_str(&line.to_lowercase());
            let given = line.to_lowercase();
            length = given.strip_prefix("content-length:").map_or(length, |number| number.trim().parse().unwrap());
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        head.push_str(&String::from_utf8_lossy(&body));
        write!(stream, "HTTP/1.1 {status}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").unwrap();
        head
    });
    (address, thread)
}

/// A server with these variables, asked once.
fn asked(arguments: &[&str], variables: &[(&str, &str)]) -> Server {
    let server = Server::of(serve(arguments).envs(variables.iter().copied()).spawn().unwrap());
    assert!(server.ask(&question(1)).unwrap()["choices"].is_array());
    server
}

#[test]
fn spans_go_where_the_option_or_the_variables_say() {
    let own = |address: &str, path: &str| format!("{address}{path}");
    for (path, option) in [("/v1/traces", true), ("", true), ("/v1/traces", false)] {
        let (address, received) = collector("200 OK");
        let endpoint = own(&address, path);
        let mut server = match option {
            true => asked(&["--otlp", &endpoint], &[("OTEL_EXPORTER_OTLP_HEADERS", "api-key=one%20two")]),
            false => asked(
                &[],
                &[
                    ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", &endpoint),
                    ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=one%20two"),
                ],
            ),
        };
        signal("TERM", &server.process);
        server.process.wait().unwrap();
        let head = received.join().unwrap();
        assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
        assert!(head.contains("api-key: one two"), "{head}");
        for name in ["inferenceguard.bundle.digest", "inferenceguard.model.fingerprint"] {
            assert!(head.contains(name), "{name}: {head}");
        }
    }
}

#[test]
fn spans_that_are_lost_are_logged_and_counted() {
    let (refusing, received) = collector("401 Unauthorized");
    for collector in ["http://127.0.0.1:9", &refusing] {
        let server = asked(&["--otlp", collector], &[("OTEL_BSP_SCHEDULE_DELAY", "100")]);
        server.says("spans could not be sent and are lost");
        let metrics = server.agent.get(format!("{}/metrics", server.admin)).call().unwrap().body_mut().read_to_string();
        assert!(metrics.unwrap().contains("\ninferenceguard_spans_lost_total 1\n"));
    }
    received.join().unwrap();
}

#[test]
fn spans_that_are_turned_off_are_not_sent() {
    for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
        // Nobody is there: what is sent would be lost, and counted.
        let server = asked(&["--otlp", "http://127.0.0.1:9"], &[off, ("OTEL_BSP_SCHEDULE_DELAY", "100")]);
        thread::sleep(std::time::Duration::from_secs(2));
        let metrics = server.agent.get(format!("{}/metrics", server.admin)).call().unwrap().body_mut().read_to_string();
        assert!(metrics.unwrap().contains("\ninferenceguard_spans_lost_total 0\n"));
    }
    let refused = |arguments: &[&str], name: &str, value: &str| {
        let ran = serve(arguments).env(name, value).output().unwrap();
        let stderr = String::from_utf8(ran.stderr).unwrap();
        assert!(ran.status.code() == Some(1) && stderr.contains(name), "{stderr}");
    };
    refused(&["--otlp", "http://127.0.0.1:9"], "OTEL_EXPORTER_OTLP_PROTOCOL", "grpc");
    refused(&[], "OTEL_TRACES_EXPORTER", "zipkin");
    run(&["serve", "--otlp", "nowhere"]).refuses("expected an address that begins with http:// or https://");
}
