//! Engines behind TLS: a certificate that nobody vouches for is refused, and a certificate that the operator names is believed.

use inferenceguard_engines::{Authority, Endpoint, Fault, Remote, vllm::Vllm};
use inferenceguard_fake_engines::{Fake, Kind, grow_one, local, remote};
use std::{net::TcpListener, sync::Arc};
use tokio::{
    io::copy_bidirectional,
    net::TcpStream,
    runtime::{Builder, Runtime},
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

/// Made for this test, for the address 127.0.0.1.
const CERTIFICATE: &[u8] = include_bytes!("support/tls/certificate.pem");
const KEY: &[u8] = include_bytes!("support/tls/key.pem");

/// Puts TLS before a server: its URL, and the threads that do so.
fn encrypted(fake: &Fake) -> (String, Runtime) {
    let certificate = CertificateDer::from_pem_slice(CERTIFICATE).unwrap();
    let key = PrivateKeyDer::from_pem_slice(KEY).unwrap();
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
    let acceptor = TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![certificate], key).unwrap()));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let (port, behind) = (listener.local_addr().unwrap().port(), fake.port);
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    runtime.spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((stream, _)) = listener.accept().await {
            let acceptor = acceptor.clone();
            tokio::spawn(async move {
                let Ok(mut inside) = acceptor.accept(stream).await else { return };
                let mut outside = TcpStream::connect(("127.0.0.1", behind)).await.unwrap();
                drop(copy_bidirectional(&mut inside, &mut outside).await);
            });
        }
    });
    (format!("https://127.0.0.1:{port}"), runtime)
}

fn at(urls: &[&str], authority: Option<Authority>) -> Remote {
    let endpoints = urls.iter().map(|url| Endpoint::new(url).unwrap()).collect();
    Remote { endpoints, authority, ..remote(&[]) }
}

#[test]
fn a_certificate_that_nobody_vouches_for_is_refused_by_name() {
    let fake = Fake::new(Kind::default());
    let (url, _runtime) = encrypted(&fake);
    // Other replicas do not make up for it: nobody knows whose certificate this is.
    for urls in [vec![url.as_str()], vec![url.as_str(), &fake.url()]] {
        let error = Vllm::connect(&at(&urls, None), local(), None).err().unwrap();
        assert_eq!(error.engine, url);
        assert!(matches!(error.fault, Fault::Certificate { .. }), "{error}");
        assert!(error.to_string().contains("--engine-ca"), "{error}");
    }
}

#[test]
fn a_certificate_that_the_operator_names_is_believed() {
    let fake = Fake::new(Kind::default());
    let (url, _runtime) = encrypted(&fake);
    let authority = Authority::new(CERTIFICATE).unwrap();
    let vllm = Vllm::connect(&at(&[&url], Some(authority.clone())), local(), None).unwrap();
    assert_eq!(grow_one(&vllm).unwrap().len(), 8);
    let other_name = url.replace("127.0.0.1", "localhost");
    let error = Vllm::connect(&at(&[&other_name], Some(authority)), local(), None).err().unwrap();
    assert!(matches!(error.fault, Fault::Certificate { .. }), "{error}");
}

#[test]
fn files_without_certificates_are_refused() {
    for (pem, word) in
        [(&b""[..], "no certificate"), (KEY, "no certificate"), (b"-----BEGIN CERTIFICATE-----\n", "PEM")]
    {
        let error = Authority::new(pem).unwrap_err().to_string();
        assert!(error.contains(word), "{error}");
    }
}
