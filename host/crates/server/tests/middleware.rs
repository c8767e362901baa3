//! Middleware and connections: pages of other sites, unknown keys, slow clients, and too many connections.

mod common;

use common::{Running, chat, sha256, start, with};
use std::{
    io::{self, Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::Duration,
};

fn connect(address: SocketAddr) -> TcpStream {
    let connection = TcpStream::connect(address).unwrap();
    connection.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    connection
}

/// Everything that the server sends before it closes the connection.
fn exchange(address: SocketAddr, request: &str) -> String {
    let mut connection = connect(address);
    connection.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    drop(connection.read_to_string(&mut text));
    text
}

/// The response of the administrators' listener to a request with these headers.
fn admin(server: &Running, what: &str, headers: &str) -> String {
    let request = format!("{what} HTTP/1.1\r\nconnection: close\r\ncontent-length: 0\r\n{headers}\r\n");
    exchange(server.admin_address(), &request)
}

#[test]
fn pages_of_other_sites_can_change_and_read_nothing() {
    let server = start("admin_hosts = [\"guard.example\"]");
    let own = server.admin_address();
    for origin in ["http://evil.example", "null", "http://127.0.0.1", "http://127.0.0.1:1", ""] {
        let text = admin(&server, "POST /admin/rollback", &format!("host: {own}\r\norigin: {origin}\r\n"));
        assert!(text.starts_with("HTTP/1.1 403") && text.contains("foreign_origin"), "{origin}: {text}");
    }
    // Another site's host name that points at this machine.
    for what in ["POST /admin/rollback", "GET /admin/status"] {
        let text = admin(&server, what, "host: evil.example:8081\r\norigin: http://evil.example:8081\r\n");
        assert!(text.starts_with("HTTP/1.1 403") && text.contains("unknown_host"), "{text}");
    }
    for host in [own.to_string(), "localhost:8081".to_owned(), "guard.example".to_owned()] {
        let text = admin(&server, "POST /admin/rollback", &format!("host: {host}\r\norigin: http://{host}\r\n"));
        assert!(text.contains("there is no earlier bundle to go back to"), "{text}");
        assert!(admin(&server, "GET /admin/", &format!("host: {host}\r\n")).contains("<title>InferenceGuard</title>"));
        assert!(admin(&server, "GET /admin/status", &format!("host: {host}\r\n")).contains("\"generation\""));
    }
    assert_eq!(server.admin("/admin/swaps").json().as_array().unwrap().len(), 3, "nothing else was tried");
}

#[test]
fn scrapers_and_supervisors_may_call_the_administrators_listener_by_any_name() {
    let server = start("");
    for what in ["GET /metrics", "GET /health", "GET /ready"] {
        let text = admin(&server, what, "host: inferguard:8081\r\n");
        assert!(text.starts_with("HTTP/1.1 200"), "{what}: {text}");
    }
}

#[test]
fn a_token_allows_every_host_name_but_no_page_of_another_site() {
    let server = start(&format!("admin_token_sha256 = \"{}\"", sha256("root-key")));
    let headers = "host: guard.example\r\nauthorization: Bearer root-key\r\n";
    assert!(admin(&server, "GET /admin/status", headers).starts_with("HTTP/1.1 200"));
    let text = admin(&server, "GET /admin/status", &format!("{headers}origin: http://evil.example\r\n"));
    assert!(text.starts_with("HTTP/1.1 403"), "{text}");
}

#[test]
fn a_request_without_a_known_key_is_refused_before_its_body_comes() {
    let settings = format!("read_seconds = 600\n[tenants.a]\nkey_sha256 = \"{}\"", sha256("a"));
    let server = start(&format!("admin_token_sha256 = \"{}\"\n{settings}", sha256("root-key")));
    for (address, what) in
        [(server.address(), "POST /v1/chat/completions"), (server.admin_address(), "PUT /admin/denial")]
    {
        let mut connection = connect(address);
        let head = format!("{what} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 1000\r\n\r\n");
        connection.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 12];
        connection.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 401");
    }
}

#[test]
fn a_body_that_comes_byte_by_byte_is_refused() {
    let server = start("read_seconds = 1");
    let mut connection = connect(server.address());
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 100000\r\n\r\n";
    connection.write_all(head.as_bytes()).unwrap();
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let mut start = [0; 12];
    let answered = (0..300).any(|_| {
        drop(connection.write_all(b"{"));
        connection.read_exact(&mut start).is_ok()
    });
    assert!(answered, "each byte came in time, but the whole body did not");
    assert_eq!(&start, b"HTTP/1.1 408");
}

#[test]
fn connections_beyond_the_limit_wait_until_another_is_closed() {
    let server = start("max_connections = 1\nread_seconds = 600");
    let ask = |connection: &mut TcpStream| {
        connection.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n").unwrap();
    };
    let read = |connection: &mut TcpStream| connection.read_exact(&mut [0; 12]);
    let mut first = connect(server.address());
    ask(&mut first);
    read(&mut first).unwrap();
    let mut second = connect(server.address());
    ask(&mut second);
    second.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(read(&mut second).is_err(), "the only permit is taken");
    assert_eq!(server.admin("/health").text, "ok\n", "administrators have their own permits");
    drop(first);
    thread::scope(|scope| {
        scope.spawn(|| {
            second.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
            read(&mut second).unwrap();
        });
    });
}

/// Asks for `/health` and reads the whole answer.
fn ask_health(connection: &mut TcpStream) -> io::Result<()> {
    connection.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n")?;
    let mut text = Vec::new();
    while !text.ends_with(b"ok\n") {
        let mut byte = [0];
        connection.read_exact(&mut byte)?;
        text.extend(byte);
    }
    Ok(())
}

#[test]
fn a_connection_stays_open_between_requests_but_not_within_a_head() {
    let server = start("read_seconds = 1\nidle_seconds = 600");
    let mut connection = connect(server.address());
    for _ in 0..2 {
        ask_health(&mut connection).unwrap();
        thread::sleep(Duration::from_millis(2500));
    }
    // Once a head has begun, it has one second, also when each byte comes in time.
    connection.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    let closed = (0..300).any(|_| {
        drop(connection.write_all(b"G"));
        connection.read(&mut [0; 12]).is_ok_and(|read| read == 0)
    });
    assert!(closed, "the head never ended");
}

#[test]
fn a_connection_without_a_next_request_is_closed() {
    let server = start("read_seconds = 600\nidle_seconds = 1");
    let mut connection = connect(server.address());
    ask_health(&mut connection).unwrap();
    assert_eq!(connection.read(&mut [0; 12]).unwrap(), 0, "closed by the server");
}

#[test]
fn compressed_bodies_and_pages_of_browsers_get_a_message() {
    let server = start("");
    let post = |headers: &str, body: &str| {
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        exchange(server.address(), &format!("{head}{headers}content-length: {}\r\n\r\n{body}", body.len()))
    };
    for coding in ["gzip", "br", "zstd", "identity, gzip"] {
        let text = post(&format!("content-encoding: {coding}\r\n"), "packed");
        assert!(text.starts_with("HTTP/1.1 415") && text.contains("unsupported_encoding"), "{coding}: {text}");
    }
    for plain in ["", "content-encoding: identity\r\n", "Content-Encoding: IDENTITY\r\n"] {
        let text = post(plain, "{}");
        assert!(text.starts_with("HTTP/1.1 400") && text.contains("`messages` is missing"), "{plain}: {text}");
    }
    let headers = "origin: http://app.example\r\naccess-control-request-method: POST\r\n";
    let request = format!("OPTIONS /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n{headers}\r\n");
    let text = exchange(server.address(), &request);
    assert!(text.starts_with("HTTP/1.1 405") && text.contains("no CORS"), "{text}");
    assert!(!text.to_lowercase().contains("access-control-allow"), "{text}");
}

#[test]
fn requests_that_come_at_once_are_answered_in_their_order() {
    let server = start("");
    let post = |body: &str, headers: &str| {
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n";
        format!("{head}{headers}content-length: {}\r\n\r\n{body}", body.len())
    };
    let (asked, unknown) = (chat("ask").to_string(), with(chat("ask"), "model", "other".into()).to_string());
    let close = "connection: close\r\n";
    // Nothing is answered after the request that closes the connection.
    let all = [post(&asked, ""), post("{}", ""), post(&unknown, ""), post(&asked, close), post(&asked, "")];
    let text = exchange(server.address(), &all.concat());
    let statuses: Vec<&str> = text.split("HTTP/1.1 ").skip(1).map(|answer| &answer[..3]).collect();
    assert_eq!(statuses, ["200", "400", "404", "200"], "{text}");
    server.becomes(0, 0);
}

#[test]
fn a_request_for_the_head_alone_gets_no_body() {
    let server = start("");
    let head = |path: &str| {
        exchange(server.address(), &format!("HEAD {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"))
    };
    for (path, status) in [("/v1/models", 200), ("/health", 200), ("/v1/chat/completions", 405), ("/v1/nothing", 404)] {
        let text = head(path);
        assert!(text.starts_with(&format!("HTTP/1.1 {status}")) && text.ends_with("\r\n\r\n"), "{path}: {text}");
    }
    assert_eq!(server.engine.live(), 0, "nothing was generated");
}

#[test]
fn a_body_of_unknown_length_has_the_same_limit() {
    let server = start("max_body = 1000");
    let post = |chunks: &[&str]| {
        let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nconnection: close\r\n";
        let chunk = |text: &&str| format!("{:x}\r\n{text}\r\n", text.len());
        let body: String = chunks.iter().map(chunk).collect();
        exchange(server.address(), &format!("{head}transfer-encoding: chunked\r\n\r\n{body}0\r\n\r\n"))
    };
    let asked = chat("ask").to_string();
    let (first, last) = asked.split_at(5);
    let text = post(&[first, last]);
    assert!(text.starts_with("HTTP/1.1 200"), "{text}");
    let blank = " ".repeat(600);
    let text = post(&[first, &blank, &blank, last]);
    assert!(text.starts_with("HTTP/1.1 413") && text.contains("larger than this server takes"), "{text}");
}
