//! `doctor` on a network that gets in the way: names, ports, proxies, certificates, strangers that answer, clocks.

use std::sync::Arc;
use std::time::Duration;

use chrono::Datelike;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair,
};
use serde_json::json;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::PrivateKeyDer;

use crate::doctor::{Examined, Folder, examine, page};
use crate::rig::Rig;

/// How TLS begins.
const TLS_HANDSHAKE: u8 = 0x16;

/// Answers one request, or one CONNECT, or what is neither, with these bytes.
async fn reply(mut socket: impl AsyncRead + AsyncWrite + Unpin, response: &str) {
    let mut request = Vec::new();
    let mut piece = [0; 4096];
    let is_whole = |request: &[u8]| {
        request.windows(4).any(|end| end == b"\r\n\r\n") || request.starts_with(&[TLS_HANDSHAKE])
    };
    while !is_whole(&request) {
        match socket.read(&mut piece).await {
            Ok(count @ 1..) => request.extend_from_slice(&piece[..count]),
            _ => return,
        }
    }
    let _ = socket.write_all(response.as_bytes()).await;
    let _ = socket.shutdown().await;
}

/// A server on loopback that says the same to everybody; its port. With an acceptor it speaks TLS.
async fn server(response: String, tls: Option<TlsAcceptor>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (response, tls) = (response.clone(), tls.clone());
            tokio::spawn(async move {
                match tls {
                    None => reply(socket, &response).await,
                    Some(tls) => {
                        if let Ok(socket) = tls.accept(socket).await {
                            reply(socket, &response).await;
                        }
                    }
                }
            });
        }
    });
    port
}

/// A whole response: status line, some headers, a body.
fn response(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn empty_list(headers: &str) -> String {
    let headers = format!("content-type: application/json\r\n{headers}");
    response("200 OK", &headers, r#"{"data": [], "next_page": null}"#)
}

/// A port on which nothing listens.
async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

async fn at(base_url: impl Into<String>) -> Rig {
    Rig::start().await.set("ANTHROPIC_BASE_URL", base_url)
}

async fn examine_at(base_url: impl Into<String>) -> Examined {
    examine(&at(base_url).await, &Folder::new()).await
}

#[tokio::test]
async fn a_host_without_an_address_and_a_port_without_a_server_are_told_apart() {
    let rig = at("https://nowhere.invalid").await;
    let examined = examine(&rig, &Folder::new()).await;
    assert_eq!(examined.failed(), ["base-url"]);
    examined.expect(
        "base-url",
        "failed",
        "the host of https://nowhere.invalid has no address (DNS)",
    );
    examined.expect("key", "skipped", "could not be asked");
    examined.expect("clock", "skipped", "");
    insta::assert_snapshot!(page("no such host", &rig, &Folder::new()).await);

    let port = closed_port().await;
    let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
    assert_eq!(examined.failed(), ["base-url"]);
    examined.expect("base-url", "failed", "refuses connections");
}

#[tokio::test]
async fn a_server_that_never_answers_is_given_up_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let began = std::time::Instant::now();
    let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
    assert!(began.elapsed() < Duration::from_secs(15));
    examined.expect("base-url", "failed", "gave no answer within 7 s");
}

#[tokio::test]
async fn what_is_not_the_api_is_a_wrong_address() {
    let html = response(
        "200 OK",
        "content-type: text/html; charset=utf-8\r\n",
        "<html>canary</html>",
    );
    let port = server(html, None).await;
    let rig = at(format!("http://127.0.0.1:{port}/prefix")).await;
    let examined = examine(&rig, &Folder::new()).await;
    assert_eq!(examined.failed(), ["base-url"]);
    examined.expect(
        "base-url",
        "failed",
        "answers 200 with text/html, which is not the API",
    );
    let html = page("somebody else answers", &rig, &Folder::new()).await;

    let json = response(
        "200 OK",
        "content-type: application/json\r\n",
        r#"{"message": "hello"}"#,
    );
    let port = server(json, None).await;
    let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
    examined.expect("base-url", "failed", "200 with application/json");

    let blocked = response(
        "403 Forbidden",
        "content-type: application/json\r\n",
        r#"{"message": "blocked"}"#,
    );
    let port = server(blocked, None).await;
    let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
    assert_eq!(examined.failed(), ["base-url"]);
    examined.expect("base-url", "failed", "403 with application/json");

    let away = "location: https://user:canary@elsewhere.invalid/canary?canary\r\n";
    let port = server(response("307 Temporary Redirect", away, ""), None).await;
    let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
    assert_eq!(examined.failed(), ["base-url"]);
    examined.expect(
        "base-url",
        "failed",
        "redirects to https://elsewhere.invalid, which is never followed",
    );
    insta::assert_snapshot!(html);
}

#[tokio::test]
async fn a_clock_that_is_an_hour_off_is_a_warning() {
    for (offset, side) in [(3600_i64, "behind"), (-3600, "ahead of")] {
        let date = (chrono::Utc::now() + chrono::TimeDelta::seconds(offset + offset.signum() * 20))
            .format("%a, %d %b %Y %H:%M:%S GMT");
        let port = server(empty_list(&format!("date: {date}\r\n")), None).await;
        let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
        assert!(examined.ok, "{examined:?}");
        let fix = examined.expect(
            "clock",
            "warning",
            &format!("1 h 0 min {side} the server's"),
        );
        assert!(fix.contains("set its clock"), "{fix}");
    }
    let port = server(empty_list(""), None).await;
    let examined = examine_at(format!("http://127.0.0.1:{port}")).await;
    examined.expect("clock", "skipped", "no answer told the time");
}

/// A rig whose API is on no loopback, so that the proxy counts.
async fn behind(proxy: &str) -> Rig {
    at("https://api.anthropic.invalid")
        .await
        .set("HTTPS_PROXY", proxy)
}

#[tokio::test]
async fn a_proxy_that_refuses_is_told_apart_from_a_server_that_does() {
    let folder = Folder::new();
    let denied = server(response("403 Forbidden", "", "canary"), None).await;
    let rig = behind(&format!(
        "http://canary-user:canary-word@127.0.0.1:{denied}"
    ))
    .await;
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["proxy"]);
    let found = format!(
        "127.0.0.1:{denied} (HTTPS_PROXY) does not let https://api.anthropic.invalid through"
    );
    examined.expect("proxy", "failed", &found);
    examined.expect("base-url", "skipped", "the proxy stands in the way");
    let denied = page("a proxy that refuses", &rig, &folder).await;

    let login = server(response("407 Proxy Authentication Required", "", ""), None).await;
    let rig = behind(&format!("127.0.0.1:{login}")).await;
    examine(&rig, &folder)
        .await
        .expect("proxy", "failed", "wants a user name and password (407)");
    let rig = behind(&format!("http://canary-user:canary-word@127.0.0.1:{login}")).await;
    examine(&rig, &folder).await.expect(
        "proxy",
        "failed",
        "refuses the user name and password in HTTPS_PROXY",
    );

    let rig = behind(&format!("http://127.0.0.1:{}", closed_port().await)).await;
    examine(&rig, &folder)
        .await
        .expect("proxy", "failed", "refuses connections");
    insta::assert_snapshot!(denied);
}

#[tokio::test]
async fn a_proxy_that_does_not_count_is_said_to_be_none() {
    let folder = Folder::new();
    let rig = behind("http://proxy.invalid:3128")
        .await
        .set("NO_PROXY", "api.anthropic.invalid");
    let examined = examine(&rig, &folder).await;
    examined.expect("proxy", "ok", "NO_PROXY excepts it");
    examined.expect("base-url", "failed", "has no address (DNS)");

    let rig = behind("http://:not a proxy").await;
    examine(&rig, &folder)
        .await
        .expect("proxy", "warning", "HTTPS_PROXY cannot be read");
    let rig = behind("socks5://127.0.0.1:1080").await;
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["proxy"]);
    examined.expect("proxy", "failed", "SOCKS");
    let said = rig
        .client()
        .await
        .call("list_agents", json!({}))
        .await
        .err();
    assert!(
        said.contains("SOCKS") && said.contains("HTTPS_PROXY"),
        "{said}"
    );
    let output = rig.command().stdin(std::process::Stdio::null()).output();
    let output = output.await.unwrap();
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(
        warned.contains("SOCKS") && output.status.success(),
        "{warned}"
    );

    let rig = Rig::start()
        .await
        .set("HTTPS_PROXY", "http://proxy.invalid:3128");
    let examined = examine(&rig, &folder).await;
    assert!(examined.ok, "{examined:?}");
    examined.expect("proxy", "ok", "it is local");
}

/// An authority that nobody knows, and what makes a server speak TLS with its certificate for a name.
struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        Authority(CertifiedIssuer::self_signed(params, key).unwrap())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    /// With a certificate that ends so many years from now; macOS takes none that lasts for long.
    fn acceptor(&self, name: &str, years: i32) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        let year = chrono::Utc::now().year();
        params.not_before = rcgen::date_time_ymd(year + years - 1, 1, 1);
        params.not_after = rcgen::date_time_ymd(year + years, 1, 1);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap();
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der().clone()], key)
            .unwrap();
        TlsAcceptor::from(Arc::new(config))
    }
}

#[tokio::test]
async fn a_certificate_that_nobody_trusts_is_explained_and_then_trusted() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let date = chrono::Utc::now().format("date: %a, %d %b %Y %H:%M:%S GMT\r\n");
    let response = empty_list(&date.to_string());
    let port = server(response, Some(authority.acceptor("localhost", 1))).await;
    let rig = at(format!("https://localhost:{port}")).await;
    let examined = examine(&rig, &folder).await;
    assert_eq!(examined.failed(), ["base-url"]);
    let fix = examined.expect("base-url", "failed", "is not trusted");
    assert!(
        fix.contains("MANAGED_AGENTS_CA_FILE") && fix.contains("SSL_CERT_FILE"),
        "{fix}"
    );
    let untrusted = page("a certificate that nobody trusts", &rig, &folder).await;
    let said = rig
        .client()
        .await
        .call("list_agents", json!({}))
        .await
        .err();
    assert!(said.contains("MANAGED_AGENTS_CA_FILE"), "{said}");
    assert!(!said.contains("UnknownIssuer"), "{said}");

    let other = folder.file("other.pem", &Authority::new().pem());
    let with_other = rig.set("MANAGED_AGENTS_CA_FILE", other.display().to_string());
    let examined = examine(&with_other, &folder).await;
    examined.expect("base-url", "failed", "not even with MANAGED_AGENTS_CA_FILE");

    let right = folder.file("right.pem", &authority.pem());
    let with_right = with_other.set("MANAGED_AGENTS_CA_FILE", right.display().to_string());
    let examined = examine(&with_right, &folder).await;
    assert!(examined.ok, "{examined:?}");
    examined.expect("base-url", "ok", "answers as the API");
    examined.expect("agents", "ok", "no agent yet");
    insta::assert_snapshot!(untrusted.replace(&port.to_string(), "PORT"));
}

#[tokio::test]
async fn certificates_out_of_date_or_for_another_host_and_ports_without_tls_are_explained() {
    let (folder, authority) = (Folder::new(), Authority::new());
    let trusted = folder.file("ca.pem", &authority.pem());
    let at = async |port: u16| {
        let rig = at(format!("https://localhost:{port}")).await;
        rig.set("MANAGED_AGENTS_CA_FILE", trusted.display().to_string())
    };
    let port = server(empty_list(""), Some(authority.acceptor("localhost", -1))).await;
    let examined = examine(&at(port).await, &folder).await;
    assert_eq!(examined.failed(), ["base-url"]);
    let fix = examined.expect("base-url", "failed", "does not fit this machine's date");
    assert!(fix.contains("Set the clock"), "{fix}");
    examined.expect("clock", "warning", "which the certificate denies");

    let port = server(
        empty_list(""),
        Some(authority.acceptor("elsewhere.invalid", 1)),
    )
    .await;
    let examined = examine(&at(port).await, &folder).await;
    examined.expect("base-url", "failed", "belongs to another host");
    let client = at(port).await.client().await;
    let said = client.call("list_agents", json!({})).await.err();
    assert!(said.contains("belongs to another host"), "{said}");
    assert!(!said.contains("DnsName"), "{said}");

    let port = server(response("400 Bad Request", "", "this is no TLS"), None).await;
    let examined = examine(&at(port).await, &folder).await;
    examined.expect("base-url", "failed", "TLS failed");

    #[cfg(target_os = "linux")]
    {
        let rig = at(port).await.unset("MANAGED_AGENTS_CA_FILE");
        let examined = examine(&rig.set("SSL_CERT_FILE", "/nowhere.pem"), &folder).await;
        let fix = examined.expect("base-url", "failed", "could not be loaded");
        assert!(fix.contains("ca-certificates"), "{fix}");
    }
}
